package wire

import (
	"bytes"
	"cmp"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	surrogateMin = 0xD800
	lowSurrogate = 0xDC00
	surrogateMax = 0xDFFF
)

// IsString reports whether raw, a value from [ParseObject] or [ParseArray], is
// a string.
func IsString(raw []byte) bool { return len(raw) > 0 && raw[0] == '"' }

// IsObject reports whether raw, a value from [ParseObject] or [ParseArray], is
// an object.
func IsObject(raw []byte) bool { return len(raw) > 0 && raw[0] == '{' }

// IsArray reports whether raw, a value from [ParseObject] or [ParseArray], is
// an array.
func IsArray(raw []byte) bool { return len(raw) > 0 && raw[0] == '[' }

// IsNull reports whether raw is null. An absent value (nil) is not.
func IsNull(raw []byte) bool { return string(raw) == "null" }

// String decodes a JSON string literal, quotes included. It is false for
// anything else, also for a literal that [Valid] would refuse.
func String(raw []byte) (string, bool) {
	text, escaped, ok := unquote(raw)
	if !ok {
		return "", false
	}
	if !escaped {
		return string(text), true
	}
	return string(appendDecoded(make([]byte, 0, len(text)), text)), true
}

// AppendString appends what the JSON string literal raw stands for. It returns
// dst as it was, and false, if raw is not one.
func AppendString(dst, raw []byte) ([]byte, bool) {
	text, escaped, ok := unquote(raw)
	switch {
	case !ok:
		return dst, false
	case !escaped:
		return append(dst, text...), true
	}
	return appendDecoded(dst, text), true
}

// DecodedLen is the length in bytes of what raw delivers: for a string literal
// that of the decoded text, for any other value that of raw itself.
func DecodedLen(raw []byte) int {
	text, escaped, ok := unquote(raw)
	switch {
	case !ok:
		return len(raw)
	case !escaped:
		return len(text)
	}
	n := 0
	for i := 0; i < len(text); {
		j := bytes.IndexByte(text[i:], '\\')
		if j < 0 {
			return n + len(text) - i
		}
		r, next := unescape(text, i+j)
		n += j + utf8.RuneLen(r)
		i = next
	}
	return n
}

// unquote returns the inside of a string literal as it is written, and whether
// it has escapes in it.
func unquote(raw []byte) (text []byte, escaped, ok bool) {
	if !IsString(raw) || !utf8.Valid(raw) {
		return nil, false, false
	}
	s := scanner{b: raw}
	end, escaped, err := s.str(0)
	if err != nil || end != len(raw) {
		return nil, false, false
	}
	return raw[1 : end-1], escaped, true
}

// appendDecoded appends the meaning of checked text.
func appendDecoded(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		j := bytes.IndexByte(text[i:], '\\')
		if j < 0 {
			return append(dst, text[i:]...)
		}
		dst = append(dst, text[i:i+j]...)
		r, next := unescape(text, i+j)
		dst = utf8.AppendRune(dst, r)
		i = next
	}
	return dst
}

// unescape decodes the escape sequence at text[i], a backslash, of checked text.
func unescape(text []byte, i int) (r rune, next int) {
	switch c := text[i+1]; c {
	case 'b':
		return '\b', i + 2
	case 'f':
		return '\f', i + 2
	case 'n':
		return '\n', i + 2
	case 'r':
		return '\r', i + 2
	case 't':
		return '\t', i + 2
	case 'u':
		r = hex4(text, i+2)
		if r < surrogateMin || r > surrogateMax {
			return r, i + 6
		}
		return utf16.DecodeRune(r, hex4(text, i+8)), i + 12
	default:
		return rune(c), i + 2
	}
}

// hex4 reads four hexadecimal digits at b[i]; it is -1 if they are not there.
func hex4(b []byte, i int) rune {
	if i+4 > len(b) {
		return -1
	}
	var r rune
	for _, c := range b[i : i+4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// compareText orders two checked texts by their meaning, either of which may be
// written with escapes; it is 0 if they mean the same.
func compareText(a, b []byte) int {
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		var x, y rune
		x, i = nextRune(a, i)
		y, j = nextRune(b, j)
		if x != y {
			return cmp.Compare(x, y)
		}
	}
	return cmp.Compare(len(a)-i, len(b)-j) // at most one of them goes on
}

// hashText hashes the meaning of a checked text (FNV-1a, over characters), so
// that it is the same however the text is written.
func hashText(text []byte) uint32 {
	h := uint32(2166136261)
	for i := 0; i < len(text); {
		var r rune
		r, i = nextRune(text, i)
		h = (h ^ uint32(r)) * 16777619
	}
	return h
}

func nextRune(text []byte, i int) (rune, int) {
	switch c := text[i]; {
	case c == '\\':
		return unescape(text, i)
	case c < utf8.RuneSelf:
		return rune(c), i + 1
	}
	r, n := utf8.DecodeRune(text[i:])
	return r, i + n
}
