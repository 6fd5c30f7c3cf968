package wire_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/channels/wire"
)

func TestStringDecodes(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`""`:                           "",
		`"plain é 😀"`:                  "plain é 😀",
		`"\"\\\/\b\f\n\r\t"`:           "\"\\/\b\f\n\r\t",
		`"\u0000\u00e9\u20AC"`:         "\x00é€",
		`"a\ud83d\ude00b"`:             "a😀b",
		`"\\u0041"`:                    `\u0041`,
		`"{\"user_id\":\"\\u00e9\"}"`:  `{"user_id":"\u00e9"}`,
		`"ends with a backslash \\"`:   `ends with a backslash \`,
		`"\ufffd is a real character"`: "\uFFFD is a real character",
	} {
		got, ok := wire.String([]byte(raw))
		require.True(t, ok, raw)
		require.Equal(t, want, got)
		require.Equal(t, len(want), wire.DecodedLen([]byte(raw)))
		appended, ok := wire.AppendString([]byte("x"), []byte(raw))
		require.True(t, ok)
		require.Equal(t, "x"+want, string(appended))
	}
}

func TestStringRefuses(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{``, `"`, `a`, `"a`, `"a"b`, `"a" `, ` "a"`, `null`, `1`, `{}`, `"\"`, `"\ud800"`, "\"\xff\"", "\"\n\""} {
		_, ok := wire.String([]byte(raw))
		require.False(t, ok, raw)
		appended, ok := wire.AppendString([]byte("x"), []byte(raw))
		require.False(t, ok, raw)
		require.Equal(t, "x", string(appended))
		require.Equal(t, len(raw), wire.DecodedLen([]byte(raw)))
	}
}

func TestKinds(t *testing.T) {
	t.Parallel()
	is := func(raw []byte) [4]bool {
		return [4]bool{wire.IsString(raw), wire.IsObject(raw), wire.IsArray(raw), wire.IsNull(raw)}
	}
	require.Equal(t, [4]bool{true, false, false, false}, is([]byte(`""`)))
	require.Equal(t, [4]bool{false, true, false, false}, is([]byte(`{}`)))
	require.Equal(t, [4]bool{false, false, true, false}, is([]byte(`[]`)))
	require.Equal(t, [4]bool{false, false, false, true}, is([]byte(`null`)))
	require.Equal(t, [4]bool{}, is([]byte(`1`)))
	require.Equal(t, [4]bool{}, is(nil))
}

func TestQuote(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                  `""`,
		"<a href='x'>&é😀":   `"<a href='x'>&é😀"`,
		"\"\\/":             `"\"\\/"`,
		"\b\f\n\r\t":        `"\b\f\n\r\t"`,
		"\x00\x1f\x7f":      `"\u0000\u001f` + "\x7f" + `"`,
		"a\u2028b\u2029":    `"a\u2028b\u2029"`,
		"a\xffb\xc0\x80":    "\"a\uFFFDb\uFFFD\uFFFD\"",
		"\xe2\x80":          "\"\uFFFD\uFFFD\"",
		"\uFFFD":            "\"\uFFFD\"",
		"\xed\xa0\x80 tail": "\"\uFFFD\uFFFD\uFFFD tail\"",
	} {
		got := wire.Quote([]byte("x"), in)
		require.Equal(t, "x"+want, string(got))
		require.Equal(t, got, wire.QuoteBytes([]byte("x"), []byte(in)))
		require.True(t, json.Valid(got[1:]))
	}
}

func TestAppendData(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`"{\"a\":1}"`: `"{\"a\":1}"`,
		`"\u00e9"`:    `"\u00e9"`,
		`{"a":"b\n"}`: `"{\"a\":\"b\\n\"}"`,
		`[1, 2]`:      `"[1, 2]"`,
		`null`:        `"null"`,
		`1.50`:        `"1.50"`,
	} {
		require.Equal(t, want, string(wire.AppendData(nil, []byte(raw))))
	}
}
