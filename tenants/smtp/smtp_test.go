package smtp_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"tidewire/tenants"
	"tidewire/tenants/smtp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a small mail server for one connection at a time.
type server struct {
	t      *testing.T
	l      net.Listener
	cert   *tls.Config // nil = no STARTTLS
	refuse string      // the answer to RCPT; empty = accepted
	got    chan string // what came: commands and the mail
}

func listen(t *testing.T, cert *tls.Config) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &server{t: t, l: l, cert: cert, got: make(chan string, 10)}
	done := make(chan struct{})
	go func() { defer close(done); s.run() }()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return s
}

func (s *server) run() {
	for {
		conn, err := s.l.Accept()
		if err != nil {
			return
		}
		s.serve(conn)
	}
}

func (s *server) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	var all strings.Builder
	defer func() { s.got <- all.String() }()
	in, secure := bufio.NewReader(conn), false
	say := func(line string) { _, _ = conn.Write([]byte(line + "\r\n")) }
	say("220 mail.test ESMTP")
	for data := false; ; {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		all.WriteString(line)
		verb := strings.ToUpper(strings.Fields(line + " x")[0])
		switch {
		case data && line == ".\r\n":
			data = false
			say("250 queued")
		case data:
		case verb == "EHLO":
			ext := "250-mail.test\r\n"
			if s.cert != nil && !secure {
				ext += "250-STARTTLS\r\n"
			} else {
				ext += "250-AUTH PLAIN\r\n"
			}
			say(ext + "250 8BITMIME")
		case verb == "STARTTLS":
			say("220 go ahead")
			conn, secure = tls.Server(conn, s.cert), true
			in = bufio.NewReader(conn)
		case verb == "AUTH":
			say("235 welcome")
		case verb == "RCPT" && s.refuse != "":
			say(s.refuse)
		case verb == "DATA":
			data = true
			say("354 go on")
		case verb == "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

var mail = tenants.Mail{To: "ada@example.com", Subject: "Grüße", Text: "Follow this link:\n\nhttps://rt.example.com/dashboard/verify?token=abc\n"}

func TestSend(t *testing.T) {
	t.Parallel()
	s := listen(t, nil)
	m, err := smtp.New(smtp.Config{URL: "smtp://" + s.l.Addr().String() + "?tls=off", From: "Acme <noreply@example.com>"})
	require.NoError(t, err)
	require.NoError(t, m.Send(t.Context(), mail))
	got := <-s.got
	for _, part := range []string{
		"MAIL FROM:<noreply@example.com>", "RCPT TO:<ada@example.com>", `From: "Acme" <noreply@example.com>`,
		"Auto-Submitted: auto-generated", "Subject: =?UTF-8?q?Gr=C3=BC=C3=9Fe?=", "token=3Dabc",
	} {
		require.Contains(t, got, part)
	}
}

func TestSendOverTLS(t *testing.T) {
	t.Parallel()
	web := httptest.NewTLSServer(nil) // for its certificate
	defer web.Close()
	s := listen(t, web.TLS)
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	m, err := smtp.New(smtp.Config{URL: "smtp://ada:p%40ss@" + s.l.Addr().String(), From: "noreply@example.com", RootCAs: roots})
	require.NoError(t, err)
	require.NoError(t, m.Send(t.Context(), mail))
	got := <-s.got
	require.Contains(t, got, "AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00ada\x00p@ss")))
	require.Less(t, strings.Index(got, "STARTTLS"), strings.Index(got, "AUTH"))

	m, err = smtp.New(smtp.Config{URL: "smtp://" + s.l.Addr().String(), From: "noreply@example.com"})
	require.NoError(t, err)
	require.ErrorContains(t, m.Send(t.Context(), mail), "certificate", "an unknown certificate is not believed")
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	s := listen(t, nil)
	s.refuse = "550 no such user"
	m, err := smtp.New(smtp.Config{URL: "smtp://" + s.l.Addr().String() + "?tls=off", From: "noreply@example.com"})
	require.NoError(t, err)
	require.ErrorContains(t, m.Send(t.Context(), mail), "550")

	m, err = smtp.New(smtp.Config{URL: "smtp://user:geheim@" + s.l.Addr().String(), From: "noreply@example.com"})
	require.NoError(t, err)
	err = m.Send(t.Context(), mail)
	require.ErrorContains(t, err, "STARTTLS", "a password is not sent over a plain line")
	require.NotContains(t, err.Error(), "geheim")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, m.Send(ctx, mail))
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{
		"no scheme": "mail.example.com", "other scheme": "http://mail.example.com", "no host": "smtp://", "path": "smtp://a/b",
		"port": "smtp://a:99999", "parameter": "smtp://a?ssl=1", "mode": "smtp://a?tls=maybe", "smtps off": "smtps://a?tls=off",
	} {
		_, err := smtp.New(smtp.Config{URL: url, From: "a@example.com"})
		require.Error(t, err, name)
	}
	_, err := smtp.New(smtp.Config{URL: "smtp://a", From: "nobody"})
	require.ErrorContains(t, err, "sender")
}
