package wire

import (
	"bytes"
	"unicode/utf8"
)

// Bounds of what the reader accepts. They are checked while reading, before
// anything is built from the input.
const (
	// MaxDepth is how deep objects and arrays may be nested, the outermost included.
	MaxDepth = 32
	// MaxKeys is how many keys one object may have. It keeps the search for
	// repeated keys, quadratic in it, cheap.
	MaxKeys = 64
	// MaxElements is how many elements [ParseArray] hands out at most.
	MaxElements = 16384
)

// scanner checks JSON grammar. Its methods take the index to start at and
// return the index after what they read.
type scanner struct {
	b []byte
	// The keys of the nested objects that are open, the innermost object's last.
	// The first ones lie in the scanner itself: a slice of its own memory would
	// move it to the heap.
	open    int
	first   [16]span
	rest    []span
	escapes bool // some key was written with escapes, so equal keys may look different
}

// span is a piece of the input: a key without its quotes.
type span struct{ start, end int }

// opened returns the key at place i of those of the open objects, as written.
func (s *scanner) opened(i int) []byte {
	k := s.first[:]
	if i >= len(k) {
		i, k = i-len(k), s.rest
	}
	return s.b[k[i].start:k[i].end]
}

// push adds a key to those of the open objects.
func (s *scanner) push(k span) {
	if s.open < len(s.first) {
		s.first[s.open] = k
	} else {
		s.rest = append(s.rest[:s.open-len(s.first)], k)
	}
	s.open++
}

func fail(offset int, reason string) error {
	return &SyntaxError{Offset: offset, Reason: reason}
}

// unexpected is the error for a byte, or an end, that fits nothing.
func (s *scanner) unexpected(i int, want string) error {
	if i >= len(s.b) {
		return fail(len(s.b), "unexpected end, expected "+want)
	}
	return fail(i, "expected "+want)
}

// begin checks what holds for the text as a whole and finds its first byte.
func (s *scanner) begin() (int, error) {
	if !utf8.Valid(s.b) {
		return 0, fail(invalidUTF8(s.b), "invalid UTF-8")
	}
	return s.space(0), nil
}

// end refuses anything but white space from i on.
func (s *scanner) end(i int) error {
	if i = s.space(i); i < len(s.b) {
		return fail(i, "unexpected text after the value")
	}
	return nil
}

func invalidUTF8(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(b)
}

// at returns the byte at i, or 0, which no grammar rule accepts, past the end.
func (s *scanner) at(i int) byte {
	if i < len(s.b) {
		return s.b[i]
	}
	return 0
}

func (s *scanner) space(i int) int {
	for i < len(s.b) {
		switch s.b[i] {
		case ' ', '\t', '\n', '\r':
			i++
		default:
			return i
		}
	}
	return i
}

// value reads any value. depth counts the objects and arrays around it.
func (s *scanner) value(i, depth int) (int, error) {
	switch c := s.at(i); {
	case c == '"':
		end, _, err := s.str(i)
		return end, err
	case c == '{':
		return s.object(i, depth+1)
	case c == '[':
		return s.array(i, depth+1)
	case c == '-' || isDigit(c):
		return s.number(i)
	case c == 't':
		return s.literal(i, "true")
	case c == 'f':
		return s.literal(i, "false")
	case c == 'n':
		return s.literal(i, "null")
	}
	return 0, s.unexpected(i, "a value")
}

// object reads a nested object. Its keys are the customer's own data, so they
// must be different, but may differ by case only.
func (s *scanner) object(i, depth int) (int, error) {
	if depth > MaxDepth {
		return 0, fail(i, "nested too deeply")
	}
	if i = s.space(i + 1); s.at(i) == '}' {
		return i + 1, nil
	}
	for base := s.open; ; {
		key, next, err := s.key(i)
		if err != nil {
			return 0, err
		}
		if err := s.remember(base, key); err != nil {
			return 0, err
		}
		if next, err = s.value(next, depth); err != nil {
			return 0, err
		}
		var more bool
		if i, more, err = s.after(next, '}'); err != nil {
			return 0, err
		}
		if !more {
			s.open = base
			return i, nil
		}
	}
}

