package sqlstore_test

import (
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/migrations/dbtest"
	"tidewire/tenants/sqlstore"
)

const password = "hunter2"

// refusingPostgres answers every connection with one error and closes it, as a
// real server does that does not like the password.
func refusingPostgres(t *testing.T, code, message string) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			refuse(conn, code, message)
		}
	}()
	t.Cleanup(func() { require.NoError(t, listener.Close()); <-done })
	return listener.Addr().String()
}

func refuse(conn net.Conn, code, message string) {
	defer func() { _ = conn.Close() }()
	head := make([]byte, 4)
	if _, err := io.ReadFull(conn, head); err != nil {
		return
	}
	if _, err := io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint32(head))-4); err != nil {
		return
	}
	body := "SFATAL\x00VFATAL\x00C" + code + "\x00M" + message + "\x00\x00"
	answer := append([]byte{'E'}, binary.BigEndian.AppendUint32(nil, uint32(len(body)+4))...)
	_, _ = conn.Write(append(answer, body...))
}

func closedPort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return listener.Addr().String()
}

func TestPostgresErrorsAreClear(t *testing.T) {
	t.Parallel()
	existing, err := url.Parse(dbtest.Postgres(t))
	require.NoError(t, err)
	existing.Path = "/tidewire_no_such_database"
	credentials := "postgres://someone:" + password + "@"
	for name, c := range map[string]struct {
		dsn  string
		want []string
	}{
		"unreachable":    {credentials + closedPort(t) + "/db?sslmode=disable", []string{"cannot reach Postgres at 127.0.0.1:", "connection refused", "TIDEWIRE_DATABASE_URL"}},
		"wrong password": {credentials + refusingPostgres(t, "28P01", "password authentication failed") + "/db?sslmode=disable", []string{`refused user "someone"`, "check user and password"}},
		"too many":       {credentials + refusingPostgres(t, "53300", "too many clients") + "/db?sslmode=disable", []string{"no connection left"}},
		"other":          {credentials + refusingPostgres(t, "57P03", "the database system is starting up") + "/db?sslmode=disable", []string{"starting up (57P03)"}},
		"no database":    {existing.String(), []string{`has no database "tidewire_no_such_database"`, "createdb"}},
		"scheme":         {"mysql://someone:" + password + "@127.0.0.1/db", []string{"must look like postgres://"}},
		"not a URL":      {"host=127.0.0.1 password=" + password, []string{"must look like postgres://"}},
		"unescaped":      {"postgres://someone:" + password + "/@127.0.0.1/db", []string{"percent-encoded"}},
		"option":         {credentials + "127.0.0.1/db?sslmode=maybe", []string{"has a part that Postgres does not know"}},
	} {
		_, err := sqlstore.OpenPostgres(t.Context(), c.dsn, options(t))
		require.Error(t, err, name)
		for _, want := range c.want {
			require.ErrorContains(t, err, want, name)
		}
		require.NotContains(t, err.Error(), password, name)
		oneLine(t, err)
	}
}
