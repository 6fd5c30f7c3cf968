package wire_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"tidewire/channels/wire"
)

func nested(open, closing string, n int) string {
	return strings.Repeat(open, n) + strings.Repeat(closing, n)
}

func manyKeys(n int) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = fmt.Sprintf(`"k%d":%d`, i, i)
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// oneHash makes an object whose n keys all have the same hash: the last
// character of each puts right what the ones before it have made of the hash.
func oneHash(tb testing.TB, n int) string {
	tb.Helper()
	const same = 0x9E3779B9
	var parts []string
	for i := 0; len(parts) < n; i++ {
		require.Less(tb, i, 1<<26)
		prefix := []byte{'a' + byte(i%26), 'a' + byte(i/26%26), 'a' + byte(i/676%26), 'a' + byte(i/17576%26), 'a' + byte(i/456976)}
		h := uint32(2166136261)
		for _, c := range prefix {
			h = (h ^ uint32(c)) * 16777619
		}
		if last := rune(h ^ same); last > 0x7f && utf8.ValidRune(last) {
			parts = append(parts, `"`+string(prefix)+string(last)+`":0`)
		}
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func TestKeysOfOneHash(t *testing.T) {
	t.Parallel()
	object := oneHash(t, 500)
	_, err := wire.ParseObject([]byte(`{"a":`+object+`}`), nil)
	require.NoError(t, err)
	first := object[1:strings.Index(object, ",")]
	_, err = wire.ParseObject([]byte(`{"a":`+object[:len(object)-1]+","+first+`}}`), nil)
	require.ErrorContains(t, err, "duplicate key")
}

func TestParseObjectHandsOutRawValues(t *testing.T) {
	t.Parallel()
	in := " \t{ \"a\" : 1.50 ,\"b\":\"x\\u0041\",\n\"c\" : { \"d\": [ 1 , 2 ] } , \"\\u0064\":null,\"\":true}\r\n"
	fields, err := wire.ParseObject([]byte(in), nil)
	require.NoError(t, err)
	got := make([][2]string, 0, len(fields))
	for _, f := range fields {
		got = append(got, [2]string{string(f.Key), string(f.Value)})
	}
	require.Equal(t, [][2]string{
		{"a", "1.50"}, {"b", `"x\u0041"`}, {"c", `{ "d": [ 1 , 2 ] }`}, {"d", "null"}, {"", "true"},
	}, got)

	raw, ok := wire.Get(fields, "d")
	require.True(t, ok)
	require.True(t, wire.IsNull(raw))
	_, ok = wire.Get(fields, "D")
	require.False(t, ok, "keys are looked up as they are")
}

func TestParseObjectAppends(t *testing.T) {
	t.Parallel()
	first, err := wire.ParseObject([]byte(`{"a":1}`), nil)
	require.NoError(t, err)
	both, err := wire.ParseObject([]byte(`{"a":2}`), first)
	require.NoError(t, err, "the members of another object are no duplicates")
	require.Len(t, both, 2)
	same, err := wire.ParseObject([]byte(`{"b":1,"b":2}`), both)
	require.Error(t, err)
	require.Len(t, same, 2, "nothing is added by a text that is refused")
}

func TestParseObjectAccepts(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"empty":                 `{}`,
		"numbers":               `{"n":[0,-0,10,-1.5,1e9,1E+9,1.0e-9,123456789012345678901234567890,1e999]}`,
		"escapes":               `{"s":"\"\\\/\b\f\n\r\t\u00e9"}`,
		"surrogate pair":        `{"s":"\ud83d\ude00"}`,
		"escaped replacement":   `{"s":"\ufffd"}`,
		"deep":                  `{"a":` + nested("[", "]", wire.MaxDepth-1) + `}`,
		"deep objects":          nested(`{"a":`, "}", wire.MaxDepth-1)[:len(`{"a":`)*(wire.MaxDepth-1)] + "{}" + strings.Repeat("}", wire.MaxDepth-1),
		"many keys":             manyKeys(wire.MaxKeys),
		"many nested keys":      `{"a":` + manyKeys(wire.MaxNestedKeys) + `}`,
		"many keys in many":     `{"a":` + strings.Replace(manyKeys(wire.MaxNestedKeys), ":999", ":"+manyKeys(wire.MaxNestedKeys), 1) + `}`,
		"case differs nested":   `{"a":{"b":1,"B":2}}`,
		"same key, siblings":    `{"a":{"x":1},"b":[{"x":1},{"x":2}],"x":{"x":{"x":1}}}`,
		"key again after child": `{"p":{"a":{"b":1},"c":{"b":1},"b":1}}`,
		"keys of one hash":      `{"a":{"k7e827":1,"ka4bb0":2}}`,
		"prefix of one hash":    `{"a":{"k4bb匴":1,"k4bb":2},"b":{"k4bb":1,"k4bb匴":2}}`,
		"DEL":                   "{\"s\":\"\x7f\"}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.True(t, acceptable([]byte(in), true), "the reference disagrees with this test")
			_, err := wire.ParseObject([]byte(in), nil)
			require.NoError(t, err)
		})
	}
}

func TestParseObjectRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, in string
		offset   int
		reason   string
	}{
		{"nothing", "", 0, "unexpected end, expected an object"},
		{"white space", "  ", 2, "unexpected end, expected an object"},
		{"array", `[{}]`, 0, "expected an object"},
		{"byte order mark", "\xef\xbb\xbf{}", 0, "expected an object"},
		{"trailing text", `{} x`, 3, "unexpected text after the value"},
		{"second object", `{}{}`, 2, "unexpected text after the value"},
		{"trailing NUL", "{}\x00", 2, "unexpected text after the value"},
		{"no end", `{"a":1`, 6, "unexpected end, expected a comma or }"},
		{"bracket for brace", `{"a":1]`, 6, "expected a comma or }"},
		{"brace for bracket", `{"a":[1}`, 7, "expected a comma or ]"},
		{"trailing comma", `{"a":1,}`, 7, "expected a key in double quotes"},
		{"trailing comma in array", `{"a":[1,]}`, 8, "expected a value"},
		{"bare key", `{a:1}`, 1, "expected a key in double quotes"},
		{"single quotes", `{'a':1}`, 1, "expected a key in double quotes"},
		{"no colon", `{"a" 1}`, 5, "expected a colon"},
		{"no value", `{"a":}`, 5, "expected a value"},
		{"comment", `{/**/}`, 1, "expected a key in double quotes"},
		{"form feed as space", "{\f}", 1, "expected a key in double quotes"},
		{"NaN", `{"a":NaN}`, 5, "expected a value"},
		{"bad literal", `{"a":nul}`, 5, "expected null"},
		{"long literal", `{"a":truee}`, 9, "expected a comma or }"},
		{"upper-case literal", `{"a":True}`, 5, "expected a value"},
		{"plus sign", `{"a":+1}`, 5, "expected a value"},
		{"leading zero", `{"a":01}`, 6, "expected a comma or }"},
		{"lone minus", `{"a":-}`, 6, "expected a digit"},
		{"no fraction", `{"a":1.}`, 7, "expected a digit"},
		{"no integer part", `{"a":.5}`, 5, "expected a value"},
		{"no exponent", `{"a":1e+}`, 8, "expected a digit"},
		{"hexadecimal", `{"a":0x1}`, 6, "expected a comma or }"},
		{"open string", `{"a":"b}`, 5, "string without closing quote"},
		{"open escape", `{"a":"\`, 6, "unknown escape"},
		{"newline in string", "{\"a\":\"\n\"}", 6, "control character in a string"},
		{"NUL in key", "{\"\x00\":1}", 2, "control character in a string"},
		{"unknown escape", `{"a":"\x"}`, 6, "unknown escape"},
		{"short escape", `{"a":"\u12"}`, 6, "escape needs four hexadecimal digits"},
		{"high surrogate", `{"a":"\ud83d"}`, 6, "lone surrogate"},
		{"high surrogate, text", `{"a":"\ud83dx"}`, 6, "lone surrogate"},
		{"two high surrogates", `{"a":"\ud83d\ud83d"}`, 6, "lone surrogate"},
		{"high surrogate, no low one", `{"a":"\ud83d\ue000"}`, 6, "lone surrogate"},
		{"two low surrogates", `{"a":"\ude00\ude00"}`, 6, "lone surrogate"},
		{"low surrogate", `{"a":"\ude00"}`, 6, "lone surrogate"},
		{"surrogates swapped", `{"a":"\ude00\ud83d"}`, 6, "lone surrogate"},
		{"invalid UTF-8", "{\"é\":\"\xff\"}", 7, "invalid UTF-8"},
		{"encoded surrogate", "{\"a\":\"\xed\xa0\x80\"}", 6, "invalid UTF-8"},
		{"overlong", "{\"a\":\"\xc0\x80\"}", 6, "invalid UTF-8"},
		{"truncated UTF-8", "{\"a\":\"\xe2\x82", 6, "invalid UTF-8"},
		{"duplicate", `{"a":1,"a":2}`, 7, "duplicate key"},
		{"duplicate by escape", `{"a":1,"\u0061":2}`, 7, "duplicate key"},
		{"case variant", `{"event":1,"Event":2}`, 11, "two keys that differ by case only"},
		{"case variant by escape", `{"event":1,"\u0045VENT":2}`, 11, "two keys that differ by case only"},
		{"case variant beyond ASCII", `{"user":1,"u` + "ſ" + `er":2}`, 10, "two keys that differ by case only"},
		{"nested duplicate", `{"a":{"b":1,"c":2,"b":3}}`, 18, "duplicate key"},
		{"nested duplicate by escape", `{"a":[{"b":1,"\u0062":3}]}`, 13, "duplicate key"},
		{"nested duplicate by other escape", `{"a":[{"\u002f":1,"\/":3}]}`, 18, "duplicate key"},
		{"duplicate after child", `{"a":{"b":{"b":1},"b":2}}`, 18, "duplicate key"},
		{"too deep", `{"a":` + nested("[", "]", wire.MaxDepth) + `}`, 5 + wire.MaxDepth - 1, "nested too deeply"},
		{"objects too deep", strings.Repeat(`{"a":`, wire.MaxDepth) + "{}" + strings.Repeat("}", wire.MaxDepth), 5 * wire.MaxDepth, "nested too deeply"},
		{"much too deep", `{"a":` + strings.Repeat("[", 1<<20), 5 + wire.MaxDepth - 1, "nested too deeply"},
		{"too many keys", manyKeys(wire.MaxKeys + 1), strings.Index(manyKeys(wire.MaxKeys+1), `"k64"`), "more than 64 keys in the outermost object"},
		{"too many nested keys", `{"a":` + manyKeys(wire.MaxNestedKeys+1) + `}`, 5 + strings.Index(manyKeys(wire.MaxNestedKeys+1), `"k1000"`), "more than 1000 keys in one object"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			require.False(t, acceptable([]byte(c.in), true) && strings.HasPrefix(c.in, "{"), "the reference disagrees with this test")
			_, err := wire.ParseObject([]byte(c.in), nil)
			var syntax *wire.SyntaxError
			require.ErrorAs(t, err, &syntax)
			require.Equal(t, wire.SyntaxError{Offset: c.offset, Reason: c.reason}, *syntax)
			require.Equal(t, fmt.Sprintf("invalid JSON at byte %d: %s", c.offset, c.reason), err.Error())
		})
	}
}

// More keys than the scanner holds in itself, or compares each with each, in
// objects that follow and enclose each other: each key must be remembered for
// its own object only.
func TestDuplicatesAmongManyKeys(t *testing.T) {
	t.Parallel()
	for n, keys := range map[int][]string{
		40:  {"k0", "k15", "k16", "k39"},
		62:  {"k0", "k61"},
		63:  {"k0", "k62"},
		64:  {"k0", "k63"},
		900: {"k0", "k15", "k16", "k63", "k64", "k899", `k\u0039`},
	} {
		for _, k := range keys {
			testDuplicate(t, manyKeys(n), k)
		}
	}
}

func testDuplicate(t *testing.T, many, k string) {
	t.Helper()
	other := strings.ReplaceAll(many, `"k`, `"j`)
	open := `{"a":` + other + `,"b":{"x":` + other + `,` + many[1:len(many)-1]
	_, err := wire.ParseObject([]byte(open+`,"`+k+`x":0,"y":`+many+`}}`), nil)
	require.NoError(t, err)
	_, err = wire.ParseObject([]byte(open+`,"y":`+other+`,"`+k+`":0}}`), nil)
	var syntax *wire.SyntaxError
	require.ErrorAs(t, err, &syntax)
	require.Equal(t, wire.SyntaxError{Offset: len(open + `,"y":` + other + `,`), Reason: "duplicate key"}, *syntax, k)
}

func TestParseArray(t *testing.T) {
	t.Parallel()
	got, err := wire.ParseArray([]byte(` [ "a" , {"b": 1},[ ],null ] `), nil)
	require.NoError(t, err)
	text := make([]string, len(got))
	for i := range got {
		text[i] = string(got[i])
	}
	require.Equal(t, []string{`"a"`, `{"b": 1}`, `[ ]`, `null`}, text)

	got, err = wire.ParseArray([]byte(`[]`), got)
	require.NoError(t, err)
	require.Len(t, got, 4)

	for in, reason := range map[string]string{
		`{}`:                              "expected an array",
		`[1,]`:                            "expected a value",
		`[1`:                              "unexpected end, expected a comma or ]",
		`[1]]`:                            "unexpected text after the value",
		`[{"a":1,"a":2}]`:                 "duplicate key",
		"[\"\xff\"]":                      "invalid UTF-8",
		nested("[", "]", wire.MaxDepth+1): "nested too deeply",
		"[" + strings.Repeat("1,", wire.MaxElements) + "1" + "]": "more than 16384 elements in the array",
	} {
		back, err := wire.ParseArray([]byte(in), got)
		require.ErrorContains(t, err, reason)
		require.Len(t, back, 4)
	}
	full, err := wire.ParseArray([]byte("["+strings.Repeat("1,", wire.MaxElements-1)+"1]"), nil)
	require.NoError(t, err)
	require.Len(t, full, wire.MaxElements)
}

func TestValid(t *testing.T) {
	t.Parallel()
	for _, in := range []string{`1`, ` "a" `, `null`, `[1]`, `{"a":{}}`, nested("[", "]", wire.MaxDepth)} {
		require.NoError(t, wire.Valid([]byte(in)), in)
	}
	for _, in := range []string{``, `1 2`, `"`, "\"\xff\"", `{"a":1,"a":1}`, nested("[", "]", wire.MaxDepth+1), `"\udfff"`} {
		require.Error(t, wire.Valid([]byte(in)), in)
	}
}

func TestReadingAllocatesNothing(t *testing.T) {
	in := []byte(`{"event":"client-move","channel":"private-x","data":{"x":1,"y":[1,2,{"z":"a\nb"}]},"extra":null}`)
	array := []byte(`["a","b",{"c":1}]`)
	fields := make([]wire.Field, 0, 8)
	elements := make([][]byte, 0, 8)
	text := make([]byte, 0, 64)
	for name, f := range map[string]func(){
		"ParseObject":  func() { fields, _ = wire.ParseObject(in, fields[:0]) },
		"ParseArray":   func() { elements, _ = wire.ParseArray(array, elements[:0]) },
		"Valid":        func() { _ = wire.Valid(in) },
		"Get":          func() { _, _ = wire.Get(fields, "data") },
		"AppendString": func() { text, _ = wire.AppendString(text[:0], []byte(`"a\nb\ud83d\ude00"`)) },
		"DecodedLen":   func() { _ = wire.DecodedLen([]byte(`"a\nb\ud83d\ude00"`)) },
	} {
		require.Zero(t, testing.AllocsPerRun(100, f), name)
	}
	require.Len(t, fields, 4)
	require.Len(t, elements, 3)
}
