// Package sender calls the addresses that tenants name for their webhooks. It is
// the guarded way out: what is dialled is looked at after names have become
// addresses, redirects are not followed, and what comes back is bounded.
//
// It knows nothing of deliveries, signatures or retries.
package sender

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"code.dny.dev/ssrf"

	"tidewire/webhooks"
)

const (
	// DefaultTimeout is Pusher's: a receiver has four seconds from the dial to the
	// last byte of its answer.
	DefaultTimeout = 4 * time.Second
	maxHeaderBytes = 16 << 10
	maxBody        = 64 << 10 // read, so that the connection can be used again
	maxShown       = 1 << 10
)

// Options set up a [Sender].
type Options struct {
	// Allow are networks that may be called although they are not public, by http
	// too and on any port.
	Allow   []netip.Prefix
	Timeout time.Duration // of a whole call; DefaultTimeout if 0
	// Roots are the authorities of receivers' certificates; nil = the system's.
	Roots *x509.CertPool
	// Resolver finds the addresses of names; nil = the system's.
	Resolver *net.Resolver
}

// Sender is the [webhooks.Sender] over HTTP.
type Sender struct {
	o      Options
	client *http.Client
	public *ssrf.Guardian
}

var _ webhooks.Sender = (*Sender)(nil)

// New makes a sender.
func New(o Options) *Sender {
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	s := &Sender{o: o, public: ssrf.New(ssrf.WithPorts(80, 443, 8080, 8443))}
	dialer := &net.Dialer{Timeout: o.Timeout, Control: s.control, Resolver: o.Resolver}
	s.client = &http.Client{
		Timeout: o.Timeout,
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.Roots},
			TLSHandshakeTimeout:    o.Timeout,
			ResponseHeaderTimeout:  o.Timeout,
			MaxResponseHeaderBytes: maxHeaderBytes,
			MaxIdleConnsPerHost:    4, // as many as an endpoint is called at once
			MaxIdleConns:           512,
			IdleConnTimeout:        30 * time.Second,
			DisableCompression:     true, // the bound is on what is kept, so nothing may grow
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return s
}

// Close ends the connections that are kept for further calls.
func (s *Sender) Close() { s.client.CloseIdleConnections() }

// errAddress says that an address is not the tenant's to call.
var errAddress = errors.New("is not a public address, or has a port other than 80, 443, 8080 or 8443; private networks must be allowed by whoever runs the server (webhook_allow_private)")

// control looks at the address a name has come to be, right before it is
// dialled: earlier, another answer of the name server could still follow.
func (s *Sender) control(network, address string, c syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return errAddress
	}
	if s.allowed(to.Addr()) {
		return nil
	}
	if err := s.public.Safe(network, address, c); err != nil {
		return errAddress
	}
	return nil
}

