package tenants_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
)

// claimsFor verifies a token with these claims.
func claimsFor(t testing.TB, change obj) (*tenants.JWTClaims, error) {
	t.Helper()
	claims := with(goodClaims("hmac"), "channels", nil)
	for name, value := range change {
		claims[name] = value
	}
	return verifier().Verify(t.Context(), jwtApp(t), hs256(t, hsHeader, claims))
}

func TestChannelPatterns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"private-x", "private-x", true},
		{"private-x", "private-xy", false},
		{"private-x", "Private-x", false},
		{"private-xy", "private-x", false},
		{"*", "private-anything.at-all", true},
		{"private-*", "private-", true},
		{"private-*", "private-a-b.c", true},
		{"private-*", "presence-a", false},
		{"private-room*", "private-room", true},
		{"private-room*", "private-room-7", true},
		{"private-*-chat", "private-7-chat", true},
		{"private-*-chat", "private--chat", false},
		{"private-*-chat", "private-7-8-chat", false},
		{"private-*-chat", "private-7.8-chat", false},
		{"private-*-chat", "private-7-chats", false},
		{"private-*-*", "private-a-", true},
		{"private-*-*", "private-a", false},
		{"private-team.*.*-log", "private-team.a.b-log", true},
		{"private-team.*.*-log", "private-team.a.b.c-log", false},
		{"*-room", "private-room", true},
		{"*-room", "a.private-room", false},
		{"private-a,b;c=d@e_f.g", "private-a,b;c=d@e_f.g", true},
	} {
		claims, err := claimsFor(t, obj{"channels": obj{c.pattern: []string{"subscribe"}}})
		require.NoError(t, err, c.pattern)
		require.Equal(t, c.want, claims.Allows(c.name, tenants.CapSubscribe), "%s %s", c.pattern, c.name)
	}
}

func TestCapabilitiesOfPatternsAddUp(t *testing.T) {
	t.Parallel()
	claims, err := claimsFor(t, obj{"channels": obj{
		"presence-*": []string{"subscribe"}, "presence-a*": []string{"presence"}, "presence-ab": []string{"publish", "history"}, "private-x": []string{},
	}})
	require.NoError(t, err)
	all := tenants.CapSubscribe | tenants.CapPresence | tenants.CapPublish | tenants.CapHistory
	require.True(t, claims.Allows("presence-ab", all))
	require.True(t, claims.Allows("presence-ac", tenants.CapSubscribe|tenants.CapPresence))
	require.False(t, claims.Allows("presence-ac", tenants.CapPublish))
	require.False(t, claims.Allows("presence-b", tenants.CapSubscribe|tenants.CapPresence))
	require.False(t, claims.Allows("private-x", tenants.CapSubscribe))

	claims, err = claimsFor(t, obj{"channel": "presence-x"})
	require.NoError(t, err)
	require.True(t, claims.Allows("presence-x", tenants.CapSubscribe|tenants.CapPresence|tenants.CapHistory))
	require.False(t, claims.Allows("presence-x", tenants.CapPublish), "only when it says so")
	require.False(t, claims.Allows("presence-xy", tenants.CapSubscribe))
	claims, err = claimsFor(t, obj{"channel": "presence-x", "capabilities": []string{"publish"}})
	require.NoError(t, err)
	require.True(t, claims.Allows("presence-x", tenants.CapPublish))
	require.False(t, claims.Allows("presence-x", tenants.CapSubscribe))
	_, err = claimsFor(t, obj{"channels": obj{}, "capabilities": []string{"publish"}})
	require.ErrorContains(t, err, "capabilities go with channel")

	require.Equal(t, "publish", tenants.CapPublish.String())
}

// matches says by trying everything whether a pattern matches: slow, and
// written from the rule, not from the matcher.
func matches(pattern, name string) bool {
	if pattern == "" {
		return name == ""
	}
	if pattern == "*" {
		return true
	}
	if pattern[0] != '*' {
		return name != "" && name[0] == pattern[0] && matches(pattern[1:], name[1:])
	}
	for n := 1; n <= len(name); n++ {
		if !strings.ContainsAny(name[:n], "-.") && matches(pattern[1:], name[n:]) {
			return true
		}
	}
	return false
}

// validPattern says the same of the rule for patterns.
func validPattern(p string) bool {
	if p == "" || len(p) > 200 {
		return false
	}
	for i, c := range p {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("_-=@,.;", c)
		if !letter && c != '*' {
			return false
		}
		before, after := p[:i], p[i:]
		if c == '*' && after != "*" {
			before, after = before[max(0, len(before)-1):], after[1:2]
			if !strings.Contains("-.", before) || !strings.Contains("-.", after) {
				return false
			}
		}
	}
	return true
}

func FuzzChannelPatterns(f *testing.F) {
	for _, seed := range [][2]string{
		{"private-*", "private-a"},
		{"private-*-b", "private-a-b"},
		{"*-*-*", "a-b-c"},
		{"a*b", "ab"},
		{"**", "a"},
		{"*.*", "a.b.c"},
		{"private-*-*.*", "private-a-b.c-d"},
		{"", ""},
		{"*", ""},
		{"a.*", "a."},
		{"ü*", "ü"},
	} {
		f.Add(seed[0], seed[1])
	}
	app := jwtApp(f)
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern) > 300 || len(name) > 300 {
			return
		}
		channels, err := json.Marshal(map[string][]string{pattern: {"subscribe"}})
		require.NoError(t, err)
		token := hs256(t, hsHeader, with(goodClaims("hmac"), "channels", json.RawMessage(channels)))
		claims, err := verifier().Verify(t.Context(), app, token)
		if !validPattern(pattern) {
			require.Error(t, err, pattern)
			return
		}
		require.NoError(t, err, pattern)
		require.Equal(t, matches(pattern, name), claims.Allows(name, tenants.CapSubscribe), "%q %q", pattern, name)
	})
}

// A pattern made to be slow is not.
func TestPatternsTakeLinearTime(t *testing.T) {
	t.Parallel()
	claims, err := claimsFor(t, obj{"channels": obj{strings.Repeat("*-", 99) + "x": []string{"subscribe"}}})
	require.NoError(t, err)
	name := strings.Repeat("a-", 1_000_000)
	start := time.Now()
	require.False(t, claims.Allows(name, tenants.CapSubscribe))
	require.Less(t, time.Since(start), time.Second)
}
