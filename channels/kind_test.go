package channels_test

import (
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
)

// shape is a kind as the table of the protocol has it.
type shape struct {
	public, private, presence, encrypted, cache, serverToUser bool
	auth, clientEvents, count                                 bool
}

func shapeOf(k channels.Kind) shape {
	return shape{
		public: k.Public(), private: k.Private(), presence: k.Presence(), encrypted: k.Encrypted(),
		cache: k.Cache(), serverToUser: k.ServerToUser(),
		auth: k.NeedsAuth(), clientEvents: k.AllowsClientEvents(), count: k.HasSubscriptionCount(),
	}
}

var (
	public         = shape{public: true, count: true}
	publicCache    = shape{public: true, count: true, cache: true}
	private        = shape{private: true, auth: true, clientEvents: true, count: true}
	privateCache   = shape{private: true, auth: true, clientEvents: true, count: true, cache: true}
	encrypted      = shape{private: true, auth: true, clientEvents: true, count: true, encrypted: true}
	encryptedCache = shape{private: true, auth: true, clientEvents: true, count: true, encrypted: true, cache: true}
	presence       = shape{presence: true, auth: true, clientEvents: true}
	presenceCache  = shape{presence: true, auth: true, clientEvents: true, cache: true}
	serverToUser   = shape{serverToUser: true}
)

func TestClassify(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]shape{
		"my-channel":                   public,
		"a":                            public,
		"A-Za-z0-9_-=@,.;":             public,
		"private":                      public,
		"Private-x":                    public,
		"PRESENCE-x":                   public,
		"Cache-x":                      public,
		"my-private-x":                 public,
		"x-presence-":                  public,
		"privately":                    public,
		"private_x":                    public,
		"cache-x":                      publicCache,
		"cache-private-x":              publicCache,
		"private-x":                    private,
		"private-":                     private,
		"private-presence-x":           private,
		"private-Cache-x":              private,
		"private-encrypted":            private,
		"private-cache":                private,
		"private-cache-x":              privateCache,
		"private-cache-encrypted-x":    privateCache,
		"private-encrypted-x":          encrypted,
		"private-encrypted-cache":      encrypted,
		"private-encrypted-cache-x":    encryptedCache,
		"presence-x":                   presence,
		"presence-encrypted-x":         presence,
		"presence-cache":               presence,
		"presence-cache-x":             presenceCache,
		"#server-to-user-12345":        serverToUser,
		"#server-to-user-a_b=c@d,e.f;": serverToUser,
		"#server-to-user-" + strings.Repeat("x", 200): serverToUser,
		strings.Repeat("x", 164):                      public,
		"presence-" + strings.Repeat("x", 155):        presence,
	} {
		kind, err := channels.Classify(name)
		require.NoError(t, err, name)
		require.Equal(t, want, shapeOf(kind), name)
	}
}

func TestClassifyRefuses(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]error{
		"":                                     channels.ErrChannelEmpty,
		strings.Repeat("x", 165):               channels.ErrChannelTooLong,
		"presence-" + strings.Repeat("x", 156): channels.ErrChannelTooLong,
		"a b":                                  channels.ErrChannelChars,
		"é":                                    channels.ErrChannelChars,
		"a:b":                                  channels.ErrChannelChars,
		"a/b":                                  channels.ErrChannelChars,
		"a*":                                   channels.ErrChannelChars,
		"a\x00":                                channels.ErrChannelChars,
		"a\n":                                  channels.ErrChannelChars,
		"{p}":                                  channels.ErrChannelChars,
		"a\xff":                                channels.ErrChannelChars,
		"#":                                    channels.ErrChannelReserved,
		"#x":                                   channels.ErrChannelReserved,
		"a#b":                                  channels.ErrChannelReserved,
		"private-#x":                           channels.ErrChannelReserved,
		"#server-to-user-":                     channels.ErrChannelReserved,
		"#server-to-user-a b":                  channels.ErrChannelReserved,
		"#server-to-user-#1":                   channels.ErrChannelReserved,
		"#Server-to-user-1":                    channels.ErrChannelReserved,
		"x#server-to-user-1":                   channels.ErrChannelReserved,
		"#server-to-user-" + strings.Repeat("x", 201): channels.ErrChannelReserved,
	} {
		_, err := channels.Classify(name)
		require.ErrorIs(t, err, want, "%q", name)
		require.True(t, strings.HasPrefix(err.Error(), "Invalid channel name"), "official libraries know this text")
	}
}

func TestServerToUserID(t *testing.T) {
	t.Parallel()
	require.Equal(t, "a-1", channels.ServerToUserID("#server-to-user-a-1"))
	require.Empty(t, channels.ServerToUserID("private-x"))
}

