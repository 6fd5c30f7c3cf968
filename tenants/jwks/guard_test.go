package jwks_test

import (
	"net/http/httptest"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
	"tidewire/tenants/jwks"
)

// insideHosts are ways to write addresses that no stranger may make us call.
var insideHosts = []string{
	"127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.0.0.1.", "0.0.0.0", "[::]", "[::1]",
	"[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "127.0.0.2",
}

// Without an allowance nothing inside is ever reached, in whatever form the
// address is written, over http not even by the port it is served at.
func TestInsideAddressesAreNotReached(t *testing.T) {
	t.Parallel()
	inside := newIssuer(t, func(s *httptest.Server) { s.Start() })
	inside.serve(keySet(rsaJWK("one", rsaKeys()[0])))
	u, err := url.Parse(inside.URL)
	require.NoError(t, err)
	k := jwks.New(jwks.Options{Timeout: time.Second})
	for _, host := range insideHosts {
		for _, prefix := range []string{"http://", "https://"} {
			_, err := k.Key(t.Context(), "7", prefix+host+":"+u.Port()+"/keys", "one", "RS256")
			require.ErrorIs(t, err, tenants.ErrUnavailable, prefix+host)
		}
	}
	require.Zero(t, inside.times())
}

func TestOnlyWhatIsAllowedIsReached(t *testing.T) {
	t.Parallel()
	inside := newIssuer(t, func(s *httptest.Server) { s.Start() })
	inside.serve(keySet(rsaJWK("one", rsaKeys()[0])))
	ask := func(allow, address string) error {
		o := jwks.Options{Timeout: time.Second}
		if allow != "" {
			o.Allow = []netip.Prefix{netip.MustParsePrefix(allow)}
		}
		_, err := jwks.New(o).Key(t.Context(), "7", address, "one", "RS256")
		return err
	}
	require.NoError(t, ask("127.0.0.0/8", inside.URL))
	require.Error(t, ask("127.0.0.9/32", inside.URL), "another address is allowed")
	require.Error(t, ask("10.0.0.0/8", inside.URL))
	require.Error(t, ask("", inside.URL))
	u, err := url.Parse(inside.URL)
	require.NoError(t, err)
	require.NoError(t, ask("127.0.0.0/8", "http://[::ffff:127.0.0.1]:"+u.Port()), "the same address")
	require.Error(t, ask("127.0.0.0/8", "http://user:password@"+u.Host))
	require.Error(t, ask("127.0.0.0/8", "ftp://"+u.Host))
	require.Error(t, ask("127.0.0.0/8", "https://"+u.Host), "it speaks no TLS")
}

// A certificate that nobody trusted vouches for is no certificate.
func TestCertificatesAreChecked(t *testing.T) {
	t.Parallel()
	i := newIssuer(t, (*httptest.Server).StartTLS)
	i.serve(keySet(rsaJWK("one", rsaKeys()[0])))
	_, err := jwks.New(jwks.Options{Allow: loopback}).Key(t.Context(), "7", i.URL, "one", "RS256")
	require.ErrorIs(t, err, tenants.ErrUnavailable)
	require.Zero(t, i.times())
}
