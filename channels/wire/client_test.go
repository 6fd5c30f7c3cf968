package wire_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/channels/wire"
)

func TestDecodeClientFrameForgetsTheLastFrame(t *testing.T) {
	t.Parallel()
	var f wire.ClientFrame
	require.NoError(t, wire.DecodeClientFrame([]byte(`{"event":"client-a","channel":"private-x","data":[1]}`), &f))
	require.NoError(t, wire.DecodeClientFrame([]byte(`{"event":"client-b"}`), &f))
	require.Equal(t, wire.ClientFrame{Event: "client-b"}, f)
}

func TestDecodeClientFrameReusesOnlyEqualStrings(t *testing.T) {
	t.Parallel()
	f := wire.ClientFrame{Event: `client-\u0061`, Channel: `private-\u0061`}
	require.NoError(t, wire.DecodeClientFrame([]byte(`{"event":"client-\u0061","channel":"private-\u0061"}`), &f))
	require.Equal(t, "client-a", f.Event, "an escaped name is decoded, whatever came before")
	require.Equal(t, "private-a", f.Channel)
}

func TestDecodedStringsAreCopies(t *testing.T) {
	t.Parallel()
	frame := []byte(`{"event":"client-a","channel":"private-x","data":{"channel":"private-y","auth":"k:s"}}`)
	var f wire.ClientFrame
	require.NoError(t, wire.DecodeClientFrame(frame, &f))
	var s wire.Subscribe
	require.NoError(t, wire.DecodeSubscribe(f.Data, &s))
	for i := range frame {
		frame[i] = 'x' // the transport reuses its buffer
	}
	require.Equal(t, "client-a", f.Event)
	require.Equal(t, "private-x", f.Channel)
	require.Equal(t, wire.Subscribe{Channel: "private-y", Auth: "k:s", HasAuth: true}, s)
}

func TestDecodeSubscribeForgetsTheLastOne(t *testing.T) {
	t.Parallel()
	s := wire.Subscribe{Auth: "k:s", HasAuth: true, ChannelData: "{}", HasChannelData: true}
	require.NoError(t, wire.DecodeSubscribe([]byte(`{"channel":"x"}`), &s))
	require.Equal(t, wire.Subscribe{Channel: "x"}, s)
}

func TestDecodeErrorsSayWhichTextIsBroken(t *testing.T) {
	t.Parallel()
	var s wire.Subscribe
	err := wire.DecodeSubscribe([]byte(`"{\"channel\":}"`), &s)
	require.EqualError(t, err, "data: invalid JSON at byte 11: expected a value")
	var syntax *wire.SyntaxError
	require.ErrorAs(t, err, &syntax)

	_, _, err = wire.DecodeChannelData(`{`)
	require.ErrorContains(t, err, "channel_data: invalid JSON at byte 1")
	_, _, _, err = wire.DecodeUserData(`{"id":"1"`)
	require.ErrorContains(t, err, "user_data: invalid JSON at byte 9")
	_, _, _, err = wire.DecodeUserData(`{"id":"1","watchlist":[` + strings.Repeat("1,", wire.MaxElements) + `1]}`)
	require.ErrorContains(t, err, "watchlist: invalid JSON")
}

func TestErrorsNeverCarryInput(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3t"
	for _, frame := range []string{
		secret, `{"` + secret + `":1,"` + secret + `":2}`, `{"event":` + secret + `}`, `{"event":"` + secret,
		`{"event":{"` + secret + `":1}}`, `{"event":"a","channel":["` + secret + `"]}`,
	} {
		err := wire.DecodeClientFrame([]byte(frame), &wire.ClientFrame{})
		require.Error(t, err)
		require.NotContains(t, err.Error(), secret)
	}
}

func TestDecodingAllocatesNothing(t *testing.T) {
	var f wire.ClientFrame
	for name, frame := range map[string]string{
		"ping":         `{"event":"pusher:ping","data":{}}`,
		"client event": `{"event":"client-move","channel":"private-x","data":{"x":1,"y":{"z":[1,2,3]}}}`,
	} {
		b := []byte(frame)
		require.NoError(t, wire.DecodeClientFrame(b, &f))
		require.Zero(t, testing.AllocsPerRun(100, func() { _ = wire.DecodeClientFrame(b, &f) }), name)
	}
	var s wire.Subscribe
	data := []byte(`{"auth":"","channel":"my-channel"}`)
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() { _ = wire.DecodeSubscribe(data, &s) }), 1.0,
		"the channel name, which is kept")
}

func TestFormatErrorsAreComparable(t *testing.T) {
	t.Parallel()
	err := wire.DecodeClientFrame([]byte(`{}`), &wire.ClientFrame{})
	require.True(t, errors.Is(err, wire.ErrEvent))
}
