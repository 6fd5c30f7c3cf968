//go:build linux

package scenario

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tidewire/bench/internal/contender"
	"tidewire/bench/internal/report"
)

// twoNodes publishes on one node and listens on the other.
func twoNodes() Scenario {
	t := traffic{apps: 1, channels: 1, listeners: 1000, publishers: 4, waiting: 64, across: true}
	const perPublish = "redis_commands_per_publish"
	return Scenario{
		Name:       "two-nodes",
		About:      "1 channel x 1,000 subscribers x 200 B on one node, 4 publishers on another as fast as they are answered, at most 64 events outstanding; CPU of both nodes",
		Contenders: []string{contender.Tidewire},
		Options:    contender.Options{Apps: 1, Nodes: 2},
		Metrics: append(perDelivery(),
			report.Metric{Name: perPublish, Unit: "1", Digits: 2},
			report.Metric{Name: "redis_scripts_per_s", Unit: "1/s"},
			report.Metric{Name: "received_without_subscribers", Unit: "events"}),
		Goals: []report.Goal{
			{Metric: perM, Of: contender.Tidewire, AtMost: 2.5},
			{Metric: perPublish, Of: contender.Tidewire, AtMost: 1.005},
		},
		Run: func(ctx context.Context, e Env) (map[string]float64, error) {
			before, err := lookAt(ctx, e.Server)
			if err != nil {
				return nil, err
			}
			began := time.Now()
			figures, err := t.run(ctx, e)
			if err != nil {
				return nil, err
			}
			after, err := lookAt(ctx, e.Server)
			if err != nil {
				return nil, err
			}
			published := after.published - before.published
			if published == 0 {
				return nil, errors.New("the first node has published nothing")
			}
			figures[perPublish] = (after.commands - before.commands) / published
			figures["redis_scripts_per_s"] = (after.scripts - before.scripts) / time.Since(began).Seconds()
			figures["received_without_subscribers"] = after.received - before.received
			return figures, nil
		},
	}
}

// seen is what two nodes and their Redis have counted by now.
type seen struct {
	published, received float64 // by the first node
	commands            float64 // that publish, run by Redis
	scripts             float64 // run by Redis: leases and counts, whatever is published
}

func lookAt(ctx context.Context, s *contender.Server) (v seen, err error) {
	metrics, err := fetch(ctx, "http://"+s.Metrics+"/metrics")
	if err != nil {
		return v, err
	}
	stats, err := commandStats(ctx, s.Redis.Addr)
	if err != nil {
		return v, err
	}
	v.published = number(metrics, "tidewire_redis_published_total ")
	v.received = number(metrics, "tidewire_redis_received_total ")
	calls := func(command string) float64 { return number(stats, "cmdstat_"+command+":calls=") }
	v.commands, v.scripts = calls("publish")+calls("spublish"), calls("eval")+calls("evalsha")
	return v, nil
}

// number is what follows a word at the start of a line; 0 if none does.
func number(text, word string) float64 {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, word); ok {
			rest, _, _ = strings.Cut(strings.TrimSpace(rest), ",")
			n, _ := strconv.ParseFloat(rest, 64)
			return n
		}
	}
	return 0
}

func fetch(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", fmt.Errorf("read the metrics: %w", err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return "", fmt.Errorf("read the metrics: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return "", fmt.Errorf("read the metrics: %w", err)
	}
	return string(text), nil
}

// commandStats asks a Redis how often it ran each command.
func commandStats(ctx context.Context, addr string) (string, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return "", fmt.Errorf("ask redis: %w", err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, "INFO commandstats\r\n"); err != nil {
		return "", fmt.Errorf("ask redis: %w", err)
	}
	r := bufio.NewReader(conn)
	head, err := r.ReadString('\n')
	if err != nil || len(head) < 4 || head[0] != '$' {
		return "", fmt.Errorf("ask redis: unexpected answer %q: %w", head, err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(head[1:]))
	if err != nil || n < 0 || n > 1<<20 {
		return "", fmt.Errorf("ask redis: unexpected answer %q", head)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return "", fmt.Errorf("ask redis: %w", err)
	}
	return string(text), nil
}
