package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/tenants"
)

func TestTooFast(t *testing.T) {
	t.Parallel()
	for wait, seconds := range map[time.Duration]string{0: "1", time.Millisecond: "1", time.Second: "1", 1001 * time.Millisecond: "2", 90 * time.Second: "90"} {
		f := setup(t)
		f.hub.over = &tenants.RateError{Limit: "max_publishes_per_second", PerSecond: 20, RetryAfter: wait}
		for name, a := range map[string]answer{
			"trigger": f.trigger(`{"name":"e","channel":"c","data":"d"}`),
			"batch":   f.batch(`{"batch":[{"name":"e","channel":"c","data":"d"}]}`),
			"read":    f.get("/apps/3/channels", ""),
		} {
			require.Equal(t, http.StatusTooManyRequests, a.status, name)
			require.Equal(t, seconds, a.header.Get("Retry-After"), name)
			require.Equal(t, "text/plain; charset=utf-8", a.header.Get("Content-Type"))
			require.Contains(t, a.body, "this app may use 20 a second (max_publishes_per_second). Slow down")
		}
		require.Empty(t, f.hub.taken())
	}
}

func TestOverTheMessagesOfTheDay(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.hub.over = &tenants.QuotaError{Limit: 5000}
	a := f.trigger(`{"name":"e","channel":"c","data":"d"}`)
	require.Equal(t, http.StatusForbidden, a.status)
	require.Equal(t, "API call failed since (daily) message quota exceeded: this app has used the 5000 messages of today. "+
		"Try again after 00:00 UTC, or raise max_messages_per_day\n", a.body)
	f.hub.over = &tenants.QuotaError{Limit: 5000, OfTenant: true}
	require.Contains(t, f.trigger(`{"name":"e","channel":"c","data":"d"}`).body, "the apps of this account have together used the 5000 messages")
}

func TestQueriesAreCounted(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.app().Settings.SubscriptionCountEvents = true
	f.hub.counts["c"] = channels.Occupancy{Subscriptions: 1}
	for _, step := range []struct {
		do    func() answer
		count int
	}{
		{func() answer { return f.get("/apps/3/channels", "") }, 1},
		{func() answer { return f.get("/apps/3/channels/c", "") }, 1},
		{func() answer { return f.get("/apps/3/channels/presence-c/users", "") }, 1},
		{func() answer { return f.trigger(`{"name":"e","channel":"c","data":"d"}`) }, 0},
		{func() answer {
			return f.trigger(`{"name":"e","channels":["c","d"],"data":"d","info":"subscription_count"}`)
		}, 1},
		{func() answer {
			return f.batch(`{"batch":[{"name":"e","channel":"c","data":"d","info":"subscription_count"},{"name":"e","channel":"d","data":"d","info":"subscription_count"}]}`)
		}, 1},
	} {
		before := f.hub.queries
		a := step.do()
		require.Equal(t, http.StatusOK, a.status, a.body)
		require.Equal(t, step.count, f.hub.queries-before)
	}
}
