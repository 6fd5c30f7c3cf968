package tenants

import "strings"

// HistoryOf returns the first rule whose pattern matches the channel; nil if the
// channel keeps no history.
func (s *Settings) HistoryOf(channel string) *HistoryRule {
	for i := range s.History {
		if matchesStars(s.History[i].Pattern, channel) {
			return &s.History[i]
		}
	}
	return nil
}

// matchesStars reports whether name fits a pattern in which every * stands for
// any characters. Taking the first place where each part fits is enough, so no
// pattern makes it search again: time is at most the product of both lengths.
func matchesStars(pattern, name string) bool {
	head, rest, starred := strings.Cut(pattern, "*")
	if !starred {
		return pattern == name
	}
	if !strings.HasPrefix(name, head) {
		return false
	}
	name = name[len(head):]
	for {
		part, next, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(name, rest)
		}
		at := strings.Index(name, part)
		if at < 0 {
			return false
		}
		name, rest = name[at+len(part):], next
	}
}
