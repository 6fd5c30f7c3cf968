package wire_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"tidewire/channels/wire"
)

var seeds = []string{
	`{}`, ``, `{`, `[]`, `"a"`, `{"a":1}`, `{"a":1,"a":2}`, `{"a":1,"A":2}`, `{"a":1,"\u0061":2}`,
	`{"event":"pusher:ping","data":{}}`, `{"event":"pusher:ping","data":""}`, `{"event":"pusher:ping"}`,
	`{"event":"pusher:subscribe","data":{"auth":null,"channel":"x","channel_data":null}}`,
	`{"event":"pusher:subscribe","data":"{\"channel\":\"x\"}"}`,
	`{"event":"client-a","channel":"private-x","data":"{\"a\":1}","user_id":"7"}`,
	`{"a":{"b":1,"c":{"b":[{"b":2}]},"b":3}}`, `{"s":"\ud83d\ude00","t":"\ud83d"}`, `{"k":"\\ud800"}`,
	`{"n":[0,-0,1.5,1e9,-1E-9,01,1.,1e]}`, "{\"a\":\"\xff\"}", "{\"a\":\"\u2028\"}", "{\"ſ\":1,\"s\":2}",
	`{"a":` + strings.Repeat("[", 33) + strings.Repeat("]", 33) + `}`,
	`{"user_id":10,"user_info":{"name":"x"}}`, `{"user_id":"10","user_info":[]}`, `{"user_id":1e3}`,
	`{"id":"1","user_info":{},"watchlist":["2",3]}`, `{"id":1}`, `{"event":"a","Data":{},"Channel":1}`,
}

func addSeeds(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
}

// FuzzParseObject holds the reader against encoding/json, both ways.
func FuzzParseObject(f *testing.F) {
	addSeeds(f)
	many := manyKeys(70) // more than are compared each with each
	f.Add([]byte(`{"a":` + many + `,"b":` + many[:len(many)-1] + `,"k3":0}}`))
	f.Add([]byte(`{"a":` + many[:len(many)-1] + `,"k70":` + many + `}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		require.Equal(t, acceptable(b, false), wire.Valid(b) == nil, "Valid(%q) = %v", b, wire.Valid(b))

		fields, err := wire.ParseObject(b, nil)
		var want map[string]json.RawMessage
		isObject := json.Unmarshal(b, &want) == nil && want != nil
		require.Equal(t, isObject && acceptable(b, true), err == nil, "ParseObject(%q): %v", b, err)
		if err != nil {
			return
		}
		require.Len(t, want, len(fields))
		for _, field := range fields {
			require.Contains(t, want, string(field.Key))
			expected, err := meaning(want[string(field.Key)])
			require.NoError(t, err)
			got, err := meaning(field.Value)
			require.NoError(t, err)
			require.Equal(t, expected, got)
			if s, ok := expected.(string); ok {
				decoded, ok := wire.String(field.Value)
				require.True(t, ok)
				require.Equal(t, s, decoded)
				require.Equal(t, len(s), wire.DecodedLen(field.Value))
			}
		}
	})
}

// FuzzParseArray holds the array reader against encoding/json.
func FuzzParseArray(f *testing.F) {
	addSeeds(f)
	f.Add([]byte(`[1,"a",{"b":[]},null]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		elements, err := wire.ParseArray(b, nil)
		var want []json.RawMessage
		isArray := json.Unmarshal(b, &want) == nil && want != nil
		require.Equal(t, isArray && acceptable(b, false) && len(want) <= wire.MaxElements, err == nil, "ParseArray(%q): %v", b, err)
		if err != nil {
			return
		}
		require.Len(t, elements, len(want))
		for i := range want {
			require.Equal(t, string(want[i]), string(elements[i]))
		}
	})
}

