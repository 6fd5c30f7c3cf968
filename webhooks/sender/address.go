package sender

import (
	"context"
	"net/http/httptrace"
	"sync"
)

// addressSeen notes which address a call went to.
type addressSeen struct {
	mu      sync.Mutex
	address string
}

func (a *addressSeen) set(address string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.address = address
}

func (a *addressSeen) get() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.address
}

func (a *addressSeen) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(i httptrace.GotConnInfo) { a.set(i.Conn.RemoteAddr().String()) },
	})
}
