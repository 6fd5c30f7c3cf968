//go:build linux

package load_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/bench/internal/load"
)

func TestTalkArrivesAtTheOthers(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	l := open(t, s.addr, "private-room", 5)
	talk, err := l.Talk(200)
	require.NoError(t, err)
	for range 2 { // sequences go on
		l.Reset()
		sent, err := talk.Paced(t.Context(), 500, 100*time.Millisecond)
		require.NoError(t, err)
		require.EqualValues(t, 50, sent.Events)
		require.EqualValues(t, 50*4, sent.Deliveries)
		require.EqualValues(t, 50, sent.Lag.Count())
		require.True(t, l.Drain(t.Context(), sent.Deliveries, 5*time.Second))
		got := l.Stats()
		require.Equal(t, sent.Deliveries, got.Received)
		require.Zero(t, got.Gaps)
		require.Zero(t, got.Repeats)
	}
}

func TestTalkEndsWithItsConnections(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	l := open(t, s.addr, "private-room", 2)
	talk, err := l.Talk(200)
	require.NoError(t, err)
	s.closeAll(4009, "go away")
	require.Eventually(t, func() bool { return l.Ready() == 0 }, 5*time.Second, time.Millisecond)
	_, err = talk.Paced(t.Context(), 100, 100*time.Millisecond)
	require.ErrorContains(t, err, "go away")
}

func TestTalkIsBoundedPerChannel(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	_, err := open(t, s.addr, "private-room", 17).Talk(200)
	require.ErrorContains(t, err, "more than 16 clients who speak")
}

func TestReceiverCounts(t *testing.T) {
	t.Parallel()
	r, err := load.NewReceiver()
	require.NoError(t, err)
	defer r.Close()
	client := http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	tell := func(id, body string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.URL, strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("webhook-id", id)
		res, err := client.Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		return res.StatusCode
	}
	const two = `{"time_ms":1,"events":[{"name":"client_event","data":{"text":"~tw~010000000010000000000000001aaa"}},{"name":"channel_occupied"}]}`
	require.Equal(t, http.StatusOK, tell("a", two))
	require.Equal(t, http.StatusOK, tell("a", two), "it comes again")
	require.Equal(t, http.StatusOK, tell("b", `{"time_ms":1,"events":[{"name":"channel_vacated"}]}`))
	require.Equal(t, http.StatusBadRequest, tell("", two))
	require.Equal(t, http.StatusBadRequest, tell("c", "no webhook"))
	told := r.Told()
	require.EqualValues(t, 2, told.Requests)
	require.EqualValues(t, 1, told.Repeats)
	require.EqualValues(t, 3, told.Events)
	require.EqualValues(t, 1, told.Latency.Count())

	r.Reset()
	require.True(t, r.Drain(t.Context(), 0, time.Second))
	require.False(t, r.Drain(t.Context(), 1, time.Millisecond))
	tell("a", two)
	require.EqualValues(t, 1, r.Told().Repeats, "ids are remembered")
}
