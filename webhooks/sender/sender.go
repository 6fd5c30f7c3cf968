// Package sender makes the calls of webhooks, to addresses that strangers name.
// It looks at the final address right before it is dialled, follows no redirect,
// and reads a bounded part of the answer in bounded time. What is sent and when
// is not its business.
package sender

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
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
	// DefaultTimeout bounds one call, as with Pusher.
	DefaultTimeout = 4 * time.Second

	maxHeaderBytes = 16 << 10
	maxBodyBytes   = 64 << 10
	keptBodyBytes  = 1 << 10
	keptHeadBytes  = 2 << 10
	// bodyTime is how long an answer that has been given is read further.
	bodyTime = time.Second
	idleTime = 15 * time.Second
	maxPools = 1000
)

// Options set up a [Client]. The zero value allows public addresses only.
type Options struct {
	Timeout time.Duration
	// Allow are ranges of inside addresses that may be called, on any port.
	Allow []netip.Prefix
	TLS   *tls.Config
	// Resolver is for tests.
	Resolver *net.Resolver
}

// Client implements [webhooks.Sender]. Connections are kept for a moment, and
// never shared between tenants.
type Client struct {
	o      Options
	public *ssrf.Guardian

	mu    sync.Mutex
	pools map[string]*http.Client
}

// New returns a client.
func New(o Options) *Client {
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	return &Client{o: o, public: ssrf.New(ssrf.WithPorts(80, 443, 8443)), pools: make(map[string]*http.Client)}
}

// Reachable says why the address in a URL may not be called, for what can be
// told without asking a name server; nil = perhaps it may.
func (c *Client) Reachable(raw string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return errors.New("is not a URL")
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	host := strings.ToLower(u.Hostname())
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		host = "127.0.0.1"
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		n, _ := strconv.Atoi(port)
		if len(c.o.Allow) == 0 && !slices.Contains([]int{80, 443, 8443}, n) {
			return errors.New("must use port 80, 443 or 8443")
		}
		return nil
	}
	network := "tcp6"
	if ip.Is4() {
		network = "tcp4"
	}
	if c.guard(network, net.JoinHostPort(ip.String(), port), nil) != nil {
		return errInside
	}
	return nil
}

var (
	errInside   = errors.New("leads to an address or port that webhooks may not call; public addresses on ports 80, 443 and 8443 may be, and the ranges an operator lists in webhook_allow_private")
	errRedirect = "the answer is a redirect, which is not followed; give the address it leads to"
)

// guard looks at the address a name has come to be, right before it is dialled:
// earlier, another answer of the name server could still follow.
func (c *Client) guard(network, address string, raw syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return errInside
	}
	if c.allowed(to.Addr()) {
		return nil
	}
	if err := c.public.Safe(network, address, raw); err != nil {
		return errInside
	}
	return nil
}

// allowed reports whether the operator has listed the address.
func (c *Client) allowed(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	return slices.ContainsFunc(c.o.Allow, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// pool is the tenant's own client.
func (c *Client) pool(tenantID string) *http.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.pools[tenantID]; p != nil {
		return p
	}
	if len(c.pools) >= maxPools {
		for id, p := range c.pools { // any one will do
			p.CloseIdleConnections()
			delete(c.pools, id)
			break
		}
	}
	dialer := &net.Dialer{Timeout: c.o.Timeout, Control: c.guard, Resolver: c.o.Resolver}
	p := &http.Client{
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        c.o.TLS,
			TLSHandshakeTimeout:    c.o.Timeout,
			ResponseHeaderTimeout:  c.o.Timeout,
			MaxResponseHeaderBytes: maxHeaderBytes,
			MaxIdleConnsPerHost:    4,
			MaxIdleConns:           64,
			IdleConnTimeout:        idleTime,
			DisableCompression:     true, // the bound is on what is kept, so nothing may grow
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	c.pools[tenantID] = p
	return p
}

// Close ends the connections that are kept.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.pools {
		p.CloseIdleConnections()
	}
	return nil
}

// Send implements [webhooks.Sender].
func (c *Client) Send(ctx context.Context, r webhooks.Request) webhooks.Response {
	start := time.Now()
	out := c.send(ctx, r)
	out.Took = time.Since(start)
	return out
}

func (c *Client) send(ctx context.Context, r webhooks.Request) (out webhooks.Response) {
	if err := webhooks.CheckURL(r.URL); err != nil {
		out.Reason = err.Error()
		return out
	}
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	var to addressSeen
	req, err := http.NewRequestWithContext(to.watch(ctx), http.MethodPost, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		out.Reason = "the address is not a URL"
		return out
	}
	req.Header = r.Header
	res, err := c.pool(r.TenantID).Do(req)
	out.Address = to.get()
	if err != nil {
		out.Reason = c.reason(ctx, err)
		return out
	}
	defer func() { _ = res.Body.Close() }()
	out.Status = res.StatusCode
	out.Head = printHead(res)
	out.RetryAfter = retryAfter(res.Header.Get("Retry-After"))
	switch {
	case res.StatusCode >= 200 && res.StatusCode < 300:
	case res.StatusCode >= 300 && res.StatusCode < 400:
		out.Reason = errRedirect
	default:
		out.Reason = fmt.Sprintf("the answer has status %d", res.StatusCode)
	}
	// The answer is given; what comes behind it cannot change it. It is read a
	// little, so that the connection can be used again.
	stop := time.AfterFunc(bodyTime, cancel)
	defer stop.Stop()
	body, _ := io.ReadAll(io.LimitReader(res.Body, maxBodyBytes))
	if ip, err := netip.ParseAddrPort(out.Address); err == nil && !c.allowed(ip.Addr()) {
		out.Body = printable(body, keptBodyBytes)
	}
	return out
}

// reason is what a failed call is put down to, in words that do not depend on
// what is inside.
func (c *Client) reason(ctx context.Context, err error) string {
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	var refused *net.OpError
	switch {
	case errors.Is(err, errInside):
		return "the address " + errInside.Error()
	case errors.Is(ctx.Err(), context.DeadlineExceeded) || isTimeout(err):
		return fmt.Sprintf("no answer within %s", c.o.Timeout)
	case errors.As(err, &dns):
		return "the name of the host is not known"
	case errors.As(err, &cert):
		return "the certificate is not trusted: " + printable([]byte(cert.Err.Error()), 200)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused"
	case errors.As(err, &refused) && refused.Op == "dial":
		return "the host cannot be reached"
	}
	return "the connection ended before an answer: " + printable([]byte(last(err).Error()), 200)
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// last leaves out the layers that repeat the URL.
func last(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// retryAfter reads seconds or a date; 0 = neither.
func retryAfter(v string) time.Duration {
	if n, err := strconv.Atoi(v); err == nil && n > 0 && n < 1<<31 {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}

func printHead(res *http.Response) string {
	lines := []string{res.Proto + " " + strconv.Itoa(res.StatusCode)}
	for name, values := range res.Header {
		if name == "Set-Cookie" {
			continue
		}
		lines = append(lines, name+": "+strings.Join(values, ", "))
	}
	slices.Sort(lines[1:])
	return printable([]byte(strings.Join(lines, "\n")), keptHeadBytes)
}

// printable keeps text that a terminal or a page can show, cut to n bytes.
func printable(b []byte, n int) string {
	b = b[:min(len(b), n)]
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r == '\uFFFD' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(string(b), ""))
}

var _ webhooks.Sender = (*Client)(nil)
