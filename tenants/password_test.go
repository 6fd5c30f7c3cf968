package tenants_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
)

func TestCheckPassword(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"violet-harbour-91-lamp", "correct horse battery staple", "Zx9#kd02mQp!", "надёжный пароль 7", "x" + strings.Repeat("kq7-w", 25),
		"ada is what my mum calls me",
	} {
		require.NoError(t, tenants.CheckPassword(good, "ada@example.com"), good)
	}
	for bad, why := range map[string]string{
		"":                                "12 to 128",
		"short-one-1":                     "12 to 128",
		strings.Repeat("kq7-w", 26):       "12 to 128",
		"\xff\xfe\xfd not text at all":    "UTF-8",
		"ada@example.com":                 "e-mail",
		"ADA@EXAMPLE.COM":                 "e-mail",
		"ada@example.com1":                "e-mail",
		"example.com.ada":                 "e-mail",
		"password1234":                    "guessers",
		"P@ssw0rd2024":                    "guessers",
		"PasswordPassword":                "guessers",
		"passwordadmin":                   "guessers",
		"summer-winter":                   "guessers",
		"qwertyuiop[]"[:10] + "12":        "guessers",
		"1qaz2wsx3edc":                    "guessers",
		"qwertyqwerty":                    "guessers",
		"123456789012":                    "guessers",
		"987654321098":                    "guessers",
		"aaaaaaaaaaaa":                    "guessers",
		"abcabcabcabcabc":                 "guessers",
		"abcdefghijklmnop":                "guessers",
		"iloveyou!!!!":                    "guessers",
		"Administrator":                   "guessers",
		"Correcthorsebatterystaple1":      "guessers",
		"welcome2tidewire":                "guessers",
		"!!!!!!!!!!!!":                    "guessers",
		"  letmeinplease  ":               "guessers",
		"tidewire-tidewire":               "guessers",
		"qwertzuiopasdfghjklyxcvbnm":      "guessers",
		"Summer2024Summer2024":            "guessers",
		"dragon" + strings.Repeat("1", 6): "guessers",
	} {
		var invalid *tenants.InvalidError
		require.ErrorAs(t, tenants.CheckPassword(bad, "ada@example.com"), &invalid, bad)
		require.Contains(t, invalid.Reason, why, bad)
		if bad != "" {
			require.NotContains(t, invalid.Error(), bad, "an error never repeats a password")
		}
	}
}

func FuzzCheckPassword(f *testing.F) {
	for _, seed := range []string{"", "password1234", "violet-harbour-91-lamp", "\xff", "日本語日本語日本語日本語", "1234567890!?.-_# "} {
		f.Add(seed, "ada@example.com")
	}
	f.Fuzz(func(t *testing.T, password, email string) {
		if tenants.CheckPassword(password, email) == nil && len(password) < tenants.MinPasswordChars {
			t.Fatalf("accepted %q", password)
		}
	})
}

// slowHasher holds every call until the test lets it go.
type slowHasher struct {
	running, most atomic.Int64
	hold          chan struct{}
}

func (h *slowHasher) Hash(string) (string, error) { h.work(); return "hash", nil }

func (h *slowHasher) Verify(string, string) (bool, bool, error) { h.work(); return false, false, nil }

func (h *slowHasher) work() {
	h.most.Store(max(h.most.Load(), h.running.Add(1)))
	<-h.hold
	h.running.Add(-1)
}

// nobody is a store without users; what it is not asked here is not implemented.
type nobody struct{ tenants.AccountStore }

func (nobody) UserByEmail(context.Context, string) (*tenants.User, error) {
	return nil, tenants.ErrNotFound
}

func (nobody) Write(context.Context, func(tenants.AccountWriter) error) error { return nil }

// A flood of logins waits for its turn, and gives up when its callers do.
func TestPasswordsAreHashedFewAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &slowHasher{hold: make(chan struct{})}
		a := tenants.NewAccounts(nobody{}, h, tenants.AccountOptions{MaxHashes: 1})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var running sync.WaitGroup
		errs := make([]error, 20)
		for i := range errs {
			running.Go(func() {
				_, _, _, errs[i] = a.LogIn(ctx, tenants.Meta{}, "ada@example.com", tenants.NewSecret("x"))
			})
		}
		synctest.Wait()
		require.EqualValues(t, 1, h.running.Load())
		time.Sleep(2 * time.Second) // of the bubble's clock: the callers give up
		close(h.hold)
		running.Wait()
		require.EqualValues(t, 1, h.most.Load())
		unavailable := 0
		for _, err := range errs {
			if err != nil && !isUnauthenticated(err) {
				require.ErrorIs(t, err, tenants.ErrUnavailable)
				unavailable++
			}
		}
		require.Equal(t, 19, unavailable)
	})
}

func isUnauthenticated(err error) bool {
	var refusal *tenants.Refusal
	return asRefusal(err, &refusal) && refusal.Code == "wrong_credentials"
}
