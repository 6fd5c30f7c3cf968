package wire_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/channels/wire"
)

// The vectors in channels/testdata/frames are the wire as a client sees it; the
// client libraries' tests read the same files.

type vector struct {
	Name      string `json:"name"`
	Direction string `json:"direction"`
	Source    string `json:"source"`
	Frame     string `json:"frame"`
	Refused   string `json:"refused"`
	At        string `json:"at"`
	Expect    expect `json:"expect"`
}

type expect struct {
	Event   string          `json:"event"`
	Channel *string         `json:"channel"`
	Data    json.RawMessage `json:"data"`

	// client frames
	Subscribe   *wantSubscribe `json:"subscribe"`
	Unsubscribe *string        `json:"unsubscribe"`
	Signin      *wantSignin    `json:"signin"`
	Member      *wantMember    `json:"member"`
	User        *wantUser      `json:"user"`
	Delivered   string         `json:"delivered"`

	// server frames
	DataText *string         `json:"data_text"`
	Error    json.RawMessage `json:"error"`
	UserID   string          `json:"user_id"`
}

type wantSubscribe struct {
	Channel     string  `json:"channel"`
	Auth        *string `json:"auth"`
	ChannelData *string `json:"channel_data"`
}

type wantSignin struct {
	Auth     string `json:"auth"`
	UserData string `json:"user_data"`
}

type wantMember struct {
	UserID   string          `json:"user_id"`
	UserInfo json.RawMessage `json:"user_info"`
}

type wantUser struct {
	ID        string          `json:"id"`
	UserInfo  json.RawMessage `json:"user_info"`
	Watchlist []string        `json:"watchlist"`
}

func vectors(t *testing.T, file, direction string) []vector {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "testdata", "frames", file))
	require.NoError(t, err)
	var f struct{ Vectors []vector }
	require.NoError(t, json.Unmarshal(b, &f))
	require.NotEmpty(t, f.Vectors)
	names := map[string]bool{}
	for _, v := range f.Vectors {
		require.False(t, names[v.Name], "the name %s is used twice", v.Name)
		names[v.Name] = true
		require.Equal(t, direction, v.Direction, v.Name)
		require.NotEmpty(t, v.Source, v.Name)
	}
	return f.Vectors
}

func TestClientVectors(t *testing.T) {
	t.Parallel()
	for _, v := range vectors(t, "client.json", "client") {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			var f wire.ClientFrame
			require.NoError(t, wire.DecodeClientFrame([]byte(v.Frame), &f))
			require.Equal(t, v.Expect.Event, f.Event)
			require.Equal(t, v.Expect.Channel != nil, f.HasChannel)
			if v.Expect.Channel != nil {
				require.Equal(t, *v.Expect.Channel, f.Channel)
			}
			v.Expect.checkData(t, f)
		})
	}
}

// checkData reads the frame's data in the way its event asks for.
func (e expect) checkData(t *testing.T, f wire.ClientFrame) {
	t.Helper()
	switch f.Event {
	case wire.EventSubscribe:
		e.checkSubscribe(t, f.Data)
	case wire.EventUnsubscribe:
		channel, err := wire.DecodeUnsubscribe(f.Data)
		require.NoError(t, err)
		require.Equal(t, *e.Unsubscribe, channel)
	case wire.EventSignin:
		var s wire.Signin
		require.NoError(t, wire.DecodeSignin(f.Data, &s))
		require.Equal(t, wantSignin{Auth: s.Auth, UserData: s.UserData}, *e.Signin)
		id, info, watchlist, err := wire.DecodeUserData(s.UserData)
		require.NoError(t, err)
		require.Equal(t, e.User.ID, id)
		require.Equal(t, e.User.Watchlist, watchlist)
		requireSameJSON(t, e.User.UserInfo, info)
	default:
		if e.Data == nil {
			require.Nil(t, f.Data)
		} else {
			raw, ok := wire.String(e.Data)
			require.True(t, ok)
			require.Equal(t, raw, string(f.Data))
		}
		if e.Delivered != "" {
			literal := wire.AppendData(nil, f.Data)
			require.Equal(t, e.Delivered, string(wire.AppendEvent(nil, f.Event, f.Channel, literal, "")))
		}
	}
}

func (e expect) checkSubscribe(t *testing.T, data []byte) {
	t.Helper()
	var s wire.Subscribe
	require.NoError(t, wire.DecodeSubscribe(data, &s))
	got := wantSubscribe{Channel: s.Channel}
	if s.HasAuth {
		got.Auth = &s.Auth
	}
	if s.HasChannelData {
		got.ChannelData = &s.ChannelData
	}
	require.Equal(t, *e.Subscribe, got)
	if e.Member == nil {
		return
	}
	id, info, err := wire.DecodeChannelData(s.ChannelData)
	require.NoError(t, err)
	require.Equal(t, e.Member.UserID, id)
	requireSameJSON(t, e.Member.UserInfo, info)
}

func requireSameJSON(t *testing.T, want, got []byte) {
	t.Helper()
	if want == nil {
		require.Nil(t, got)
		return
	}
	require.JSONEq(t, string(want), string(got))
}

func TestRefusedVectors(t *testing.T) {
	t.Parallel()
	for _, v := range vectors(t, "refused.json", "client") {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			at, err := readUntilRefused(t, []byte(v.Frame))
			require.ErrorContains(t, err, v.Refused)
			require.Equal(t, v.At, at)
		})
	}
}

// readUntilRefused reads as deep as the frame goes, and says which reader refused it.
func readUntilRefused(t *testing.T, frame []byte) (at string, err error) {
	t.Helper()
	var f wire.ClientFrame
	if err := wire.DecodeClientFrame(frame, &f); err != nil {
		return "frame", err
	}
	switch f.Event {
	case wire.EventSubscribe:
		var s wire.Subscribe
		if err := wire.DecodeSubscribe(f.Data, &s); err != nil {
			return "subscribe", err
		}
		_, _, err = wire.DecodeChannelData(s.ChannelData)
		return "member", err
	case wire.EventUnsubscribe:
		_, err = wire.DecodeUnsubscribe(f.Data)
		return "unsubscribe", err
	case wire.EventSignin:
		var s wire.Signin
		if err := wire.DecodeSignin(f.Data, &s); err != nil {
			return "signin", err
		}
		_, _, _, err = wire.DecodeUserData(s.UserData)
		return "user", err
	}
	return "", nil
}

func TestServerVectors(t *testing.T) {
	t.Parallel()
	all := vectors(t, "server.json", "server")
	require.Len(t, encoders, len(all), "an encoder here without a vector")
	for _, v := range all {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, encoders, v.Name)
			require.Equal(t, v.Frame, string(encoders[v.Name]()))
			requireServerFrame(t, v.Expect, v.Frame)
		})
	}
}

func requireServerFrame(t *testing.T, want expect, frame string) {
	t.Helper()
	var got struct {
		Event   string          `json:"event"`
		Channel *string         `json:"channel"`
		Data    json.RawMessage `json:"data"`
		UserID  string          `json:"user_id"`
	}
	require.NoError(t, json.Unmarshal([]byte(frame), &got))
	require.Equal(t, want.Event, got.Event)
	require.Equal(t, want.Channel, got.Channel)
	require.Equal(t, want.UserID, got.UserID)
	if want.Error != nil {
		require.JSONEq(t, string(want.Error), string(got.Data))
		return
	}
	var text string
	require.NoError(t, json.Unmarshal(got.Data, &text), "data must be a string")
	if want.DataText != nil {
		require.Equal(t, *want.DataText, text)
		return
	}
	require.JSONEq(t, string(want.Data), text)
}
