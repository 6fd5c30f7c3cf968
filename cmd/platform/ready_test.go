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

// asked asks r as a load balancer does.
func asked(t *testing.T, r *readiness, query string) (status int, told health) {
	t.Helper()
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz"+query, nil))
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &told))
	return w.Code, told
}

func TestReadinessFollowsItsDependencies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		away := map[string]*atomic.Bool{needsDatabase: {}, needsRealtime: {}}
		var log buffer
		var checks []readyCheck
		for name, gone := range away {
			checks = append(checks, readyCheck{name, func(context.Context) error {
				if gone.Load() {
					return errors.New("geheim: connection refused")
				}
				return nil
			}})
		}
		r := newReadiness(slog.New(slog.NewTextHandler(&log, nil)), checks)
		status, told := asked(t, r, "?degraded=ok")
		require.Equal(t, http.StatusServiceUnavailable, status, "not ready before it was asked")
		require.Equal(t, stateStarting, told.Status)

		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.run(ctx) }()
		look := func(wantStatus, wantDegradedOK int, want string) health {
			t.Helper()
			time.Sleep(readyEvery)
			synctest.Wait()
			status, told := asked(t, r, "")
			require.Equal(t, wantStatus, status)
			require.Equal(t, want, told.Status)
			status, _ = asked(t, r, "?degraded=ok")
			require.Equal(t, wantDegradedOK, status)
			return told
		}
		told = look(200, 200, stateReady)
		require.NotContains(t, told.Works, false)

		away[needsDatabase].Store(true)
		told = look(503, 200, stateDegraded)
		require.Equal(t, map[string]string{"database": "away", "redis": "ok"}, told.Checks)
		require.Equal(t, map[string]bool{"events": true, "connections": true, "new_apps": false, "admin": false, "webhooks": false}, told.Works)
		require.Equal(t, "degraded: database away; does not work: admin, new_apps, webhooks", told.String())
		require.Contains(t, log.String(), "connection refused", "the reason is in the log")
		require.Contains(t, log.String(), `stops="new_apps admin webhooks"`)

		away[needsRealtime].Store(true)
		look(503, 503, stateNotReady)
		away[needsDatabase].Store(false)
		told = look(503, 503, stateNotReady)
		require.Equal(t, map[string]bool{"events": false, "connections": true, "new_apps": true, "admin": true, "webhooks": true}, told.Works)
		away[needsRealtime].Store(false)
		look(200, 200, stateReady)

		r.drain()
		look(503, 503, stateDraining)
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
		status, _ := asked(t, r, "")
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
		_, told := asked(t, r, "")
		require.Equal(t, map[string]string{"silent": "away", "there": "ok"}, told.Checks)
		require.Contains(t, log.String(), "dependency=silent")
		cancel()
		require.NoError(t, <-done)
	})
}
