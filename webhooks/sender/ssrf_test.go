package sender_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/webhooks"
	"tidewire/webhooks/sender"
)

// inside are ways to write an address that is not the tenant's to call. Where a
// host is a name, the name server below says that it is this machine, or as names
// says.
var inside = []string{
	// This machine and the networks around it, as they should be written.
	"http://127.0.0.1/", "https://127.0.0.1/", "http://127.0.0.1:8080/", "http://127.1.2.3/", "http://0.0.0.0/", "http://0.1.2.3/",
	"http://10.0.0.1/", "http://172.16.0.1/", "http://172.31.255.255/", "http://192.168.1.1/", "http://100.64.0.1/",
	// Where clouds keep credentials, and what else no customer's server is.
	"http://169.254.169.254/latest/meta-data/", "http://169.254.170.2/v2/credentials", "http://100.100.100.200/", "http://168.254.1.1.internal/",
	"http://192.0.0.192/", "http://192.0.2.1/", "http://198.18.0.1/", "http://198.51.100.1/", "http://203.0.113.1/",
	"http://224.0.0.1/", "http://240.0.0.1/", "http://255.255.255.255/",
	// IPv6, plain and around an IPv4 address.
	"http://[::1]/", "http://[::]/", "http://[0:0:0:0:0:0:0:1]/", "http://[0000:0000:0000:0000:0000:0000:0000:0001]/",
	"http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://[::ffff:169.254.169.254]/", "http://[::127.0.0.1]/", "http://[::a9fe:a9fe]/",
	"http://[::ffff:0:127.0.0.1]/", "http://[64:ff9b::127.0.0.1]/", "http://[64:ff9b::a9fe:a9fe]/", "http://[64:ff9b:1::a9fe:a9fe]/",
	"http://[2002:7f00:1::]/", "http://[2002:a9fe:a9fe::1]/", "http://[2001:0:a9fe:a9fe::1]/", "http://[2001:0:4136:e378:8000:63bf:80ff:fffe]/",
	"http://[fe80::1]/", "http://[fe80::1%25lo]/", "http://[fe80::1%25eth0]/", "http://[::1%25lo]/", "http://[fc00::1]/", "http://[fd00:ec2::254]/",
	"http://[fec0::1]/", "http://[ff02::1]/", "http://[100::1]/", "http://[2001:db8::1]/", "http://[2001:10::1]/", "http://[5f00::1]/", "http://[3fff::1]/",
	// Numbers that some programs take for an IPv4 address.
	"http://2130706433/", "http://0x7f000001/", "http://017700000001/", "http://0x7f.0x0.0x0.0x1/", "http://0177.0.0.1/", "http://0177.0.0.01/",
	"http://127.1/", "http://127.0.1/", "http://0x7f.1/", "http://0/", "http://0x0/", "http://127.0.0.1.5/", "http://127.00.0.1/", "http://2852039166/",
	"http://0xa9fea9fe/", "http://0251.0376.0251.0376/", "http://169.254.43518/", "http://4294967296/", "http://-1/",
	// Names that lead here.
	"http://localhost/", "http://LOCALHOST/", "http://localhost.localdomain/", "http://ip6-localhost/", "http://a.localhost/", "http://broadcasthost/",
	"http://metadata.google.internal/computeMetadata/v1/", "http://metadata/", "http://instance-data/", "http://kubernetes.default.svc/",
	"http://127.0.0.1.nip.io/", "http://rebind.example/", "http://xn--localhost-9f.example/", "http://host.docker.internal/", "http://six.example/",
	// Dots, ends, and letters that become digits.
	"http://127.0.0.1./", "http://localhost./", "http://metadata.google.internal./", "http://127.0.0.1../", "http://.127.0.0.1/",
	"http://127。0。0。1/", "http://127．0．0．1/", "http://①②⑦.⓪.⓪.①/", "http://１２７.０.０.１/", "http://ⓛocalhost/", "http://loc\u00adalhost/", "http://localhost\u200b/",
	// What stands before and behind a host.
	"http://example.com@127.0.0.1/", "http://127.0.0.1@example.com/", "http://user:password@localhost/", "http://example.com:80@127.0.0.1/",
	"http://127.0.0.1#@example.com/", "http://example.com#@127.0.0.1/", "http://127.0.0.1\\@example.com/", "http://example.com\\.127.0.0.1/",
	"http://127.0.0.1%2f@example.com/", "http://%31%32%37.0.0.1/", "http://localhost%00.example.com/", "http://127.0.0.1%0d%0aHost:x/", "http:127.0.0.1/",
	"http:///127.0.0.1/", "http://127.0.0.1:80:80/", "http://[127.0.0.1]/", "http://[::1/", "http://::1/", "http://127.0.0.1 .example.com/", "http://127.0.0.1\t/",
	// Ports and schemes that nobody's webhook has.
	"http://ports.example:22/", "http://ports.example:6379/", "http://ports.example:0/", "http://ports.example:65536/", "http://example.com:080/", "http://example.com:/",
	"http://example.com:-1/", "ftp://example.com/", "file:///etc/passwd", "gopher://127.0.0.1:6379/_FLUSHALL", "dict://127.0.0.1/", "unix:///run/x.sock",
	"javascript:alert(1)", "//127.0.0.1/", "127.0.0.1/", "HTTP+unix://x/", "ws://127.0.0.1/", "",
}

