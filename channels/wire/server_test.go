package wire_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"tidewire/channels/wire"
)

// text draws strings full of what JSON must escape, well-formed and not.
func text(t *rapid.T, label string) string {
	return rapid.OneOf(
		rapid.StringMatching("[\"\\\\/\b\f\n\r\t\x00\x1f<>&\u2028\u2029{}:,é😀a-c]{0,12}"),
		rapid.String(),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 12), func(b []byte) string { return string(b) }),
	).Draw(t, label)
}

// repaired is s with U+FFFD for every byte that is not UTF-8.
func repaired(s string) string { return string([]rune(s)) }

// info draws a user_info object, or none.
func info(t *rapid.T) (raw []byte, value any) {
	if rapid.Bool().Draw(t, "no info") {
		return nil, nil
	}
	raw, err := json.Marshal(map[string]any{"k": text(t, "info"), "n": []any{1.5, nil, true}})
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &value))
	return raw, value
}

type received struct {
	Event   string  `json:"event"`
	Channel *string `json:"channel"`
	Data    string  `json:"data"`
	UserID  *string `json:"user_id"`
}

// receive reads a frame as a client does: the frame, then its data. It also
// checks that the encoder appends, and that our own strict reader takes both.
func receive(t *rapid.T, encode func(dst []byte) []byte, data any) received {
	frame := encode(nil)
	require.Equal(t, "before"+string(frame), string(encode([]byte("before"))))
	require.NoError(t, wire.Valid(frame))
	var got received
	d := json.NewDecoder(bytes.NewReader(frame))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&got))
	require.NoError(t, wire.Valid([]byte(got.Data)))
	require.NoError(t, json.Unmarshal([]byte(got.Data), data))
	return got
}

func TestPresenceFramesCarryAnyText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		channel, id := text(t, "channel"), text(t, "id")
		raw, value := info(t)
		m := wire.Member{ID: id, Info: raw}

		var snapshot struct {
			Presence struct {
				Count int
				IDs   []string
				Hash  map[string]any
			}
		}
		got := receive(t, func(dst []byte) []byte {
			return wire.AppendPresenceSucceeded(dst, channel, []wire.Member{m, {ID: "other"}})
		}, &snapshot)
		require.Equal(t, repaired(channel), *got.Channel)
		require.Equal(t, 2, snapshot.Presence.Count)
		require.Equal(t, []string{repaired(id), "other"}, snapshot.Presence.IDs)
		require.Contains(t, snapshot.Presence.Hash, repaired(id))
		if id != "other" {
			require.Equal(t, value, snapshot.Presence.Hash[repaired(id)])
		}

		added := map[string]any{}
		got = receive(t, func(dst []byte) []byte { return wire.AppendMemberAdded(dst, channel, m) }, &added)
		require.Equal(t, repaired(channel), *got.Channel)
		require.Equal(t, repaired(id), added["user_id"])
		require.Equal(t, value, added["user_info"])

		removed := map[string]any{}
		got = receive(t, func(dst []byte) []byte { return wire.AppendMemberRemoved(dst, channel, id) }, &removed)
		require.Equal(t, repaired(channel), *got.Channel)
		require.Equal(t, map[string]any{"user_id": repaired(id)}, removed)
	})
}

func TestEventFramesCarryAnyText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		event, channel, user := text(t, "event"), text(t, "channel"), text(t, "user")
		payload, err := json.Marshal(text(t, "payload"))
		require.NoError(t, err)
		literal := wire.QuoteBytes(nil, payload)

		var data any
		got := receive(t, func(dst []byte) []byte { return wire.AppendEvent(dst, event, channel, literal, user) }, &data)
		require.Equal(t, repaired(event), got.Event)
		require.Equal(t, repaired(channel), *got.Channel)
		require.Equal(t, string(payload), got.Data)
		require.Equal(t, user != "", got.UserID != nil)
		if got.UserID != nil {
			require.Equal(t, repaired(user), *got.UserID)
		}
	})
}

