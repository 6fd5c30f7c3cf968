package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/tenants"
)

var keeps = channels.Retention{Max: 100, TTL: time.Hour}

// History reads from a broker of the real engine; nil keeps nothing.
func (h *hub) History(ctx context.Context, app *tenants.App, name string, q channels.Query) (channels.Run, bool, error) {
	if h.past == nil || h.away != nil {
		return channels.Run{}, false, h.away
	}
	run, err := h.past.Read(ctx, channels.Topic{App: app.ID, Channel: name}, keeps, q)
	return run, true, err
}

// remember gives the hub a past of n events.
func (h *hub) remember(t *testing.T, name string, n int) {
	t.Helper()
	h.past = channels.NewMemoryBroker()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.past.Run(ctx, func(*channels.Event) error { return nil }) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-done) })
	topic := channels.Topic{App: "3", Channel: name}
	require.Eventually(t, func() bool { return h.past.Subscribe(ctx, topic) == nil }, 5*time.Second, time.Millisecond)
	for i := range n {
		_, err := h.past.Publish(ctx, []channels.Event{{Topic: topic, Name: "e", Data: fmt.Appendf(nil, `"%d"`, i+1), Keep: keeps}})
		require.NoError(t, err)
	}
}

type historyPage struct {
	Channel, Gap string
	Serial, Next *string
	Events       []struct {
		Name, Data, Serial string
		TimeMS             int64 `json:"time_ms"`
	}
}

func (p historyPage) data() []string {
	list := []string{}
	for _, e := range p.Events {
		list = append(list, e.Data)
	}
	return list
}

const historyPath = "/apps/3/channels/room/history"

func getHistory(t *testing.T, f *fixture, query url.Values) (page historyPage) {
	t.Helper()
	q := tenants.SignRequest(tenants.NewSecret(secret), key, "GET", historyPath, query, nil, now)
	got := f.do(request{"GET", historyPath, q.Encode(), nil})
	require.Equal(t, 200, got.status, got.body)
	require.NoError(t, json.Unmarshal([]byte(got.body), &page), got.body)
	return page
}

func TestHistory(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.hub.remember(t, "room", 120)
	page := getHistory(t, f, nil)
	require.Equal(t, "room", page.Channel)
	require.Len(t, page.Events, 100)
	require.Equal(t, "120", page.Events[0].Data, "newest first")
	require.Equal(t, page.Events[0].Serial, *page.Serial)
	require.Nil(t, page.Next, "the rule keeps 100")
	page = getHistory(t, f, url.Values{"direction": {"forwards"}, "limit": {"3"}})
	require.Equal(t, []string{"21", "22", "23"}, page.data())
	first := page.Events[0]

	for _, direction := range []string{"forwards", "backwards"} {
		var all []string
		query := url.Values{"direction": {direction}, "limit": {"7"}}
		for {
			page = getHistory(t, f, query)
			all = append(all, page.data()...)
			if page.Next == nil {
				break
			}
			query.Set("cursor", *page.Next)
		}
		require.Len(t, all, 100, direction)
	}
	at := func(offset int) string { return fmt.Sprintf("%s:%d", first.Serial[:channels.EpochLen], offset) }
	require.Equal(t, []string{"26"}, getHistory(t, f, url.Values{"after": {at(25)}, "before": {at(27)}}).data())
	require.Empty(t, getHistory(t, f, url.Values{"before": {at(0)}}).data())
	page = getHistory(t, f, url.Values{"after": {at(5)}, "direction": {"forwards"}, "limit": {"1"}})
	require.Equal(t, "expired", page.Gap, "what was asked for is not kept any more")
	require.Equal(t, []string{"21"}, page.data())
	ms := fmt.Sprint(first.TimeMS)
	require.NotEmpty(t, getHistory(t, f, url.Values{"start_ms": {ms}, "end_ms": {fmt.Sprint(first.TimeMS + 60000)}}).Events)
	require.Empty(t, getHistory(t, f, url.Values{"end_ms": {fmt.Sprint(first.TimeMS - 1)}}).Events)
	require.Nil(t, func() *string {
		f.hub.remember(t, "other", 1)
		return getHistory(t, f, nil).Serial
	}(), "nothing was published")
}

func TestHistoryRefusals(t *testing.T) {
	t.Parallel()
	f := setup(t)
	get := func(query url.Values) request {
		q := tenants.SignRequest(tenants.NewSecret(secret), key, "GET", historyPath, query, nil, now)
		return request{"GET", historyPath, q.Encode(), nil}
	}
	requireRefused(t, f, f.do(get(nil)), 400, "This channel keeps no history: add a rule to the settings of the app (history)\n")
	f.hub.remember(t, "room", 1)
	for want, query := range map[string]url.Values{
		"Invalid direction":     {"direction": {"up"}},
		"Invalid limit":         {"limit": {"0"}},
		"Invalid limit: it":     {"limit": {"1001"}},
		"Invalid start_ms":      {"start_ms": {"-1"}},
		"Invalid end_ms":        {"end_ms": {"soon"}},
		"Invalid after":         {"after": {"x"}},
		"Invalid before":        {"before": {"e:1"}, "after": {"f:1"}},
		"Invalid cursor":        {"cursor": {"e:"}},
		"extraneous: order":     {"order": {"asc"}},
		"The following query":   {"page": {"2"}},
		"Invalid limit: it mus": {"limit": {"1e2"}},
	} {
		got := f.do(get(query))
		require.Equal(t, 400, got.status, want)
		require.Contains(t, got.body, want)
	}
	got := f.do(get(url.Values{"after": {"e:1"}}))
	require.Equal(t, 410, got.status)
	require.Contains(t, got.body, "another epoch")
	f.hub.away = channels.ErrBrokerAway
	requireRefused(t, f, f.do(get(nil)), 503, "Temporarily unavailable: the history of the channel cannot be read right now, try again\n")
}
