package tenants_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
)

func TestHistoryOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, channel string
		want             bool
	}{
		{"orders", "orders", true},
		{"orders", "orders-1", false},
		{"*", "anything", true},
		{"*", "#server-to-user-1", true},
		{"orders-*", "orders-", true},
		{"orders-*", "orders-1", true},
		{"orders-*", "order-1", false},
		{"*-log", "a-log", true},
		{"*-log", "-log", true},
		{"*-log", "a-log-b", false},
		{"*-log", "log", false},
		{"a*b*c", "abc", true},
		{"a*b*c", "axxbxxc", true},
		{"a*b*c", "acb", false},
		{"a*b*c", "abcbc", true},
		{"a*a", "a", false},
		{"a*a", "aa", true},
		{"**", "", true},
		{"a**b", "ab", true},
		{"*ab*ab", "xabab", true},
		{"*ab*ab", "ab", false},
	} {
		s := tenants.Settings{History: []tenants.HistoryRule{{Pattern: c.pattern, MaxMessages: 1}}}
		require.Equal(t, c.want, s.HistoryOf(c.channel) != nil, "%q on %q", c.pattern, c.channel)
	}
	s := tenants.Settings{History: []tenants.HistoryRule{{Pattern: "a-*", MaxMessages: 1}, {Pattern: "*", MaxMessages: 2}}}
	require.Equal(t, 1, s.HistoryOf("a-1").MaxMessages, "the first rule that matches counts")
	require.Equal(t, 2, s.HistoryOf("b").MaxMessages)
	require.Nil(t, (&tenants.Settings{}).HistoryOf("b"))
}

// A pattern made to be slow is not.
func TestHistoryOfHostilePattern(t *testing.T) {
	t.Parallel()
	s := tenants.Settings{History: []tenants.HistoryRule{{Pattern: strings.Repeat("*a", 99) + "*b"}}}
	begun := time.Now()
	for range 100 {
		require.Nil(t, s.HistoryOf(strings.Repeat("a", 200)))
	}
	require.Less(t, time.Since(begun), 2*time.Second)
}