// names are the answers of the name server that are not this machine.
var names = map[string]string{
	"metadata.google.internal": "169.254.169.254", "metadata": "169.254.169.254", "instance-data": "169.254.169.254",
	"kubernetes.default.svc": "10.96.0.1", "host.docker.internal": "192.168.65.2", "six.example": "fd00::1", "example.com": "192.0.2.80", "ports.example": "93.184.215.14",
}

func lookUp(name string, _ int) []netip.Addr {
	if ip, ok := names[strings.ToLower(name)]; ok {
		return []netip.Addr{netip.MustParseAddr(ip)}
	}
	return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")}
}

// guarded is a sender as it runs for strangers.
func guarded(t *testing.T, o sender.Options) *sender.Sender {
	t.Helper()
	o.Timeout = 5 * time.Second
	s := sender.New(o)
	t.Cleanup(s.Close)
	return s
}

// save is what happens to an address when an endpoint is made.
func save(t *testing.T, s webhooks.Sender, url string) error {
	t.Helper()
	if err := webhooks.CheckURL(url); err != nil {
		return err
	}
	return s.Check(t.Context(), url)
}

// Each form is refused when it is saved, and, had it been saved by a mistake, when
// it is called.
func TestAddressesThatAreNotCalled(t *testing.T) {
	t.Parallel()
	require.GreaterOrEqual(t, len(inside), 70)
	ns := startNameServer(t, lookUp)
	s := guarded(t, sender.Options{Resolver: ns.resolver()})
	for _, url := range inside {
		t.Run(url, func(t *testing.T) {
			t.Parallel()
			require.Error(t, save(t, s, url), "saved")
			answer := s.Send(t.Context(), url, http.Header{}, []byte("{}"))
			require.NotEmpty(t, answer.Reason)
			require.Zero(t, answer.Status)
			require.Empty(t, answer.Address, "it was connected to")
			require.NotContains(t, answer.Reason, "refused", "it was dialled: %s", answer.Reason)
			require.NotContains(t, answer.Reason, "no complete answer", "it was dialled")
		})
	}
}

// The same sender does call what it may, so that the table above says something.
func TestAddressesThatAreCalled(t *testing.T) {
	t.Parallel()
	var hits atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	t.Cleanup(srv.Close)
	port := srv.URL[strings.LastIndex(srv.URL, ":"):]
	ns := startNameServer(t, lookUp)
	allow := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	s := guarded(t, sender.Options{Resolver: ns.resolver(), Allow: allow})
	for _, host := range []string{"127.0.0.1", "[::ffff:127.0.0.1]", "rebind.example", "hooks.example"} {
		url := "http://" + host + port + "/"
		require.NoError(t, webhooks.CheckURL(url))
		answer := s.Send(t.Context(), url, http.Header{}, []byte("{}"))
		require.Empty(t, answer.Reason, url)
		require.Equal(t, "127.0.0.1", answer.Address)
		require.Empty(t, answer.Body, "what a private network answers is not shown")
	}
	require.EqualValues(t, 4, hits.Load())
	for _, url := range []string{"https://example.org/hooks", "http://example.org:8080/", "https://93.184.215.14/", "https://[2606:2800:21f:cb07::1]:8443/x?y=z", "https://xn--bcher-kva.example.org/"} {
		public := startNameServer(t, func(string, int) []netip.Addr { return []netip.Addr{netip.MustParseAddr("93.184.215.14")} })
		require.NoError(t, save(t, guarded(t, sender.Options{Resolver: public.resolver()}), url), url)
	}
}

// A name that is public when it is saved, and leads inside when it is called, or
// from the second question on: what counts is the address that is dialled, and
// nobody is asked between the look and the call.
func TestRebinding(t *testing.T) {
	t.Parallel()
	public, private := netip.MustParseAddr("93.184.215.14"), []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")}
	var hits atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	t.Cleanup(srv.Close)
	ns := startNameServer(t, func(_ string, asked int) []netip.Addr {
		if asked == 1 {
			return []netip.Addr{public}
		}
		return private
	})
	s := guarded(t, sender.Options{Resolver: ns.resolver()})
	const name = "rebind.example"
	require.NoError(t, save(t, s, "http://"+name+":8080/"))
	for calls := 1; calls <= 3; calls++ {
		answer := s.Send(t.Context(), "http://"+name+":8080/", http.Header{}, []byte("{}"))
		require.Contains(t, answer.Reason, "not a public address")
		require.Empty(t, answer.Address)
		require.Equal(t, 1+calls, ns.questions(name), "one question for each call, so the answer is what is dialled")
	}
	require.Zero(t, hits.Load())

	// Of several addresses each is looked at: an allowed one does not open the way
	// to the others.
	mixed := startNameServer(t, func(string, int) []netip.Addr {
		return []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("169.254.169.254"), netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("fe80::1")}
	})
	allow := []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}
	answer := guarded(t, sender.Options{Resolver: mixed.resolver(), Allow: allow}).Send(t.Context(), srv.URL[:len("http://")]+"mixed.example"+srv.URL[strings.LastIndex(srv.URL, ":"):], http.Header{}, nil)
	require.Contains(t, answer.Reason, "not a public address")
	require.Zero(t, hits.Load())
}
