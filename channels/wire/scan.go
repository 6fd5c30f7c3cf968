package wire

import (
	"cmp"
	"slices"
	"unicode/utf8"
)

// Bounds of what the reader accepts. They are checked while reading, before
// anything is built from the input.
const (
	// MaxDepth is how deep objects and arrays may be nested, the outermost included.
	MaxDepth = 32
	// MaxKeys is how many keys the outermost object of a text may have. Those
	// are the protocol's own, and few.
	MaxKeys = 64
	// MaxNestedKeys is how many keys an object inside a text may have. Those are
	// the customer's data.
	MaxNestedKeys = 1000
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
	open  int
	first [16]nestedKey
	rest  []nestedKey
}

// span is a piece of the input: a key without its quotes, as written.
type span struct{ start, end int }

// nestedKey is a key with the hash of its meaning, which spares most comparisons.
type nestedKey struct {
	span
	hash uint32
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
// must be different, but may differ by case only. Of a text that is wrong in
// several ways, any of them may be the one reported.
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
			err := s.distinct(base)
			s.open = base
			return i, err
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
	end, _, err := s.str(i)
	if err != nil {
		return span{}, 0, err
	}
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
// seen to be there already. The first few are compared with each other, which
// needs no memory; distinct deals with the rest.
func (s *scanner) remember(base int, key span) error {
	n := s.open - base
	if n >= MaxNestedKeys {
		return fail(key.start-1, errTooManyNestedKeys)
	}
	added := nestedKey{key, hashText(s.text(key))}
	if n < fewKeys {
		for i := base; i < s.open; i++ {
			if s.compare(*s.opened(i), added) == 0 {
				return fail(key.start-1, errDuplicateKey)
			}
		}
	}
	if s.open < len(s.first) {
		s.first[s.open] = added
	} else {
		s.rest = append(s.rest[:s.open-len(s.first)], added)
	}
	s.open++
	return nil
}

// distinct looks for repeated keys in an object that began at base, has been
// read to its end and has many. It sorts them, so that a text made of keys with
// one hash costs no more than others.
func (s *scanner) distinct(base int) error {
	if s.open-base <= fewKeys {
		return nil
	}
	keys := s.rest[max(0, base-len(s.first)) : s.open-len(s.first)]
	if base < len(s.first) {
		keys = append(keys, s.first[base:]...)
		s.rest = keys // keep what it may have grown to
	}
	slices.SortFunc(keys, s.compare)
	for i := 1; i < len(keys); i++ {
		if s.compare(keys[i-1], keys[i]) == 0 {
			return fail(max(keys[i-1].start, keys[i].start)-1, errDuplicateKey)
		}
	}
	return nil
}

// compare orders keys; it is 0 for two that mean the same.
func (s *scanner) compare(a, b nestedKey) int {
	if a.hash != b.hash {
		return cmp.Compare(a.hash, b.hash)
	}
	return compareText(s.text(a.span), s.text(b.span))
}

// opened returns the key at place i of those of the open objects.
func (s *scanner) opened(i int) *nestedKey {
	if i < len(s.first) {
		return &s.first[i]
	}
	return &s.rest[i-len(s.first)]
}

func (s *scanner) text(k span) []byte { return s.b[k.start:k.end] }

// fewKeys is up to how many keys of an object are compared each with each.
const fewKeys = 64

const (
	errTooManyKeys       = "more than 64 keys in the outermost object"
	errTooManyNestedKeys = "more than 1000 keys in one object"
	errDuplicateKey      = "duplicate key"
)
