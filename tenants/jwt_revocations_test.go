package tenants_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
)

// revocations is a store in memory that can be away.
type revocations struct {
	mu    sync.Mutex
	list  map[tenants.AppID][]tenants.Revocation
	err   error
	asked int
}

func (r *revocations) Revocations(_ context.Context, app tenants.AppID) ([]tenants.Revocation, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	return append([]tenants.Revocation(nil), r.list[app]...), r.err
}

func (r *revocations) revoke(t *testing.T, app tenants.AppID, kind tenants.RevocationKind, value string, at time.Time) {
	t.Helper()
	one, err := tenants.NewRevocation(kind, value, at)
	require.NoError(t, err)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.list == nil {
		r.list = make(map[tenants.AppID][]tenants.Revocation)
	}
	r.list[app] = append(r.list[app], one)
}

func (r *revocations) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

func (r *revocations) times() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked
}

func TestRevokedTokens(t *testing.T) {
	t.Parallel()
	src := &revocations{}
	list := tenants.NewRevocationList(src, nil)
	v := tenants.NewJWTVerifier(nil, list, tenants.JWTOptions{})
	app := jwtApp(t)
	now := time.Now()
	token := func(jti, sub string, issued time.Time) string {
		return hs256(t, hsHeader, with(with(with(goodClaims("hmac"), "jti", jti), "sub", sub), "iat", issued.Unix()))
	}
	src.revoke(t, app.ID, tenants.RevokeJTI, "stolen", now)
	src.revoke(t, app.ID, tenants.RevokeSub, "mallory", now.Add(-time.Minute))
	src.revoke(t, "8", tenants.RevokeSub, "alice", now)

	for _, c := range []struct {
		name, token string
		revoked     bool
	}{
		{"another id", token("mine", "alice", now), false},
		{"an id that is revoked", token("stolen", "alice", now), true},
		{"a user that is revoked", token("x", "mallory", now.Add(-2*time.Minute)), true},
		{"the same second", token("x", "mallory", now.Add(-time.Minute).Truncate(time.Second)), true},
		{"the user again, later", token("x", "mallory", now), false},
		{"the user, not saying when", hs256(t, hsHeader, with(with(goodClaims("hmac"), "sub", "mallory"), "iat", nil)), true},
		{"the id as a user", token("mallory", "stolen", now.Add(-time.Hour)), false},
		{"neither id nor user", hs256(t, hsHeader, with(goodClaims("hmac"), "sub", nil)), false},
	} {
		claims, err := v.Verify(t.Context(), app, c.token)
		if !c.revoked {
			require.NoError(t, err, c.name)
			continue
		}
		var refused *tenants.JWTError
		require.ErrorAs(t, err, &refused, c.name)
		require.Equal(t, tenants.JWTRevoked, refused.Reason, c.name)
		require.Nil(t, claims, c.name)
	}
	require.Equal(t, 1, src.times(), "the rest comes from memory")
}

// What a node does not know for sure it does not let in.
func TestRevocationsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	src := &revocations{}
	v := tenants.NewJWTVerifier(nil, tenants.NewRevocationList(src, nil), tenants.JWTOptions{})
	app, token := jwtApp(t), hs256(t, hsHeader, goodClaims("hmac"))
	src.fail(errors.New("no database"))
	_, err := v.Verify(t.Context(), app, token)
	require.ErrorIs(t, err, tenants.ErrUnavailable)

	src.fail(nil)
	_, err = v.Verify(t.Context(), app, token)
	require.NoError(t, err)
	src.fail(errors.New("no database"))
	_, err = v.Verify(t.Context(), app, token)
	require.NoError(t, err, "what is known stays known")
	newer := *app
	newer.Version++ // something was changed: it may be a revocation
	_, err = v.Verify(t.Context(), &newer, token)
	require.ErrorIs(t, err, tenants.ErrUnavailable)
}

func TestRevocationListFollowsChanges(t *testing.T) {
	t.Parallel()
	src := &revocations{}
	list := tenants.NewRevocationList(src, nil)
	told := make(chan tenants.AppID, 10)
	list.OnChange(func(id tenants.AppID) { told <- id })
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- list.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	hear := func() tenants.AppID {
		t.Helper()
		select {
		case id := <-told:
			return id
		case <-time.After(10 * time.Second):
			t.Fatal("nobody was told")
			return ""
		}
	}

	app := jwtApp(t)
	claims := &tenants.JWTClaims{ID: "stolen"}
	revoked, err := list.Revoked(t.Context(), app, claims)
	require.NoError(t, err)
	require.False(t, revoked)

	// The store is away at first: the change must not be lost.
	src.fail(errors.New("no database"))
	src.revoke(t, app.ID, tenants.RevokeJTI, "stolen", time.Now())
	next := *app
	next.Version++
	before := src.times()
	list.AppChanged(app, &next)
	require.Eventually(t, func() bool { return src.times() > before }, 5*time.Second, time.Millisecond)
	src.fail(nil)
	require.Equal(t, app.ID, hear())
	revoked, err = list.Revoked(t.Context(), app, claims) // by the old configuration even
	require.NoError(t, err)
	require.True(t, revoked)

	// Apps without tokens cost nothing.
	plain := &tenants.App{ID: "9"}
	list.AppChanged(plain, plain)
	list.AppChanged(&next, withoutIssuers(next.ID))
	require.Equal(t, app.ID, hear(), "the last issuer was removed")

	list.AppChanged(app, nil)
	require.Empty(t, told)
}

func withoutIssuers(id tenants.AppID) *tenants.App { return &tenants.App{ID: id, Version: 99} }

func TestConcurrentQuestionsAskOnce(t *testing.T) {
	t.Parallel()
	src := &slowRevocations{begin: make(chan struct{}), end: make(chan struct{})}
	list := tenants.NewRevocationList(src, nil)
	app := jwtApp(t)
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			_, err := list.Revoked(context.Background(), app, &tenants.JWTClaims{})
			if err != nil {
				t.Error(err)
			}
		})
	}
	<-src.begin
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := list.Revoked(cancelled, app, &tenants.JWTClaims{})
	require.ErrorIs(t, err, tenants.ErrUnavailable, "who waits can give up")
	close(src.end)
	wg.Wait()
}

// slowRevocations can be asked once.
type slowRevocations struct{ begin, end chan struct{} }

func (s *slowRevocations) Revocations(context.Context, tenants.AppID) ([]tenants.Revocation, error) {
	close(s.begin) // a second call panics
	<-s.end
	return nil, nil
}

func TestNewRevocation(t *testing.T) {
	t.Parallel()
	for kind, value := range map[tenants.RevocationKind]string{
		"kid": "x", tenants.RevokeJTI: "", tenants.RevokeSub: strings.Repeat("x", 129), "": "x",
	} {
		_, err := tenants.NewRevocation(kind, value, time.Now())
		require.ErrorAs(t, err, new(*tenants.InvalidError), "%s %s", kind, value)
	}
	r, err := tenants.NewRevocation(tenants.RevokeSub, strings.Repeat("ü", 128), time.Now())
	require.NoError(t, err)
	require.Greater(t, r.ExpiresAt.Sub(r.RevokedAt), tenants.MaxJWTLifetime+tenants.MaxJWTLeeway)
}
