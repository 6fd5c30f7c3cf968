package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/gorilla/websocket"
	"golang.org/x/sync/errgroup"

	"tidewire/tenants"
)

const (
	benchDialers = 64               // connections opened at the same time
	benchPosters = 64               // publishes under way at the same time
	benchWait    = 5 * time.Second  // for events still under way at the end
	benchAnswer  = 15 * time.Second // for one answer of the server
)

// benchRun is the state of one measurement. Histograms count microseconds.
type benchRun struct {
	plan   benchPlan
	client *http.Client

	mu       sync.Mutex // guards what follows
	conns    []*websocket.Conn
	connects *hdrhistogram.Histogram
	answers  *hdrhistogram.Histogram
	arrivals *hdrhistogram.Histogram
	failures map[string]int

	started   time.Time
	took      time.Duration
	published atomic.Int64
	expected  atomic.Int64 // deliveries of what was published
	arrived   atomic.Int64
	lost      atomic.Int64 // connections that ended before the run did
	ending    atomic.Bool
	readers   sync.WaitGroup
	listeners []int64 // by channel
}

func newBenchRun(p benchPlan) *benchRun {
	histogram := func() *hdrhistogram.Histogram { return hdrhistogram.New(1, time.Hour.Microseconds(), 3) }
	r := &benchRun{
		plan: p, connects: histogram(), answers: histogram(), arrivals: histogram(), failures: map[string]int{},
		listeners: make([]int64, p.Channels),
		client: &http.Client{Timeout: benchAnswer, Transport: &http.Transport{
			MaxIdleConnsPerHost: benchPosters, MaxConnsPerHost: benchPosters, Proxy: http.ProxyFromEnvironment,
		}},
	}
	for i := range p.Connections {
		r.listeners[i%p.Channels]++
	}
	return r
}

func (r *benchRun) record(h *hdrhistogram.Histogram, d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = h.RecordValue(min(max(d.Microseconds(), 1), time.Hour.Microseconds()))
}

// connect opens and subscribes every connection. One that fails ends the run:
// figures of half the plan would mislead.
func (r *benchRun) connect(ctx context.Context, show *progress) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(benchDialers)
	var up atomic.Int64
	for i := range r.plan.Connections {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return errInterrupted
			}
			if err := r.join(ctx, i); err != nil {
				return fmt.Errorf("connection %d of %d: %w", up.Load()+1, r.plan.Connections, err)
			}
			show.set("connect", up.Add(1), int64(r.plan.Connections))
			return nil
		})
	}
	return group.Wait()
}

func (r *benchRun) join(ctx context.Context, i int) error {
	start := time.Now()
	address := "ws" + strings.TrimPrefix(r.plan.URL, "http") + "/app/" + url.PathEscape(r.plan.key.Key) + "?protocol=7&client=tidewire-bench&version=1.0.0"
	dialer := websocket.Dialer{HandshakeTimeout: benchAnswer, Proxy: http.ProxyFromEnvironment, ReadBufferSize: 2048, WriteBufferSize: 512}
	conn, resp, err := dialer.DialContext(ctx, address, nil)
	if resp != nil {
		_ = resp.Body.Close()
	}
	if err != nil {
		return fmt.Errorf("connect to %s: %w", r.plan.URL, innermost(err))
	}
	conn.SetReadLimit(tailMaxFrame)
	if err := subscribeBench(conn, r.plan.channel(i)); err != nil {
		_ = conn.Close()
		return err
	}
	r.record(r.connects, time.Since(start))
	r.mu.Lock()
	r.conns = append(r.conns, conn)
	r.mu.Unlock()
	r.readers.Add(1)
	go r.read(conn)
	return nil
}

