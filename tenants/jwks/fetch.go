package jwks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
)

const (
	maxSetBytes    = 64 << 10
	maxHeaderBytes = 16 << 10
)

var (
	errHTTP     = errors.New("plain http is for loopback addresses that this server allows")
	errRedirect = errors.New("the answer is a redirect, which is not followed: give the address it leads to")
	errTooLarge = errors.New("the answer is larger than 64 KiB")
)

// newClient makes the client of all fetches. Connections are not kept: one
// tenant's must not serve another's request.
func newClient(o Options, onlyLoopback bool) *http.Client {
	dialer := &net.Dialer{Timeout: o.Timeout, Control: guard(o.Allow, onlyLoopback)}
	return &http.Client{
		Timeout: o.Timeout,
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        o.TLS,
			TLSHandshakeTimeout:    o.Timeout,
			ResponseHeaderTimeout:  o.Timeout,
			MaxResponseHeaderBytes: maxHeaderBytes,
			DisableKeepAlives:      true,
			DisableCompression:     true, // the bound is on what is kept, so nothing may grow
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// guard looks at the address a name has come to be, right before it is dialled:
// earlier, another answer of the name server could still follow.
func guard(allow []netip.Prefix, onlyLoopback bool) func(network, address string, c syscall.RawConn) error {
	public := ssrf.New(ssrf.WithPorts(443, 8443))
	return func(network, address string, c syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("dial: %w", err)
		}
		for _, prefix := range allow {
			if ip := to.Addr().Unmap().WithZone(""); prefix.Contains(ip) && (!onlyLoopback || ip.IsLoopback()) {
				return nil
			}
		}
		if onlyLoopback {
			return errHTTP
		}
		return public.Safe(network, address, c)
	}
}

// fetch returns the text of the key set at address.
func (k *Keys) fetch(ctx context.Context, address string) ([]byte, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("not a URL")
	}
	client := k.https
	switch {
	case u.User != nil:
		return nil, errors.New("the URL holds a password")
	case u.Scheme == "http":
		client = k.http
	case u.Scheme != "https":
		return nil, errHTTP
	}
	ctx, cancel := context.WithTimeout(ctx, k.o.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, errors.New("not a URL")
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	req.Header.Set("User-Agent", "tidewire-jwks")
	res, err := client.Do(req)
	if err != nil {
		return nil, withoutURL(err)
	}
	defer func() { _ = res.Body.Close() }()
	switch {
	case res.StatusCode >= 300 && res.StatusCode < 400:
		return nil, errRedirect
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("the answer has status %d", res.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxSetBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", withoutURL(err))
	}
	if len(body) > maxSetBytes {
		return nil, errTooLarge
	}
	return body, nil
}

// withoutURL keeps a URL out of logs: its query may hold a password.
func withoutURL(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// defaultTimeout bounds one fetch, from the name look-up to the last byte.
const defaultTimeout = 5 * time.Second