func TestValidSocketID(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"1.2", "3363.1846347", strings.Repeat("9", 20) + "." + strings.Repeat("0", 20)} {
		require.True(t, channels.ValidSocketID(s), s)
	}
	for _, s := range []string{
		"", ".", "1", "1.", ".2", "1.2.3", " 1.2", "1.2 ", "1.2\n", "\n1.2", "-1.2", "1,2", "a.b", "1.2:private-x",
		"1:2", "１.２", strings.Repeat("9", 21) + ".1", "1." + strings.Repeat("9", 21),
	} {
		require.False(t, channels.ValidSocketID(s), "%q", s)
	}
}

func TestValidEventName(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"a", "my event é 😀", "client-x", "Pusher:x", "my-pusher", "tidewire", "tide", "\u2028", strings.Repeat("é", 100)} {
		require.NoError(t, channels.ValidEventName(s), s)
	}
	for s, want := range map[string]error{
		"":                       channels.ErrEventEmpty,
		strings.Repeat("é", 101): channels.ErrEventTooLong,
		"pusher":                 channels.ErrEventPusher,
		"pusher:x":               channels.ErrEventPusher,
		"pusher_internal:x":      channels.ErrEventPusher,
		"pusher-x":               channels.ErrEventPusher,
		"tidewire:resume":        channels.ErrEventTidewire,
		"a\x00":                  channels.ErrEventChars,
		"a\nb":                   channels.ErrEventChars,
		"a\x7f":                  channels.ErrEventChars,
		"a\u0085":                channels.ErrEventChars,
		"a\xff":                  channels.ErrEventChars,
	} {
		require.ErrorIs(t, channels.ValidEventName(s), want, "%q", s)
	}
}

func TestIsClientEvent(t *testing.T) {
	t.Parallel()
	require.True(t, channels.IsClientEvent("client-typing"))
	for _, s := range []string{"", "client", "client_x", "Client-x", "my-client-x", "pusher:client-x", " client-x"} {
		require.False(t, channels.IsClientEvent(s), s)
	}
}

func TestNamesCostNothing(t *testing.T) {
	require.Zero(t, testing.AllocsPerRun(100, func() {
		_, _ = channels.Classify("private-encrypted-cache-x")
		_, _ = channels.Classify("not a name")
		_ = channels.ValidSocketID("1.2")
		_ = channels.ValidEventName("my-event")
		_ = channels.ValidEventName("pusher:x")
	}))
}

// The slow reference for the fuzzer.
var (
	nameRule         = regexp.MustCompile(`\A[A-Za-z0-9_\-=@,.;]{1,164}\z`)
	serverToUserRule = regexp.MustCompile(`\A#server-to-user-[A-Za-z0-9_\-=@,.;]{1,200}\z`)
	socketRule       = regexp.MustCompile(`\A[0-9]{1,20}\.[0-9]{1,20}\z`)
	shapes           = []struct {
		rule  *regexp.Regexp
		shape shape
	}{
		{serverToUserRule, serverToUser},
		{regexp.MustCompile(`\Aprivate-encrypted-cache-`), encryptedCache},
		{regexp.MustCompile(`\Aprivate-encrypted-`), encrypted},
		{regexp.MustCompile(`\Aprivate-cache-`), privateCache},
		{regexp.MustCompile(`\Aprivate-`), private},
		{regexp.MustCompile(`\Apresence-cache-`), presenceCache},
		{regexp.MustCompile(`\Apresence-`), presence},
		{regexp.MustCompile(`\Acache-`), publicCache},
		{regexp.MustCompile(``), public},
	}
)

// FuzzNames holds the hand-written loops against regular expressions.
func FuzzNames(f *testing.F) {
	for _, s := range []string{
		"", "my-channel", "private-encrypted-cache-x", "private-encrypted-x", "private-cache-x", "private-x",
		"presence-cache-x", "presence-x", "cache-x", "#server-to-user-1", "#server-to-user-", "a#", "a b", "é",
		"1.2", "1.2\n", "pusher:x", "tidewire:x", "client-x", "a\x00", "\xff", strings.Repeat("x", 165),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		kind, err := channels.Classify(s)
		require.Equal(t, nameRule.MatchString(s) || serverToUserRule.MatchString(s), err == nil, "%q", s)
		if err == nil {
			for _, r := range shapes {
				if r.rule.MatchString(s) {
					require.Equal(t, r.shape, shapeOf(kind), "%q", s)
					break
				}
			}
		}
		require.Equal(t, socketRule.MatchString(s), channels.ValidSocketID(s), "%q", s)
		free := s != "" && len(s) <= 200 && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl) &&
			!regexp.MustCompile(`\A(pusher|tidewire:)`).MatchString(s)
		require.Equal(t, free, channels.ValidEventName(s) == nil, "%q", s)
	})
}

func BenchmarkClassify(b *testing.B) {
	for _, name := range []string{"my-channel", "private-encrypted-cache-" + strings.Repeat("x", 140)} {
		b.Run(name[:10], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := channels.Classify(name); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
