package webhooks_test

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/webhooks"
)

// rude is one way in which a receiver can be bad, and what has to come of a
// delivery to it.
type rude struct {
	name string
	url  func(t testing.TB) string

	status webhooks.DeliveryStatus
	http   int    // of the last answer
	reason string // a part of the last reason
	once   bool   // the first attempt settles it; else it takes all there are, if it is dead
}

// answering is a receiver that takes a request and sends this.
func answering(text string) func(testing.TB) string {
	return raw(func(c net.Conn, _ int) { _, _ = io.WriteString(c, text) })
}

// trickle sends a byte now and then, for ever.
func trickle(c net.Conn, text string) {
	for i := 0; ; i++ {
		if _, err := c.Write([]byte{text[i%len(text)]}); err != nil {
			return
		}
		time.Sleep(20 * time.Millisecond) // the pace of the bad receiver, nothing is waited for
	}
}

// flood sends some megabytes a second, for ever: more than anybody needs, and not
// all that the machine of the test has.
func flood(c net.Conn, text string) {
	for block := bytes.Repeat([]byte(text), 4096/len(text)); ; {
		if _, err := c.Write(block); err != nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// rudeness is every behaviour that is tried.
var rudeness = []rude{
	{name: "refuses the connection", url: refusing, status: webhooks.Dead, reason: "the connection was refused"},
	{name: "never accepts", url: deaf, status: webhooks.Dead, reason: "no complete answer"},
	{name: "accepts and says nothing", url: raw(hold), status: webhooks.Dead, reason: "no complete answer"},
	{name: "resets", url: raw(reset), status: webhooks.Dead, reason: "closed before the answer"},
	{name: "closes without a word", url: answering(""), status: webhooks.Dead, reason: "closed before the answer"},
	{name: "trickles headers", url: raw(func(c net.Conn, _ int) { trickle(c, "HTTP/1.1 200 OK\r\nX-Slow: "+strings.Repeat("x", 1<<20)) }), status: webhooks.Dead, reason: "no complete answer"},
	{name: "trickles a body", url: raw(func(c net.Conn, _ int) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
		trickle(c, "x")
	}), status: webhooks.Dead, http: 200, reason: "no complete answer"},
	{name: "stalls behind its headers", url: raw(func(c net.Conn, _ int) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
		hold(c, 0)
	}), status: webhooks.Dead, http: 200, reason: "no complete answer"},
	{name: "sends headers for ever", url: raw(func(c net.Conn, _ int) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
		flood(c, "X-More: and more\r\n")
	}), status: webhooks.Dead, reason: "headers of the answer are too large"},
	{name: "sends one huge header", url: answering("HTTP/1.1 200 OK\r\nX-Huge: " + strings.Repeat("x", 1<<20) + "\r\n\r\n"), status: webhooks.Dead, reason: "headers of the answer are too large"},
	{name: "sends 1xx for ever", url: raw(func(c net.Conn, _ int) { flood(c, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n") }), status: webhooks.Dead},
	{name: "sends a body for ever", url: raw(func(c net.Conn, _ int) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
		flood(c, "x")
	}), status: webhooks.Delivered, http: 200, once: true},
	{name: "sends chunks for ever", url: raw(func(c net.Conn, _ int) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		flood(c, "20\r\n"+strings.Repeat("x", 32)+"\r\n")
	}), status: webhooks.Delivered, http: 200, once: true},
	{name: "redirects", url: raw(func(c net.Conn, _ int) {
		_, _ = io.WriteString(c, "HTTP/1.1 302 Found\r\nLocation: http://"+c.LocalAddr().String()+"/elsewhere\r\nContent-Length: 0\r\n\r\n")
	}), status: webhooks.Dead, http: 302, reason: "redirects are not followed"},
	{name: "has a certificate of nobody", url: selfSigned, status: webhooks.Dead, reason: "not signed by an authority"},
	{name: "speaks no TLS", url: secure(greeting("HTTP/1.1 400 Bad Request\r\n\r\n")), status: webhooks.Dead, reason: "does not speak TLS"},
	{name: "never ends the TLS handshake", url: secure(raw(hold)), status: webhooks.Dead, reason: "no complete answer"},
	{name: "asks to come later, then takes it", url: raw(func(c net.Conn, nth int) {
		if nth <= 2 {
			_, _ = io.WriteString(c, "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n")
			return
		}
		_, _ = io.WriteString(c, ok)
	}), status: webhooks.Delivered, http: 200},
	{name: "asks to come at odd times", url: raw(func(c net.Conn, nth int) {
		after := []string{"-1", "99999999999999999999", "Thu, 01 Jan 1970 00:00:00 GMT", "soon"}[nth%4]
		_, _ = io.WriteString(c, "HTTP/1.1 503 Service Unavailable\r\nRetry-After: "+after+"\r\nContent-Length: 0\r\n\r\n")
	}), status: webhooks.Dead, http: 503, reason: "answered 503"},
	{name: "answers 500", url: answering("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"), status: webhooks.Dead, http: 500, reason: "answered 500"},
	{name: "answers 410", url: answering("HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"), status: webhooks.Dead, http: 410, reason: "answered 410", once: true},
	{name: "answers 101", url: raw(func(c net.Conn, _ int) {
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		hold(c, 0)
	}), status: webhooks.Dead, http: 101, reason: "answered 101"},
	{name: "answers 999", url: answering("HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n"), status: webhooks.Dead, http: 999, reason: "answered 999"},
	{name: "closes within its headers", url: answering("HTTP/1.1 200 OK\r\nContent-Le"), status: webhooks.Dead},
	{name: "closes within its body", url: answering("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this"), status: webhooks.Dead, http: 200, reason: "closed before the answer"},
	{name: "breaks off its chunks", url: answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"), status: webhooks.Dead, http: 200, reason: "closed before the answer"},
	{name: "sends garbage", url: answering("\x16\x03\x01\x00garbage\x00\xff\xfe\r\n\r\n"), status: webhooks.Dead, reason: "may not speak HTTP"},
	{name: "speaks HTTP/2", url: answering("\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64\x00\x04\x40\x00\x00\x00\x00\x02\x00\x00\x00\x00"), status: webhooks.Dead},
	{name: "contradicts itself on the length", url: answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokk"), status: webhooks.Dead, reason: "may not speak HTTP"},
	{name: "sends another content than it says", url: answering("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 6\r\n\r\n<html>"), status: webhooks.Delivered, http: 200, once: true},
	{name: "sends bytes that are no text", url: answering("HTTP/1.1 200 OK\r\nServer: \xff\xfe\x80\r\nContent-Length: 4\r\n\r\n\x00\xff\xfe\x80"), status: webhooks.Delivered, http: 200, once: true},
	{name: "answers twice", url: answering(ok + "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"), status: webhooks.Delivered, http: 200, once: true},
	{name: "answers before it has read", url: greeting(ok), status: webhooks.Delivered, http: 200, once: true},
	{name: "answers 204", url: answering("HTTP/1.1 204 No Content\r\n\r\n"), status: webhooks.Delivered, http: 204, once: true},
}

// raw listens and lets act answer each request; nth counts them from 1. When act
// returns the connection is closed.
func raw(act func(c net.Conn, nth int)) func(testing.TB) string {
	return func(t testing.TB) string {
		var nth atomic.Int64
		return listen(t, func(c net.Conn) {
			req, err := http.ReadRequest(bufio.NewReader(c))
			if err != nil {
				act(c, int(nth.Add(1))) // it may speak TLS
				return
			}
			if strings.HasSuffix(req.URL.Path, "/elsewhere") {
				t.Error("a redirect is followed")
			}
			_, _ = io.Copy(io.Discard, req.Body)
			act(c, int(nth.Add(1)))
		})
	}
}

// greeting sends this before it has read anything.
func greeting(text string) func(testing.TB) string {
	return func(t testing.TB) string {
		return listen(t, func(c net.Conn) {
			_, _ = io.WriteString(c, text)
			hold(c, 0)
		})
	}
}

// listen serves connections with act until the test ends.
func listen(t testing.TB, act func(net.Conn)) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	ended := false
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			if ended {
				_ = c.Close()
			}
			mu.Unlock()
			wg.Go(func() {
				defer func() { _ = c.Close() }()
				act(c)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		ended = true
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return "http://" + l.Addr().String() + "/hooks"
}

// hold says nothing until the other side has had enough.
func hold(c net.Conn, _ int) { _, _ = io.Copy(io.Discard, c) }

// reset ends a connection as a crash does.
func reset(c net.Conn, _ int) { _ = c.(*net.TCPConn).SetLinger(0) }

// refusing is an address where nobody listens.
func refusing(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return "http://" + l.Addr().String()
}

// deaf is an address where connections are asked for and never accepted: those
// that wait have filled all the room there is.
func deaf(t testing.TB) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = syscall.Close(fd) })
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, syscall.Listen(fd, 0))
	name, err := syscall.Getsockname(fd)
	require.NoError(t, err)
	address := "127.0.0.1:" + strconv.Itoa(name.(*syscall.SockaddrInet4).Port)
	for range 8 {
		c, err := net.DialTimeout("tcp", address, 100*time.Millisecond)
		if err != nil {
			return "http://" + address
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	t.Fatal("the queue of connections has no end")
	return ""
}

// secure is an address that is called by TLS.
func secure(url func(testing.TB) string) func(testing.TB) string {
	return func(t testing.TB) string { return "https" + strings.TrimPrefix(url(t), "http") }
}

// selfSigned speaks TLS under a certificate that nobody vouches for.
func selfSigned(t testing.TB) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "127.0.0.1"}, IPAddresses: []net.IP{{127, 0, 0, 1}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
	url := listen(t, func(c net.Conn) {
		if tls.Server(c, config).Handshake() == nil {
			t.Error("the certificate is accepted")
		}
	})
	return "https" + strings.TrimPrefix(url, "http")
}
