package redis_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/channels/redis"
)

func TestEnvelope(t *testing.T) {
	t.Parallel()
	for _, ev := range []channels.Event{
		{},
		{Kind: channels.MemberAdded, UserID: "u", Data: []byte(`{"a":1}`), Seq: 1<<64 - 1},
		{Kind: channels.MemberRemoved, UserID: "u", Seq: 7},
		{Kind: channels.MemberUpdated, UserID: "u", Data: []byte(`null`), Seq: 8},
		{Kind: channels.CountChanged, Count: 1<<31 - 1},
		{Kind: channels.Terminate},
		{Name: "kept", Data: []byte(`""`), CacheTTL: 1800 * time.Second},
		{Name: "e", Data: []byte(`""`)},
		{Name: "é", Except: "1.2", UserID: "u", Data: []byte(`"x"`)},
		{Name: "e", Data: []byte(`""`), Trace: &channels.Trace{ID: [16]byte{15: 1}, Span: [8]byte{7: 1}, Flags: 1}},
		{Name: strings.Repeat("n", 65535), Except: "1.2", Data: []byte(`"x"`)},
	} {
		b, err := redis.AppendEnvelope([]byte("kept"), &ev)
		require.NoError(t, err)
		s, ok := strings.CutPrefix(string(b), "kept")
		require.True(t, ok)
		got, err := redis.DecodeEnvelope(s)
		require.NoError(t, err)
		require.Equal(t, ev, *got)
	}
	_, err := redis.AppendEnvelope(nil, &channels.Event{Name: strings.Repeat("n", 65536)})
	require.ErrorContains(t, err, "too large")
	for _, ev := range []channels.Event{{Name: "\xff"}, {Except: "\xff"}, {UserID: "\xff"}, {Data: []byte("\xff")}} {
		_, err := redis.AppendEnvelope(nil, &ev)
		require.ErrorContains(t, err, "UTF-8")
	}
}

func TestEnvelopeRefusesToEncode(t *testing.T) {
	t.Parallel()
	for want, evs := range map[string][]channels.Event{
		"another kind": {
			{Seq: 1},
			{Count: 1},
			{Kind: channels.Terminate, Seq: 1},
			{Kind: channels.CountChanged, CacheTTL: 1},
			{Kind: channels.MemberAdded, Count: 1},
			{Kind: channels.CountChanged, Seq: 1},
		},
		"unknown kind": {{Kind: channels.Terminate + 1}, {Kind: 255}},
		"out of range": {{CacheTTL: -1}, {CacheTTL: 1<<63 - 1}, {Kind: channels.CountChanged, Count: -1}, {Kind: channels.CountChanged, Count: 1 << 31}},
		"cannot be carried": {
			{Kind: channels.CountChanged, Trace: &channels.Trace{ID: [16]byte{1}, Span: [8]byte{1}}},
			{Trace: &channels.Trace{ID: [16]byte{1}}},
			{Trace: &channels.Trace{Span: [8]byte{1}}},
		},
	} {
		for _, ev := range evs {
			_, err := redis.AppendEnvelope(nil, &ev)
			require.ErrorContains(t, err, want, "%+v", ev)
		}
	}
}