func (s *Sender) allowed(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	return slices.ContainsFunc(s.o.Allow, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// Check implements [webhooks.Sender]. A name that cannot be found now is not
// refused: it may be there when it is called, and is looked at then.
func (s *Sender) Check(ctx context.Context, raw string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return errors.New("is not an address")
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	resolver := s.o.Resolver
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	addresses, err := resolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil {
		return nil //nolint:nilerr // not known yet
	}
	for _, ip := range addresses {
		network := "tcp4"
		if ip = ip.Unmap(); ip.Is6() {
			network = "tcp6"
		}
		if err := s.control(network, net.JoinHostPort(ip.String(), port), nil); err != nil {
			return err
		}
	}
	return nil
}

// Send implements [webhooks.Sender].
func (s *Sender) Send(ctx context.Context, to string, header http.Header, body []byte) webhooks.Answer {
	var a webhooks.Answer
	var mu sync.Mutex // the trace may still run when the call has ended
	var dialled netip.Addr
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
		if at, err := netip.ParseAddrPort(i.Conn.RemoteAddr().String()); err == nil {
			mu.Lock()
			dialled = at.Addr()
			mu.Unlock()
		}
	}})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		a.Reason = "the address cannot be read"
		return a
	}
	req.Header = header
	// It is not sent. It says that a call may be made anew when the receiver has
	// closed the kept connection at that very moment: receivers drop what has the
	// id of a delivery they know.
	req.Header["Idempotency-Key"] = nil
	res, err := s.client.Do(req)
	mu.Lock()
	if dialled.IsValid() {
		a.Address = dialled.Unmap().String()
	}
	secret := s.allowed(dialled) // what a private network answers is not the tenant's to read
	mu.Unlock()
	if err != nil {
		a.Reason = reasonOf(err, s.o.Timeout)
		return a
	}
	defer func() { _ = res.Body.Close() }()
	a.Status = res.StatusCode
	a.Head = headOf(res)
	var text []byte
	if res.StatusCode != http.StatusSwitchingProtocols { // else the body is the bare connection, on which no time-out holds
		text, err = io.ReadAll(io.LimitReader(res.Body, maxBody))
	}
	if !secret {
		a.Body = strings.ToValidUTF8(string(text[:min(len(text), maxShown)]), "\uFFFD")
	}
	a.RetryAfter = retryAfter(res)
	switch {
	case res.StatusCode >= 300 && res.StatusCode < 400:
		a.Reason = fmt.Sprintf("answered %d: redirects are not followed; set the address it leads to", res.StatusCode)
	case res.StatusCode < 200 || res.StatusCode > 299:
		a.Reason = fmt.Sprintf("answered %d: anything but 2xx is a failure", res.StatusCode)
	case err != nil:
		a.Reason = "the answer ended early: " + reasonOf(err, s.o.Timeout)
	}
	return a
}

// headOf shows the status line and some headers.
func headOf(res *http.Response) string {
	var b strings.Builder
	b.WriteString(res.Proto + " " + res.Status + "\n")
	for _, name := range []string{"Content-Type", "Content-Length", "Date", "Location", "Retry-After", "Server"} {
		if v := res.Header.Get(name); v != "" {
			b.WriteString(name + ": " + v + "\n")
		}
	}
	return strings.ToValidUTF8(b.String()[:min(b.Len(), maxShown)], "\uFFFD")
}

// retryAfter reads what the receiver asks for, in seconds or as a date.
func retryAfter(res *http.Response) time.Duration {
	text := res.Header.Get("Retry-After")
	if n, err := strconv.Atoi(text); err == nil && n > 0 && n < 1<<20 {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}

// reasonOf words an error for the customer, without addresses of ours.
func reasonOf(err error, timeout time.Duration) string {
	var (
		dns     *net.DNSError
		unknown x509.UnknownAuthorityError
		invalid x509.CertificateInvalidError
		name    x509.HostnameError
		record  tls.RecordHeaderError
		timed   net.Error
	)
	switch {
	case errors.Is(err, errAddress):
		return "the host " + errAddress.Error()
	case errors.As(err, &dns) && dns.IsNotFound:
		return "the host name does not exist"
	case errors.As(err, &timed) && timed.Timeout():
		return fmt.Sprintf("no complete answer within %s", timeout)
	case errors.As(err, &dns):
		return "the host name cannot be looked up at the moment"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused: nothing listens there"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		strings.Contains(err.Error(), "server closed idle connection"):
		return "the connection was closed before the answer was complete"
	case errors.As(err, &unknown), errors.As(err, &invalid), errors.As(err, &name):
		return "the certificate is not valid for this host: " + certificateReason(err)
	case errors.As(err, &record), strings.Contains(err.Error(), "gave HTTP response to HTTPS client"):
		return "the other side does not speak TLS; check http:// or https:// and the port"
	case strings.Contains(err.Error(), "server response headers exceeded"):
		return "the headers of the answer are too large"
	}
	return "the call failed; the other side may not speak HTTP"
}

func certificateReason(err error) string {
	var (
		invalid x509.CertificateInvalidError
		name    x509.HostnameError
	)
	switch {
	case errors.As(err, &name):
		return "it is made out to another name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "it has expired or is not valid yet"
	}
	return "it is not signed by an authority that is known"
}
