//go:build linux

package load

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseHeader(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		in   []byte
		want header
		ok   bool
		err  error
	}{
		{name: "empty"},
		{name: "one byte", in: []byte{0x81}},
		{name: "short", in: []byte{0x81, 5}, want: header{opText, 2, 5}, ok: true},
		{name: "empty pong", in: []byte{0x8a, 0}, want: header{opPong, 2, 0}, ok: true},
		{name: "16 bit, cut", in: []byte{0x81, 126, 1}},
		{name: "16 bit", in: []byte{0x81, 126, 1, 2}, want: header{opText, 4, 258}, ok: true},
		{name: "64 bit, cut", in: []byte{0x81, 127, 0, 0, 0, 0, 0, 1, 0}},
		{name: "64 bit", in: []byte{0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0}, want: header{opText, 10, 65536}, ok: true},
		{name: "64 bit, negative as an int", in: []byte{0x81, 127, 0xff, 0, 0, 0, 0, 0, 0, 0}, err: errTooLong},
		{name: "masked", in: []byte{0x81, 0x85}, err: errMasked},
		{name: "first fragment", in: []byte{0x01, 5}, err: errFragment},
		{name: "compressed", in: []byte{0xc1, 5}, err: errFragment},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h, ok, err := parseHeader(tt.in)
			require.ErrorIs(t, err, tt.err)
			require.Equal(t, tt.ok, ok)
			require.Equal(t, tt.want, h)
		})
	}
}

func FuzzParseHeader(f *testing.F) {
	for _, seed := range [][]byte{{}, {0x81}, {0x81, 5}, {0x81, 126, 1, 2}, {0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0}, {0x88, 2, 3, 0xe8}} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, ok, err := parseHeader(b)
		if err != nil || !ok {
			return
		}
		if h.size > len(b) || h.payload < 0 || h.payload > maxPayload {
			t.Fatalf("%x gives %+v", b, h)
		}
	})
}

func TestStamp(t *testing.T) {
	t.Parallel()
	want := stamp{stream: 7, seq: 123456789, sent: 9876543210123456}
	data := filler(200)
	require.Len(t, data, 200)
	want.write(data)
	frame := append([]byte(`{"event":"bench","data":"`), data...)

	got, at, ok := findStamp(frame, 0)
	require.True(t, ok)
	require.Equal(t, want, got)
	require.Equal(t, 25, at)

	for _, hint := range []int{at, at + 1, -5, 1 << 20} { // right, and wrong in every way
		again, where, ok := findStamp(frame, hint)
		require.True(t, ok, "hint %d", hint)
		require.Equal(t, want, again)
		require.Equal(t, at, where)
	}
	_, kept, ok := findStamp(frame[:len(marker)+at+3], 11)
	require.False(t, ok, "a stamp cut short")
	require.Equal(t, 11, kept)
	frame[at+len(marker)] = 'x'
	_, _, ok = findStamp(frame, at)
	require.False(t, ok, "a stamp with a letter in it")
}

func TestSocketID(t *testing.T) {
	t.Parallel()
	id, err := socketID([]byte(`{"event":"pusher:connection_established","data":"{\"socket_id\":\"3363.1846347\",\"activity_timeout\":120}"}`))
	require.NoError(t, err)
	require.Equal(t, "3363.1846347", id)
	for _, bad := range []string{``, `{"data":"{}"}`, `{"socket_id":`, `"socket_id":"12.34`} {
		_, err := socketID([]byte(bad))
		require.Error(t, err, bad)
	}
}