func TestEnvelopeRefuses(t *testing.T) {
	t.Parallel()
	const zero = "\x00\x00\x00\x00\x00\x00\x00\x00"
	const trace = "0123456789abcdef"
	for s, want := range map[string]error{
		"":                       redis.ErrMalformed,
		"\x01":                   redis.ErrMalformed,
		"\x00\x00" + zero + zero: redis.ErrVersion,
		"\x04\x00":               redis.ErrVersion,
		"\x03\x00":               redis.ErrMalformed,
		"\x03" + zero + zero + zero + "\x01" + "\x01\x00" + zero[:6] + zero:              redis.ErrMalformed, // no trace
		"\x03" + trace + zero + "\x01" + "\x01\x00" + zero[:6] + zero:                    redis.ErrMalformed, // no span
		"\x03" + trace + trace[:8] + "\x01" + "\x01\x05" + zero[:6] + zero:               redis.ErrMalformed, // not a message
		"\x03" + trace + trace[:8] + "\x01" + "\x03" + trace + trace[:8] + "\x01\x01":    redis.ErrMalformed, // in itself
		"\x03" + trace + trace[:8] + "\x01":                                              redis.ErrMalformed, // nothing behind it
		"\x02\x00":                                                                       redis.ErrMalformed,
		"\x020123456789abcdef" + zero + zero + "\x01\x00" + zero[:6] + zero:              redis.ErrMalformed, // no offset
		"\x020123456789ABCDEF" + zero[1:] + "\x01" + zero + "\x01\x00" + zero[:6] + zero: redis.ErrMalformed, // no epoch
		"\x020123456789abcdef" + zero[1:] + "\x01" + zero + "\x01\x05" + zero[:6] + zero: redis.ErrMalformed, // not a message
		"\x020123456789abcdef" + zero[1:] + "\x01" + zero + "\x02\x00" + zero[:6] + zero: redis.ErrMalformed, // in itself
		"\x01\x06" + zero + zero:                                                         redis.ErrKind,
		"\x01\xff":                                                                       redis.ErrKind,
		"\x01\x00" + zero:                                                                redis.ErrMalformed,
		"\x01\x00" + zero + "12345":                                                      redis.ErrMalformed,
		"\x01\x00\x00\x01\x00\x00\x00\x00" + zero:                                        redis.ErrMalformed,
		"\x01\x00\x00\x00\xff\xff\x00\x00" + zero:                                        redis.ErrMalformed,
		"\x01\x00\x00\x00\x00\x00\x00\x02" + zero + "x":                                  redis.ErrMalformed,
		"\x01\x00\x00\x01\x00\x00\x00\x00" + zero + "\xc3\xa9":                           redis.ErrMalformed, // é, cut in two by the lengths
		"\x01\x00\x00\x00\x00\x00\x00\x00" + zero + "\xff":                               redis.ErrMalformed,
		"\x01\x00\x00\x00\x00\x00\x00\x00\xff" + zero[1:]:                                redis.ErrMalformed, // to be kept for ever
		"\x01\x04\x00\x00\x00\x00\x00\x00\xff" + zero[1:]:                                redis.ErrMalformed, // a count that is no int
		"\x01\x05\x00\x00\x00\x00\x00\x00" + zero[1:] + "\x01":                           redis.ErrMalformed, // a number without a meaning
	} {
		_, err := redis.DecodeEnvelope(s)
		require.ErrorIs(t, err, want, "%q", s)
	}
	_, err := redis.DecodeEnvelope("\x01\x00" + strings.Repeat("\x00", redis.MaxEnvelope))
	require.ErrorIs(t, err, redis.ErrMalformed)
}

// Whatever decodes has exactly the one form that encoding gives.
func FuzzDecodeEnvelope(f *testing.F) {
	for _, ev := range []channels.Event{{}, {Name: "e", Except: "1.2", UserID: "u", Data: []byte(`"x"`)}, {Kind: channels.CountChanged, Count: 3}, {Kind: channels.MemberRemoved, UserID: "u", Seq: 3}, {Name: "e", Trace: &channels.Trace{ID: [16]byte{1}, Span: [8]byte{1}}}} {
		b, err := redis.AppendEnvelope(nil, &ev)
		require.NoError(f, err)
		f.Add(string(b))
	}
	f.Add("\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xc3\xa9")
	f.Add("\x01\x01\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x01")
	f.Add("\x020123456789abcdef\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x030123456789abcdef01234567\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00x")
	f.Add("\x020123456789abcdef\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00x")
	f.Fuzz(func(t *testing.T, s string) {
		ev, err := redis.DecodeEnvelope(s)
		if err != nil {
			return
		}
		b, err := redis.AppendEnvelope(nil, ev)
		if err != nil {
			t.Fatalf("decoded, and not encodable: %v", err)
		}
		if !ev.Position.IsZero() { // the place stands before it
			s = s[33:]
		}
		if string(b) != s {
			t.Fatalf("%q came back as %q", s, b)
		}
	})
}