// FuzzQuote writes any text and reads it back, here and with encoding/json.
func FuzzQuote(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Add("\x00\b\f\n\r\t\"\\/\x7f\u2028\u2029\xff\xed\xa0\x80")
	f.Fuzz(func(t *testing.T, s string) {
		literal := wire.Quote(nil, s)
		require.Equal(t, literal, wire.QuoteBytes(nil, []byte(s)))
		require.NoError(t, wire.Valid(literal))
		want := string([]rune(s)) // each byte that is not UTF-8 becomes U+FFFD
		var theirs string
		require.NoError(t, json.Unmarshal(literal, &theirs))
		require.Equal(t, want, theirs)
		ours, ok := wire.String(literal)
		require.True(t, ok)
		require.Equal(t, want, ours)
		require.Equal(t, len(want), wire.DecodedLen(literal))

		if b, err := json.Marshal(s); err == nil {
			ours, ok := wire.String(b)
			require.True(t, ok)
			require.Equal(t, want, ours)
		}
	})
}

// FuzzString holds the literal reader against encoding/json.
func FuzzString(f *testing.F) {
	for _, s := range []string{`""`, `"a\n"`, `"\ud83d\ude00"`, `"\ud83d"`, `"`, `"\\\"`, "\"\xff\"", `"a" `} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, ok := wire.String(raw)
		var want string
		bare := len(raw) > 0 && raw[0] == '"' && raw[len(raw)-1] == '"'
		require.Equal(t, bare && acceptable(raw, false) && json.Unmarshal(raw, &want) == nil, ok, "%q", raw)
		require.Equal(t, want, s)
	})
}

// FuzzDecodeClientFrame checks that whatever is accepted means the same to
// encoding/json, and that the decoders behind it never fail in another way than
// with an error.
func FuzzDecodeClientFrame(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		var frame wire.ClientFrame
		if wire.DecodeClientFrame(b, &frame) != nil {
			return
		}
		var want map[string]json.RawMessage // a struct would take keys in any case
		require.NoError(t, json.Unmarshal(b, &want))
		require.JSONEq(t, string(want["event"]), string(wire.Quote(nil, frame.Event)))
		require.Equal(t, want["channel"] != nil && string(want["channel"]) != "null", frame.HasChannel)
		if frame.HasChannel {
			require.JSONEq(t, string(want["channel"]), string(wire.Quote(nil, frame.Channel)))
		}
		require.Equal(t, string(want["data"]), string(frame.Data))

		var again wire.ClientFrame
		again.Event, again.Channel = frame.Event, frame.Channel
		require.NoError(t, wire.DecodeClientFrame(b, &again))
		require.Equal(t, frame, again, "a reused frame decodes to the same")

		var s wire.Subscribe
		if wire.DecodeSubscribe(frame.Data, &s) == nil {
			channel, err := wire.DecodeUnsubscribe(frame.Data)
			require.NoError(t, err, "what subscribes must be able to unsubscribe")
			require.Equal(t, s.Channel, channel)
			_, _, _ = wire.DecodeChannelData(s.ChannelData)
		}
		var in wire.Signin
		if wire.DecodeSignin(frame.Data, &in) == nil {
			_, _, _, _ = wire.DecodeUserData(in.UserData)
		}
	})
}

// FuzzIdentities checks the promises about what the two identity decoders accept.
func FuzzIdentities(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if id, info, err := wire.DecodeChannelData(s); err == nil {
			require.NotEmpty(t, id)
			require.LessOrEqual(t, utf8.RuneCountInString(id), wire.MaxPresenceIDChars)
			requireInfo(t, info)
		}
		if id, info, _, err := wire.DecodeUserData(s); err == nil {
			require.Regexp(t, `^[A-Za-z0-9_\-=@,.;]{1,200}$`, id)
			requireInfo(t, info)
		}
	})
}

func requireInfo(t *testing.T, info []byte) {
	t.Helper()
	if info != nil {
		var object map[string]any
		require.NoError(t, json.Unmarshal(info, &object))
		require.NotNil(t, object)
	}
}
