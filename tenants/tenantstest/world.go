package tenantstest

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
)

// Password is one that the rules accept.
const Password = "violet-harbour-91-lamp"

// Hasher hides passwords from nobody and is quick. It counts its work.
type Hasher struct {
	Hashes, Verifies atomic.Int64
	Current          string // version of the hashes; changing it makes older ones outdated
}

var _ tenants.PasswordHasher = (*Hasher)(nil)

// Hash implements [tenants.PasswordHasher].
func (h *Hasher) Hash(password string) (string, error) {
	h.Hashes.Add(1)
	return h.Current + "|" + password, nil
}

// Verify implements [tenants.PasswordHasher].
func (h *Hasher) Verify(password, hash string) (ok, outdated bool, err error) {
	h.Verifies.Add(1)
	version, kept, found := strings.Cut(hash, "|")
	if !found {
		return false, false, fmt.Errorf("not a hash: %s", hash)
	}
	return kept == password, version != h.Current, nil
}

// Clock is a time that moves only when told.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// Now is the time of the clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Outbox receives mails. While it has an error, it accepts none.
type Outbox struct {
	mu    sync.Mutex
	mails []tenants.Mail
	err   error
}

var _ tenants.Mailer = (*Outbox)(nil)

// Send implements [tenants.Mailer].
func (o *Outbox) Send(_ context.Context, m tenants.Mail) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.mails = append(o.mails, m)
	}
	return o.err
}

// Fail makes every mail fail with err, until it is called with nil.
func (o *Outbox) Fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.err = err
}

// Mails returns what was sent to an address.
func (o *Outbox) Mails(to string) []tenants.Mail {
	o.mu.Lock()
	defer o.mu.Unlock()
	var found []tenants.Mail
	for _, m := range o.mails {
		if m.To == to {
			found = append(found, m)
		}
	}
	return found
}

// World is an installation in a test: the rules over a real store, with a clock
// and a mail box in the test's hands.
type World struct {
	*tenants.Accounts
	Store  tenants.AccountStore
	Source tenants.Source
	Clock  *Clock
	Hasher *Hasher
	Outbox *Outbox

	t         *testing.T
	addresses atomic.Int64
}

// NewWorld returns an installation with open sign-up over an empty store. change
// may be nil.
func NewWorld(t *testing.T, store tenants.AccountStore, source tenants.Source, change func(*tenants.AccountOptions)) *World {
	t.Helper()
	w := &World{
		Store: store, Source: source, t: t, Hasher: &Hasher{Current: "v1"}, Outbox: &Outbox{},
		Clock: &Clock{now: time.Now().UTC().Truncate(time.Millisecond)},
	}
	opts := tenants.AccountOptions{
		SignUp: tenants.SignUpOpen, PublicURL: "https://rt.example.com", Now: w.Clock.Now,
	}
	if change != nil {
		change(&opts)
	}
	w.Accounts = tenants.NewAccounts(store, w.Hasher, opts)
	return w
}

// Meta is a request from an address nobody else has.
func (w *World) Meta() tenants.Meta {
	n := w.addresses.Add(1)
	return tenants.Meta{IP: fmt.Sprintf("10.%d.%d.7", n/250, n%250), UserAgent: "test", RequestID: fmt.Sprintf("req_%d", n)}
}

var linkPattern = regexp.MustCompile(`token=([0-9a-f]{64})`)

// Link sends what is queued and returns the text of the newest link mailed to an
// address.
func (w *World) Link(email string) string {
	w.t.Helper()
	require.NoError(w.t, w.SendMail(w.t.Context(), w.Outbox))
	mails := w.Outbox.Mails(email)
	require.NotEmpty(w.t, mails, "no mail to %s", email)
	found := linkPattern.FindStringSubmatch(mails[len(mails)-1].Text)
	require.NotNil(w.t, found, "no link in %q", mails[len(mails)-1].Text)
	return found[1]
}

// Join makes an account with a tenant, signs in, and returns both. The address is
// not confirmed yet.
func (w *World) Join(email, tenantName string) (tenants.Caller, *tenants.Tenant) {
	w.t.Helper()
	ctx := w.t.Context()
	require.NoError(w.t, w.SignUp(ctx, w.Meta(), tenants.SignUp{
		Email: email, Password: tenants.NewSecret(Password), TenantName: tenantName,
	}))
	c := w.Enter(email)
	list, err := w.Memberships(ctx, c)
	require.NoError(w.t, err)
	require.Len(w.t, list, 1)
	return c, &list[0].Tenant
}

// Enter signs in and returns the caller.
func (w *World) Enter(email string) tenants.Caller {
	w.t.Helper()
	token, _, _, err := w.LogIn(w.t.Context(), w.Meta(), email, tenants.NewSecret(Password))
	require.NoError(w.t, err)
	c, err := w.SessionCaller(w.t.Context(), token, w.Meta())
	require.NoError(w.t, err)
	return c
}

// Owner is Join with the address confirmed.
func (w *World) Owner(email, tenantName string) (tenants.Caller, *tenants.Tenant) {
	w.t.Helper()
	c, tenant := w.Join(email, tenantName)
	_, err := w.Verify(w.t.Context(), w.Meta(), w.Link(email))
	require.NoError(w.t, err)
	tenant, err = w.Tenant(w.t.Context(), c, tenant.ID)
	require.NoError(w.t, err)
	return c, tenant
}

// Colleague invites an address to a tenant and lets it join.
func (w *World) Colleague(owner tenants.Caller, tenantID, email string, role tenants.Role) tenants.Caller {
	w.t.Helper()
	ctx := w.t.Context()
	_, err := w.Invite(ctx, owner, tenantID, email, role)
	require.NoError(w.t, err)
	require.NoError(w.t, w.SignUp(ctx, w.Meta(), tenants.SignUp{
		Email: email, Password: tenants.NewSecret(Password), Invitation: w.Link(email),
	}))
	return w.Enter(email)
}

// API makes a token for a tenant and returns its caller.
func (w *World) API(owner tenants.Caller, tenantID string, n tenants.NewToken) tenants.Caller {
	w.t.Helper()
	if n.Name == "" {
		n.Name = "program"
	}
	text, _, err := w.CreateToken(w.t.Context(), owner, tenantID, n)
	require.NoError(w.t, err)
	c, err := w.TokenCaller(w.t.Context(), text, w.Meta())
	require.NoError(w.t, err)
	return c
}

// NewApp makes an app.
func (w *World) NewApp(c tenants.Caller, tenantID string) *tenants.App {
	w.t.Helper()
	app, err := w.CreateApp(w.t.Context(), c, tenantID, tenants.NewApp{Name: "Chat"})
	require.NoError(w.t, err)
	return app
}

// RequireCode asserts a refusal by its stable code.
func RequireCode(t *testing.T, err error, code string) {
	t.Helper()
	var refusal *tenants.Refusal
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, code, refusal.Code, refusal.Detail)
}
