package console_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/channels/console"
	"tidewire/tenants"
)

type appID = tenants.AppID

type batch struct {
	Node    string
	Entries []struct {
		Code, Channel, Data, Remedy, Text string
		Size                              int
		Cut, Refused                      bool
	}
	Skipped map[string]int
}

func take(t *testing.T, f *console.Feed) (b batch) {
	t.Helper()
	raw := f.Take("n1")
	if raw == nil {
		return b
	}
	require.NoError(t, json.Unmarshal(raw, &b), string(raw))
	return b
}

func TestTheTableIsWhole(t *testing.T) {
	t.Parallel()
	for _, row := range console.Table() {
		require.Regexp(t, `^[a-z0-9_]+$`, string(row.Code))
		require.Contains(t, console.Kinds(), row.Kind, row.Code)
		require.True(t, strings.HasSuffix(row.What, "."), row.Code)
		if row.Wire != 0 {
			require.True(t, row.Refused(), "%s goes on the wire and has no remedy", row.Code)
		}
		require.Equal(t, row.Code, console.Find(row.Code).Code)
	}
	require.Nil(t, console.Find("nothing"))
}

func TestNobodyWatches(t *testing.T) {
	t.Parallel()
	var none *console.Tap
	require.Nil(t, none.Of("1"))
	require.False(t, none.Watched())
	none.Note("1", console.Entry{Code: console.Published})
	tap := console.NewTap("n1")
	require.Nil(t, tap.Of("1"))
	feed := tap.Watch("1", time.Now().Add(time.Minute))
	require.Same(t, feed, tap.Of("1"))
	require.Nil(t, tap.Of("2"), "another app is not watched")
	var swept []string
	tap.Sweep(time.Now(), func(app appID, _ *console.Feed) { swept = append(swept, string(app)) })
	require.Equal(t, []string{"1"}, swept)
	tap.Sweep(time.Now().Add(time.Hour), func(appID, *console.Feed) { t.Error("it is over") })
	require.False(t, tap.Watched())
}

func TestAFeedIsBoundedAndSaysSo(t *testing.T) {
	t.Parallel()
	feed := console.NewTap("n1").Watch("1", time.Now().Add(time.Minute))
	for range 10_000 {
		feed.Add(console.Entry{Code: console.Published, Channel: "news", Data: []byte(`"x"`)})
	}
	feed.Add(console.Entry{Code: console.OfSignature("unknown_key"), Claimed: true})
	feed.Add(console.Entry{Code: console.AuthMissing, Text: "no auth"})
	got := take(t, feed)
	require.Len(t, got.Entries, 226, "a quarter of the room is for refusals")
	require.Equal(t, 9775, got.Skipped["publish"])
	require.Equal(t, 1, got.Skipped["request"], "strangers do not take that room")
	last := got.Entries[225]
	require.Equal(t, string(console.AuthMissing), last.Code)
	require.NotEmpty(t, last.Remedy)
	require.Empty(t, take(t, feed).Entries, "taken is taken")

	large := []byte(`"` + strings.Repeat("x", 10_000) + `"`)
	for range 1000 {
		feed.Add(console.Entry{Code: console.Published, Data: large})
	}
	raw := feed.Take("n1")
	require.Less(t, len(raw), 140<<10)
	var b batch
	require.NoError(t, json.Unmarshal(raw, &b))
	require.True(t, b.Entries[0].Cut)
	require.Equal(t, 10_000, b.Entries[0].Size)
	require.Len(t, b.Entries[0].Data, console.MaxData)
}

func TestAFeedIsSharedSafely(t *testing.T) {
	t.Parallel()
	tap := console.NewTap("n1")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 500 {
				tap.Note("1", console.Entry{Code: console.Published})
				if i%100 == 0 {
					tap.Watch("1", time.Now().Add(time.Second)).Take("n1")
				}
				tap.Sweep(time.Now(), func(_ appID, f *console.Feed) { f.Take("n1") })
			}
		})
	}
	wg.Wait()
}

// FuzzEntry holds that whatever strangers send, a batch is one JSON object that
// says the same.
func FuzzEntry(f *testing.F) {
	f.Add("news", "text", "data")
	f.Add("\x00\xff", "</script>\u2028", strings.Repeat("é", 5000))
	f.Fuzz(func(t *testing.T, channel, text, data string) {
		feed := console.NewTap("n1").Watch("1", time.Now().Add(time.Minute))
		literal, err := json.Marshal(data)
		require.NoError(t, err)
		feed.Add(console.Entry{Code: console.AuthMissing, Channel: channel, Text: text, Data: literal})
		b := take(t, feed)
		require.Len(t, b.Entries, 1)
		if len(text) <= 512 {
			require.Equal(t, strings.ToValidUTF8(text, "\uFFFD") == text, b.Entries[0].Text == text)
		}
		require.LessOrEqual(t, len(b.Entries[0].Data), console.MaxData+3)
	})
}
