// Package dbtest gives each test a Postgres database of its own. It is for
// tests only and starts no server: TEST_DATABASE_URL names one.
package dbtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Postgres makes an empty database on the server of TEST_DATABASE_URL, where
// the test may create databases, and returns its URL. The database is dropped
// when the test ends. Without that variable the test fails, or is skipped under
// -short.
func Postgres(t testing.TB) string {
	t.Helper()
	admin := os.Getenv("TEST_DATABASE_URL")
	if admin == "" {
		if testing.Short() {
			t.Skip("TEST_DATABASE_URL is not set")
		}
		t.Fatal("TEST_DATABASE_URL is not set: run make test, which provides a Postgres")
	}
	u, err := url.Parse(admin)
	if err != nil {
		t.Fatal("TEST_DATABASE_URL is not a URL: want postgres://user:password@host:port/database")
	}
	suffix := make([]byte, 8)
	_, _ = rand.Read(suffix)
	name := "tidewire_test_" + hex.EncodeToString(suffix)
	execute(t, admin, "CREATE DATABASE "+name)
	t.Cleanup(func() { execute(t, admin, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)") })
	u.Path = "/" + name
	q := u.Query()
	q.Set("connect_timeout", "60") // of the server's own 5 s a busy disk may take more
	u.RawQuery = q.Encode()
	return u.String()
}

// Shut makes the server refuse the database of [Postgres], as it does while it
// stops: open connections end, new ones are refused.
func Shut(t testing.TB, database string) {
	t.Helper()
	allow(t, database, false)
	execute(t, os.Getenv("TEST_DATABASE_URL"),
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '"+nameOf(t, database)+"'")
}

// Reopen ends what [Shut] began.
func Reopen(t testing.TB, database string) {
	t.Helper()
	allow(t, database, true)
}

func allow(t testing.TB, database string, connections bool) {
	t.Helper()
	execute(t, os.Getenv("TEST_DATABASE_URL"), fmt.Sprintf("ALTER DATABASE %s ALLOW_CONNECTIONS %t", nameOf(t, database), connections))
}

func nameOf(t testing.TB, database string) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal("not the URL of a database")
	}
	return strings.TrimPrefix(u.Path, "/")
}

func execute(t testing.TB, dsn, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatalf("connect to the test Postgres: %v", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}
