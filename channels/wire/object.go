package wire

import "bytes"

// Field is one member of a JSON object.
type Field struct {
	// Key is decoded. It is a slice of the input unless it was written with escapes.
	Key []byte
	// Value is the value as it was written, without the white space around it;
	// a slice of the input.
	Value []byte
}

// ParseObject reads exactly one object, with nothing but white space around
// it, and appends its members to dst in their order. The whole text is checked,
// every nested value included: JSON grammar, UTF-8, surrogates, [MaxDepth],
// [MaxKeys], [MaxNestedKeys]. Two keys of the object that are equal or differ by case only are
// refused; in nested objects only equal ones are, because there the keys are
// the customer's data. Every error is a [*SyntaxError]; dst then comes back
// as it was.
func ParseObject(b []byte, dst []Field) ([]Field, error) {
	s := scanner{b: b}
	i, err := s.begin()
	if err != nil {
		return dst, err
	}
	if s.at(i) != '{' {
		return dst, s.unexpected(i, "an object")
	}
	fields, i, err := s.fields(s.space(i+1), dst)
	if err == nil {
		err = s.end(i)
	}
	if err != nil {
		return dst, err
	}
	return fields, nil
}

// fields reads the members of the outermost object and its closing brace.
func (s *scanner) fields(i int, dst []Field) ([]Field, int, error) {
	if s.at(i) == '}' {
		return dst, i + 1, nil
	}
	for base := len(dst); ; {
		k, start, err := s.key(i)
		if err != nil {
			return nil, 0, err
		}
		key := s.text(k)
		if bytes.IndexByte(key, '\\') >= 0 {
			key = appendDecoded(nil, key)
		}
		if err := unused(dst[base:], key, i); err != nil {
			return nil, 0, err
		}
		end, err := s.value(start, 1)
		if err != nil {
			return nil, 0, err
		}
		dst = append(dst, Field{Key: key, Value: s.b[start:end]})
		var more bool
		if i, more, err = s.after(end, '}'); err != nil || !more {
			return dst, i, err
		}
	}
}

// unused refuses a key that is there already in some spelling.
func unused(fields []Field, key []byte, offset int) error {
	if len(fields) >= MaxKeys {
		return fail(offset, errTooManyKeys)
	}
	for i := range fields {
		if bytes.EqualFold(fields[i].Key, key) {
			if bytes.Equal(fields[i].Key, key) {
				return fail(offset, errDuplicateKey)
			}
			return fail(offset, "two keys that differ by case only")
		}
	}
	return nil
}

// Get returns the value of key as it was written. ok is false if there is none.
func Get(fields []Field, key string) (raw []byte, ok bool) {
	for i := range fields {
		if string(fields[i].Key) == key {
			return fields[i].Value, true
		}
	}
	return nil, false
}

// ParseArray reads exactly one array and appends its elements, as they are
// written, to dst. It checks as [ParseObject] does, and refuses more than
// [MaxElements]. Every error is a [*SyntaxError]; dst then comes back as it was.
func ParseArray(b []byte, dst [][]byte) ([][]byte, error) {
	s := scanner{b: b}
	i, err := s.begin()
	if err != nil {
		return dst, err
	}
	if s.at(i) != '[' {
		return dst, s.unexpected(i, "an array")
	}
	elements, i, err := s.elements(s.space(i+1), dst)
	if err == nil {
		err = s.end(i)
	}
	if err != nil {
		return dst, err
	}
	return elements, nil
}

// elements reads the elements of the outermost array and its closing bracket.
func (s *scanner) elements(i int, dst [][]byte) ([][]byte, int, error) {
	if s.at(i) == ']' {
		return dst, i + 1, nil
	}
	for base := len(dst); ; {
		if len(dst)-base >= MaxElements {
			return nil, 0, fail(i, "more than 16384 elements in the array")
		}
		end, err := s.value(i, 1)
		if err != nil {
			return nil, 0, err
		}
		dst = append(dst, s.b[i:end])
		var more bool
		if i, more, err = s.after(end, ']'); err != nil || !more {
			return dst, i, err
		}
	}
}

// Valid checks one JSON value of any kind as strictly as [ParseObject] does
// nested ones. The error is a [*SyntaxError].
func Valid(raw []byte) error {
	s := scanner{b: raw}
	i, err := s.begin()
	if err != nil {
		return err
	}
	if i, err = s.value(i, 0); err != nil {
		return err
	}
	return s.end(i)
}
