package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// readyAnswer asks r as a load balancer does.
func readyAnswer(t *testing.T, r *readiness) (status int, text string, checks map[string]string) {
	t.Helper()
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	var body struct {
		Status string
		Checks map[string]string
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &body))
	return w.Code, body.Status, body.Checks
}

func TestReadinessFollowsItsDependencies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var away atomic.Bool
		var log buffer
		r := newReadiness(slog.New(slog.NewTextHandler(&log, nil)), []readyCheck{
			{"database", func(context.Context) error {
				if away.Load() {
					return errors.New("geheim: connection refused")
				}
				return nil
			}},
			{"redis", func(context.Context) error { return nil }},
		})
		status, _, _ := readyAnswer(t, r)
		require.Equal(t, http.StatusServiceUnavailable, status, "not ready before it was asked")

		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.run(ctx) }()
		synctest.Wait()
		status, text, _ := readyAnswer(t, r)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, "ready", text)

		away.Store(true)
		time.Sleep(readyEvery)
		synctest.Wait()
		status, text, checks := readyAnswer(t, r)
		require.Equal(t, http.StatusServiceUnavailable, status)
		require.Equal(t, "not ready", text)
		require.Equal(t, map[string]string{"database": "away", "redis": "ok"}, checks)
		require.Contains(t, log.String(), "connection refused", "the reason is in the log")

		away.Store(false)
		time.Sleep(readyEvery)
		synctest.Wait()
		status, _, _ = readyAnswer(t, r)
		require.Equal(t, http.StatusOK, status)

		r.drain()
		status, text, _ = readyAnswer(t, r)
		require.Equal(t, http.StatusServiceUnavailable, status)
		require.Equal(t, "draining", text)
		cancel()
		require.NoError(t, <-done)
	})
}

func TestReadinessSaysNothingOfASlowStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var log buffer
		r := newReadiness(slog.New(slog.NewTextHandler(&log, nil)), []readyCheck{
			{"configuration", func(context.Context) error {
				if time.Since(start) < 100*time.Millisecond {
					return errors.New("not yet")
				}
				return nil
			}},
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.run(ctx) }()
		time.Sleep(150 * time.Millisecond)
		status, _, _ := readyAnswer(t, r)
		require.Equal(t, http.StatusOK, status, "ready as soon as the part is")
		require.Empty(t, log.String())
		cancel()
		require.NoError(t, <-done)
	})
}

// A dependency that does not answer at all must not hold the others up for good.
func TestReadinessBoundsEachQuestion(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log buffer
		r := newReadiness(slog.New(slog.NewTextHandler(&log, nil)), []readyCheck{
			{"silent", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }},
			{"there", func(context.Context) error { return nil }},
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.run(ctx) }()
		time.Sleep(2*readyTimeout + readyEvery)
		synctest.Wait()
		_, _, checks := readyAnswer(t, r)
		require.Equal(t, map[string]string{"silent": "away", "there": "ok"}, checks)
		require.Contains(t, log.String(), "dependency=silent")
		cancel()
		require.NoError(t, <-done)
	})
}