// subscribeBench waits for the greeting and for the subscription.
func subscribeBench(conn *websocket.Conn, channel string) error {
	if err := conn.SetReadDeadline(time.Now().Add(benchAnswer)); err != nil {
		return err
	}
	for {
		_, message, err := conn.ReadMessage()
		if err != nil {
			return closeError(err)
		}
		var f frame
		if err := json.Unmarshal(message, &f); err != nil {
			return fmt.Errorf("the server sent no JSON: %w", err)
		}
		switch f.Event {
		case "pusher:connection_established":
			err = conn.WriteJSON(map[string]any{"event": "pusher:subscribe", "data": map[string]string{"channel": channel}})
		case "pusher:error":
			err = errors.New("the server refused: " + printableText(f.text()))
		case "pusher_internal:subscription_succeeded":
			return conn.SetReadDeadline(time.Time{})
		}
		if err != nil {
			return err
		}
	}
}

// read counts what arrives on one connection until it ends.
func (r *benchRun) read(conn *websocket.Conn) {
	defer r.readers.Done()
	for {
		_, message, err := conn.ReadMessage()
		now := time.Now()
		if err != nil {
			if !r.ending.Load() {
				r.lost.Add(1)
			}
			return
		}
		var f frame
		if json.Unmarshal(message, &f) != nil {
			continue
		}
		if f.Event == "pusher:ping" {
			_ = conn.WriteMessage(websocket.TextMessage, []byte(`{"event":"pusher:pong","data":{}}`))
			continue
		}
		if _, due, ok := readStamp(f.text()); ok && f.Event == "bench" {
			r.arrived.Add(1)
			r.record(r.arrivals, now.Sub(due))
		}
	}
}

// publish sends events on a fixed schedule, whatever the server does.
func (r *benchRun) publish(ctx context.Context, show *progress) error {
	total := max(1, int64(r.plan.Duration.Seconds()*float64(r.plan.Rate)))
	var group errgroup.Group
	group.SetLimit(benchPosters)
	r.started = time.Now()
	for n := range total {
		due := r.started.Add(time.Duration(float64(n) / float64(r.plan.Rate) * float64(time.Second)))
		select {
		case <-ctx.Done():
			_ = group.Wait()
			return errInterrupted
		case <-time.After(time.Until(due)):
		}
		group.Go(func() error { r.post(ctx, n, due); return nil })
		show.set("publish", n+1, total)
	}
	_ = group.Wait()
	r.took = time.Since(r.started)
	return nil
}

func (r *benchRun) post(ctx context.Context, n int64, due time.Time) {
	channel := int(n) % r.plan.Channels
	body, err := json.Marshal(map[string]any{
		"name": "bench", "channels": []string{r.plan.channel(channel)}, "data": stampedData(r.plan.Size, n, due),
	})
	if err != nil {
		r.failed(err.Error())
		return
	}
	path := "/apps/" + url.PathEscape(r.plan.App) + "/events"
	query := tenants.SignRequest(r.plan.key.Secret, r.plan.key.Key, http.MethodPost, path, nil, body, time.Now())
	start := time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.plan.URL+path+"?"+query.Encode(), bytes.NewReader(body))
	if err != nil {
		r.failed(err.Error())
		return
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := r.client.Do(req)
	if err != nil {
		r.failed(innermost(err).Error())
		return
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
	if resp.StatusCode != http.StatusOK {
		r.failed(fmt.Sprintf("%d %s", resp.StatusCode, printableText(strings.TrimSpace(string(answer)))))
		return
	}
	r.record(r.answers, time.Since(start))
	r.published.Add(1)
	r.expected.Add(r.listeners[channel])
}

func (r *benchRun) failed(why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.failures) < 20 || r.failures[why] > 0 {
		r.failures[why]++
	}
}

// settle waits until everything has arrived, or nothing more is to be expected.
func (r *benchRun) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, benchWait)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for r.arrived.Load() < r.expected.Load() {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// disconnect closes everything and waits for the readers; twice is in order.
func (r *benchRun) disconnect() {
	r.ending.Store(true)
	r.mu.Lock()
	conns := r.conns
	r.conns = nil
	r.mu.Unlock()
	for _, conn := range conns {
		bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
		_ = conn.WriteControl(websocket.CloseMessage, bye, time.Now().Add(time.Second))
		_ = conn.Close()
	}
	r.readers.Wait()
	r.client.CloseIdleConnections()
}