func (s *scanner) array(i, depth int) (int, error) {
	if depth > MaxDepth {
		return 0, fail(i, "nested too deeply")
	}
	if i = s.space(i + 1); s.at(i) == ']' {
		return i + 1, nil
	}
	for {
		next, err := s.value(i, depth)
		if err != nil {
			return 0, err
		}
		var more bool
		if i, more, err = s.after(next, ']'); err != nil || !more {
			return i, err
		}
	}
}

// key reads a key and its colon. next is the index of the value.
func (s *scanner) key(i int) (key span, next int, err error) {
	if s.at(i) != '"' {
		return span{}, 0, s.unexpected(i, "a key in double quotes")
	}
	end, escaped, err := s.str(i)
	if err != nil {
		return span{}, 0, err
	}
	s.escapes = s.escapes || escaped
	colon := s.space(end)
	if s.at(colon) != ':' {
		return span{}, 0, s.unexpected(colon, "a colon")
	}
	return span{i + 1, end - 1}, s.space(colon + 1), nil
}

// after reads what follows an element: a comma, and then more is true and the
// index is that of the next element, or the closing byte.
func (s *scanner) after(i int, closing byte) (next int, more bool, err error) {
	i = s.space(i)
	switch s.at(i) {
	case ',':
		return s.space(i + 1), true, nil
	case closing:
		return i + 1, false, nil
	}
	return 0, false, s.unexpected(i, "a comma or "+string(rune(closing)))
}

// remember adds a key to those of the object that began at base, unless it is
// there already.
func (s *scanner) remember(base int, key span) error {
	if s.open-base >= MaxKeys {
		return fail(key.start-1, errTooManyKeys)
	}
	text := s.b[key.start:key.end]
	for i := base; i < s.open; i++ {
		k := s.opened(i)
		if bytes.Equal(k, text) || s.escapes && sameText(k, text) {
			return fail(key.start-1, errDuplicateKey)
		}
	}
	s.push(key)
	return nil
}

const (
	errTooManyKeys  = "more than 64 keys in one object"
	errDuplicateKey = "duplicate key"
)

func (s *scanner) literal(i int, word string) (int, error) {
	if len(s.b)-i < len(word) || string(s.b[i:i+len(word)]) != word {
		return 0, s.unexpected(i, word)
	}
	return i + len(word), nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func (s *scanner) digits(i int) (int, error) {
	start := i
	for isDigit(s.at(i)) {
		i++
	}
	if i == start {
		return 0, s.unexpected(i, "a digit")
	}
	return i, nil
}

func (s *scanner) number(i int) (int, error) {
	if s.at(i) == '-' {
		i++
	}
	var err error
	if s.at(i) == '0' {
		i++ // no digit may follow a leading zero
	} else if i, err = s.digits(i); err != nil {
		return 0, err
	}
	if s.at(i) == '.' {
		if i, err = s.digits(i + 1); err != nil {
			return 0, err
		}
	}
	if c := s.at(i); c == 'e' || c == 'E' {
		if c = s.at(i + 1); c == '+' || c == '-' {
			i++
		}
		if i, err = s.digits(i + 1); err != nil {
			return 0, err
		}
	}
	return i, nil
}

// str reads a string, b[i] being its opening quote.
func (s *scanner) str(i int) (end int, escaped bool, err error) {
	for j := i + 1; j < len(s.b); {
		switch c := s.b[j]; {
		case c == '"':
			return j + 1, escaped, nil
		case c == '\\':
			escaped = true
			if j, err = s.escape(j); err != nil {
				return 0, false, err
			}
		case c < ' ':
			return 0, false, fail(j, "control character in a string")
		default:
			j++
		}
	}
	return 0, false, fail(i, "string without closing quote")
}

// escape reads one escape sequence, or two that form a surrogate pair.
func (s *scanner) escape(i int) (int, error) {
	switch s.at(i + 1) {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2, nil
	case 'u':
	default:
		return 0, fail(i, "unknown escape")
	}
	r := hex4(s.b, i+2)
	switch {
	case r < 0:
		return 0, fail(i, "escape needs four hexadecimal digits")
	case r < surrogateMin || r > surrogateMax:
		return i + 6, nil
	}
	if r < lowSurrogate && s.at(i+6) == '\\' && s.at(i+7) == 'u' {
		if low := hex4(s.b, i+8); low >= lowSurrogate && low <= surrogateMax {
			return i + 12, nil
		}
	}
	return 0, fail(i, "lone surrogate")
}
