package adminapi_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"tidewire/migrations/dbtest"
	"tidewire/tenants"
	"tidewire/tenants/adminapi"
	"tidewire/tenants/sqlstore"
	"tidewire/tenants/tenantstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is an installation with its door.
type world struct {
	*tenantstest.World
	t   *testing.T
	api *adminapi.API
	db  *sqlstore.Store
}

func options(t *testing.T) sqlstore.Options {
	t.Helper()
	sealer, err := tenants.NewSealer(bytes.Repeat([]byte{1}, tenants.MasterKeyBytes))
	require.NoError(t, err)
	return sqlstore.Options{Sealer: sealer, AutoMigrate: true}
}

func openSQLite(t *testing.T) *sqlstore.Store {
	t.Helper()
	store, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "tidewire.db"), options(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return store
}

func openPostgres(t *testing.T) *sqlstore.Store {
	t.Helper()
	store, err := sqlstore.OpenPostgres(t.Context(), dbtest.Postgres(t), options(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return store
}

// onBoth runs a test on either database.
func onBoth(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); test(t, newWorld(t, openSQLite(t), nil)) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); test(t, newWorld(t, openPostgres(t), nil)) })
}

func setup(t *testing.T) *world {
	t.Helper()
	return newWorld(t, openSQLite(t), nil)
}

// newWorld makes an installation with open sign-up; change may be nil.
func newWorld(t *testing.T, store *sqlstore.Store, change func(*adminapi.Config)) *world {
	t.Helper()
	w := &world{World: tenantstest.NewWorld(t, store.Accounts(), store, nil), t: t, db: store}
	cfg := adminapi.Config{
		Accounts: w.Accounts, Usage: store, Revocations: store, PublicURL: "https://rt.example.com",
		Installation: adminapi.Installation{Brand: "Tidewire", SignUp: tenants.SignUpOpen},
	}
	if change != nil {
		change(&cfg)
	}
	api, err := adminapi.New(cfg)
	require.NoError(t, err)
	w.api = api
	return w
}

// client is a browser or a program.
type client struct {
	w      *world
	ip     string
	cookie *http.Cookie
	token  string
}

// answer is what came back.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
}

func (w *world) client() *client { return &client{w: w, ip: w.Meta().IP} }

// program is a client with an API token.
func (w *world) program(token string) *client {
	c := w.client()
	c.token = token
	return c
}

// call sends a request; body may be nil, text as it is, or anything to encode.
// Headers come in pairs.
func (c *client) call(method, path string, body any, headers ...string) *answer {
	c.w.t.Helper()
	var raw []byte
	switch b := body.(type) {
	case nil:
	case string:
		raw = []byte(b)
	default:
		var err error
		raw, err = json.Marshal(b)
		require.NoError(c.w.t, err)
	}
	r := httptest.NewRequestWithContext(c.w.t.Context(), method, path, bytes.NewReader(raw))
	r.RemoteAddr = c.ip + ":4711"
	if raw != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.cookie != nil {
		r.AddCookie(c.cookie)
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	c.w.api.ServeHTTP(rec, r)
	result := rec.Result()
	defer result.Body.Close()
	for _, cookie := range result.Cookies() {
		c.cookie = cookie
	}
	return &answer{c.w.t, rec.Code, rec.Header(), rec.Body.Bytes()}
}

func (c *client) get(path string) *answer { c.w.t.Helper(); return c.call(http.MethodGet, path, nil) }

func (c *client) post(path string, body any, headers ...string) *answer {
	c.w.t.Helper()
	return c.call(http.MethodPost, path, body, headers...)
}

// ok asserts the status and reads the body into v, which may be nil.
func (a *answer) ok(status int, v any) *answer {
	a.t.Helper()
	require.Equal(a.t, status, a.status, string(a.body))
	require.NotEmpty(a.t, a.header.Get("X-Request-Id"))
	if v != nil {
		require.NoError(a.t, json.Unmarshal(a.body, v), string(a.body))
	}
	return a
}

// refused asserts a problem by status and code.
func (a *answer) refused(status int, code string) adminapi.Problem {
	a.t.Helper()
	require.Equal(a.t, status, a.status, string(a.body))
	require.Equal(a.t, "application/problem+json", a.header.Get("Content-Type"))
	var p adminapi.Problem
	require.NoError(a.t, json.Unmarshal(a.body, &p))
	require.Equal(a.t, code, p.Code, p.Detail)
	require.Equal(a.t, status, p.Status)
	require.NotEmpty(a.t, p.Detail)
	require.Equal(a.t, a.header.Get("X-Request-Id"), p.RequestID)
	return p
}

// signedUp is a person with an account that is signed in, and their tenant.
func (w *world) signedUp(email, tenantName string) (*client, tenants.Tenant) {
	w.t.Helper()
	c := w.client()
	c.post("/api/v1/signup", map[string]string{"email": email, "password": tenantstest.Password, "tenant_name": tenantName}).ok(202, nil)
	c.logIn(email)
	var me struct{ Tenants []tenants.Membership }
	c.get("/api/v1/me").ok(200, &me)
	require.Len(w.t, me.Tenants, 1)
	return c, me.Tenants[0].Tenant
}

// owner is signedUp with the address confirmed.
func (w *world) owner(email, tenantName string) (*client, tenants.Tenant) {
	w.t.Helper()
	c, tenant := w.signedUp(email, tenantName)
	c.post("/api/v1/verify", map[string]string{"token": w.Link(email)}).ok(200, nil)
	c.get("/api/v1/tenants/"+tenant.ID).ok(200, &tenant)
	return c, tenant
}

func (c *client) logIn(email string) {
	c.w.t.Helper()
	c.post("/api/v1/sessions", map[string]string{"email": email, "password": tenantstest.Password}).ok(201, nil)
	require.True(c.w.t, c.cookie.HttpOnly)
	require.True(c.w.t, strings.HasSuffix(c.cookie.Name, "tidewire"))
}
