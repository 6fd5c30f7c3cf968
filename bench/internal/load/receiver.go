//go:build linux

package load

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// Told is what a [Receiver] got since it was made or last reset.
type Told struct {
	Requests int64     // each a delivery of its own, by its webhook-id
	Repeats  int64     // requests whose webhook-id had come before
	Events   int64     // in the requests, repeats left out
	Latency  Histogram // of the events with a stamp, from sending to the request that told of it
}

// Receiver is a customer's server for webhooks: it takes everything and answers
// 200 at once, on connections that are kept. Make one with [NewReceiver].
type Receiver struct {
	URL string // of the endpoint

	server http.Server
	served sync.WaitGroup

	mu   sync.Mutex
	seen map[string]bool // by webhook-id
	told Told
}

// NewReceiver listens on a free loopback port. [Receiver.Close] ends it.
func NewReceiver() (*Receiver, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for webhooks: %w", err)
	}
	r := &Receiver{URL: "http://" + l.Addr().String() + "/hooks", seen: map[string]bool{}}
	r.server.Handler = r
	r.served.Go(func() { _ = r.server.Serve(l) }) // it ends with Close
	return r, nil
}

// ServeHTTP implements [http.Handler].
func (r *Receiver) ServeHTTP(rw http.ResponseWriter, req *http.Request) {
	at := now()
	body, err := io.ReadAll(req.Body)
	var told struct{ Events []json.RawMessage }
	if err == nil {
		err = json.Unmarshal(body, &told)
	}
	id := req.Header.Get("webhook-id")
	if err != nil || id == "" {
		http.Error(rw, "not a webhook", http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen[id] {
		r.told.Repeats++
		return
	}
	r.seen[id] = true
	r.told.Requests++
	r.told.Events += int64(len(told.Events))
	for _, e := range told.Events {
		if s, _, ok := findStamp(e, bytes.Index(e, []byte(marker))); ok {
			r.told.Latency.Add(time.Duration(at - s.sent))
		}
	}
}

// Told returns what came so far.
func (r *Receiver) Told() Told {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.told
}

// Events returns the events that came so far.
func (r *Receiver) Events() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.told.Events
}

// Reset forgets all figures; a webhook-id that came before is still known.
func (r *Receiver) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = Told{}
}

// Drain waits until it was told of want events, and gives up when none came for
// idle or ctx ends. It reports whether they all came.
func (r *Receiver) Drain(ctx context.Context, want int64, idle time.Duration) bool {
	return drain(ctx, r.Events, want, idle)
}

// Close hangs up and waits for the listener's end.
func (r *Receiver) Close() {
	_ = r.server.Close()
	r.served.Wait()
}