func TestOtherFramesCarryAnyText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, n := text(t, "text"), rapid.Int().Draw(t, "number")

		for name, encode := range map[string]func([]byte) []byte{
			"pusher_internal:subscription_succeeded": func(dst []byte) []byte { return wire.AppendSubscriptionSucceeded(dst, s) },
			"pusher:cache_miss":                      func(dst []byte) []byte { return wire.AppendCacheMiss(dst, s) },
		} {
			data := map[string]any{}
			got := receive(t, encode, &data)
			require.Equal(t, name, got.Event)
			require.Equal(t, repaired(s), *got.Channel)
			require.Equal(t, "{}", got.Data)
		}

		var signin struct {
			UserData string `json:"user_data"`
		}
		receive(t, func(dst []byte) []byte { return wire.AppendSigninSuccess(dst, s) }, &signin)
		require.Equal(t, repaired(s), signin.UserData)

		var count struct {
			N int `json:"subscription_count"`
		}
		receive(t, func(dst []byte) []byte { return wire.AppendSubscriptionCount(dst, s, n) }, &count)
		require.Equal(t, n, count.N)

		var hello struct {
			SocketID string `json:"socket_id"`
			Timeout  int    `json:"activity_timeout"`
		}
		receive(t, func(dst []byte) []byte { return wire.AppendEstablished(dst, s, n) }, &hello)
		require.Equal(t, repaired(s), hello.SocketID)
		require.Equal(t, n, hello.Timeout)
	})
}

func TestWatchlistFramesCarryAnyText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string { return text(t, "id") }), 0, 3)
		online, offline := ids.Draw(t, "online"), ids.Draw(t, "offline")
		var data struct {
			Events []struct {
				Name    string
				UserIDs []string `json:"user_ids"`
			}
		}
		receive(t, func(dst []byte) []byte { return wire.AppendWatchlistEvents(dst, online, offline) }, &data)
		require.NotNil(t, data.Events)
		got := map[string][]string{}
		for _, e := range data.Events {
			require.NotContains(t, got, e.Name)
			require.NotEmpty(t, e.UserIDs)
			got[e.Name] = e.UserIDs
		}
		require.Equal(t, all(online), all(got["online"]))
		require.Equal(t, all(offline), all(got["offline"]))
	})
}

func all(ids []string) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = repaired(id)
	}
	return out
}

func TestErrorFramesCarryAnyText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		message, code := text(t, "message"), rapid.IntRange(0, 4999).Draw(t, "code")
		frame := wire.AppendError(nil, code, message)
		require.NoError(t, wire.Valid(frame))
		var got struct {
			Event string
			Data  struct {
				Code    *int
				Message string
			}
		}
		require.NoError(t, json.Unmarshal(frame, &got))
		require.Equal(t, "pusher:error", got.Event)
		require.Equal(t, repaired(message), got.Data.Message)
		require.Equal(t, code == 0, got.Data.Code == nil)
		if code != 0 {
			require.Equal(t, code, *got.Data.Code)
		}
	})
}

func TestEncodingAllocatesNothing(t *testing.T) {
	dst := make([]byte, 0, 1024)
	members := []wire.Member{{ID: "1", Info: []byte(`{"n":"é"}`)}, {ID: "2"}}
	data := []byte(`"{\"a\":1}"`)
	for name, encode := range map[string]func(){
		"established": func() { dst = wire.AppendEstablished(dst[:0], "1.2", 120) },
		"error":       func() { dst = wire.AppendError(dst[:0], 4009, "é\"\u2028\xff") },
		"succeeded":   func() { dst = wire.AppendSubscriptionSucceeded(dst[:0], "x") },
		"presence":    func() { dst = wire.AppendPresenceSucceeded(dst[:0], "presence-x", members) },
		"added":       func() { dst = wire.AppendMemberAdded(dst[:0], "presence-x", members[0]) },
		"count":       func() { dst = wire.AppendSubscriptionCount(dst[:0], "x", 123456) },
		"event":       func() { dst = wire.AppendEvent(dst[:0], "é", "x", data, "1") },
		"signin":      func() { dst = wire.AppendSigninSuccess(dst[:0], `{"id":"1"}`) },
		"watchlist":   func() { dst = wire.AppendWatchlistEvents(dst[:0], []string{"1"}, []string{"2"}) },
		"data":        func() { dst = wire.AppendData(dst[:0], []byte(`{"a":1}`)) },
	} {
		require.Zero(t, testing.AllocsPerRun(100, encode), name)
	}
}
