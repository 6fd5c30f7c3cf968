package wire

import "unicode/utf8"

// escapes is how characters are written inside strings of one nesting level.
type escapes struct {
	slash     string // the backslash that begins an escape sequence
	quote     string
	backslash string
}

// once is for text in a string; twice for text in a string of a JSON document
// that itself is in a string, which is how Pusher carries data.
var (
	once  = &escapes{slash: `\`, quote: `\"`, backslash: `\\`}
	twice = &escapes{slash: `\\`, quote: `\\\"`, backslash: `\\\\`}
)

// Quote appends s as a JSON string literal. The result is valid JSON for every
// s; bytes that are not UTF-8 become U+FFFD.
func Quote(dst []byte, s string) []byte {
	dst = append(dst, '"')
	dst = appendEscaped(dst, s, once)
	return append(dst, '"')
}

// QuoteBytes is [Quote] for a byte slice.
func QuoteBytes(dst, s []byte) []byte {
	dst = append(dst, '"')
	dst = appendEscaped(dst, s, once)
	return append(dst, '"')
}

// AppendData appends raw, a JSON value, in the form event data has on the
// wire: a string literal as it is, anything else quoted into one.
func AppendData(dst, raw []byte) []byte {
	if IsString(raw) {
		return append(dst, raw...)
	}
	return QuoteBytes(dst, raw)
}

const hexDigits = "0123456789abcdef"

// appendEscaped copies runs of plain characters and escapes the others. The
// line separators U+2028 and U+2029 are escaped too: JavaScript before 2019
// does not take them in a string literal.
func appendEscaped[T string | []byte](dst []byte, s T, e *escapes) []byte {
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			dst = append(dst, s[start:i]...)
			dst = e.ascii(dst, c)
			i++
			start = i
			continue
		}
		r, n := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
		switch {
		case r == utf8.RuneError && n == 1:
			dst = append(dst, s[start:i]...)
			dst = utf8.AppendRune(dst, utf8.RuneError)
			start = i + n
		case r == '\u2028' || r == '\u2029':
			dst = append(dst, s[start:i]...)
			dst = append(dst, e.slash...)
			dst = append(dst, 'u', '2', '0', '2', hexDigits[r&15])
			start = i + n
		}
		i += n
	}
	return append(dst, s[start:]...)
}

// ascii writes one character that may not stand for itself.
func (e *escapes) ascii(dst []byte, c byte) []byte {
	switch c {
	case '"':
		return append(dst, e.quote...)
	case '\\':
		return append(dst, e.backslash...)
	}
	dst = append(dst, e.slash...)
	switch c {
	case '\b':
		return append(dst, 'b')
	case '\f':
		return append(dst, 'f')
	case '\n':
		return append(dst, 'n')
	case '\r':
		return append(dst, 'r')
	case '\t':
		return append(dst, 't')
	}
	return append(dst, 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}
