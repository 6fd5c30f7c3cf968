package wire

// literal reads one of the three words of JSON.
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
