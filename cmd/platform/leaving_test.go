package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"tidewire/tenants"
	"tidewire/tenants/sqlstore"
)

// mark stands in everything the leaving tenant has.
const mark = "zqxmark"

// TestATenantLeaves exports a tenant that has its mark in everything, removes it
// and looks for the mark in every table and every key of Redis.
func TestATenantLeaves(t *testing.T) {
	t.Parallel()
	t.Run("alone", func(t *testing.T) { t.Parallel(); testLeaving(t, dataDir(t)) })
	t.Run("together", func(t *testing.T) { t.Parallel(); testLeaving(t, inOwnRedis(t, twoNodes(t), 13)) })
}

// leaver is the tenant that leaves.
type leaver struct {
	t       *testing.T
	n       *node
	environ []string
	ada     *person
	app     apiApp
	secrets []string // none of which may be in the export
}

func testLeaving(t *testing.T, environ []string) {
	t.Helper()
	environ = append(environ, "TIDEWIRE_SIGNUP=open", "TIDEWIRE_USAGE_INTERVAL=1s", "TIDEWIRE_WEBHOOK_ALLOW_PRIVATE=true")
	var accounts *tenants.Accounts
	n := startNodeWith(t, extras{accounts: func(_ context.Context, a *tenants.Accounts) error { accounts = a; return nil }}, environ...)
	l := &leaver{t: t, n: n, environ: environ}
	l.settle()
	client := l.use()
	l.export()
	require.NotEmpty(t, l.marked(), "the mark must be seen, or the test sees nothing")

	call[any](l.ada, http.StatusAccepted, http.MethodDelete, "/tenants/"+mark, nil)
	require.Equal(t, 4003, client.closed())
	purged, err := accounts.PurgeClosed(t.Context(), time.Now().Add(15*24*time.Hour))
	require.NoError(t, err)
	require.Equal(t, 1, purged)
	var left []string
	eventually(t, func() bool { // what the node counted and told is written after the connections have ended
		left = l.marked()
		return len(left) == 0
	}, "something is left")
	n.end(t)
	require.Empty(t, l.marked(), "nor does a node that stops write it")
}

// settle makes all that an owner can make.
func (l *leaver) settle() {
	l.ada = signUp(l.t, l.n.url, mark+"@example.com", mark, "")
	call[any](l.ada, 200, http.MethodPost, "/verify", fields{"token": l.n.link(l.t, mark+"@example.com", "Confirm")})
	jwtSecret := strings.Repeat("j", 40)
	l.app = call[apiApp](l.ada, 201, http.MethodPost, "/tenants/"+mark+"/apps", fields{"name": mark, "settings": fields{
		"client_events": true, "allowed_origins": []string{mark + ".example.com"}, "history": []fields{{"pattern": "*past*", "max_messages": 10, "ttl_seconds": 3600}},
		"jwt": fields{"issuers": []fields{{"issuer": mark, "audience": mark, "algorithms": []string{"HS256"}, "secret": jwtSecret}}},
	}})
	path := "/apps/" + string(l.app.ID)
	call[any](l.ada, 201, http.MethodPost, "/tenants/"+mark+"/invitations", fields{"email": "second-" + mark + "@example.com", "role": "developer"})
	token := call[struct{ Token string }](l.ada, 201, http.MethodPost, "/tenants/"+mark+"/tokens", fields{"name": mark, "scopes": []string{"apps:read"}})
	call[any](l.ada, 201, http.MethodPost, path+"/revocations", fields{"kind": "sub", "value": mark})
	down := newReceiver(l.t)
	down.set(false)
	hook := call[struct{ ID, Secret string }](l.ada, 201, http.MethodPost, path+"/webhooks", fields{
		"url": down.URL + "/" + mark, "headers": fields{"X-" + mark: "header-secret"},
	})
	for i := 0; ; i++ { // until the node knows the endpoint
		_ = subscribed(l.t, l.n.url, l.app.Key, fmt.Sprintf("warm-%d", i)).conn.Close()
		if len(call[struct{ Data []any }](l.ada, 200, http.MethodGet, "/webhooks/"+hook.ID+"/deliveries", nil).Data) > 0 {
			break
		}
		require.Less(l.t, i, 1000, "no delivery")
	}
	l.secrets = []string{jwtSecret, token.Token, l.app.Secret, hook.Secret, "header-secret", password}
}

// use leaves the mark wherever traffic leaves something.
func (l *leaver) use() *client {
	base, app := l.n.url, l.app.printed()
	for _, channel := range []string{mark, mark + "-past", "cache-" + mark, "presence-" + mark} {
		status, _, body := postWith(l.t, base, app, nil, mark, channel)
		require.Equal(l.t, http.StatusOK, status, body)
	}
	client := dial(l.t, base, app.Key)
	socket := client.established()
	key := tenants.Key{Key: app.Key, Secret: tenants.NewSecret(app.Secret)}
	who := `{"user_id":"` + mark + `","user_info":{"name":"` + mark + `"}}`
	auth, err := tenants.ChannelAuth(key, socket, "presence-"+mark, who)
	require.NoError(l.t, err)
	require.NoError(l.t, client.conn.WriteJSON(fields{"event": "pusher:subscribe", "data": fields{"channel": "presence-" + mark, "channel_data": who, "auth": auth}}))
	require.Equal(l.t, "pusher_internal:subscription_succeeded", client.next().Event)
	who = `{"id":"` + mark + `"}`
	auth, err = tenants.UserAuth(key, socket, who)
	require.NoError(l.t, err)
	require.NoError(l.t, client.conn.WriteJSON(fields{"event": "pusher:signin", "data": fields{"user_data": who, "auth": auth}}))
	require.Equal(l.t, "pusher:signin_success", client.next().Event)
	watch(l.ada, base, l.app.ID, 1)
	return client
}

// export waits until all of it is there, and looks for what must not be.
func (l *leaver) export() {
	path, text, missing := "/tenants/"+mark+"/export", "", ""
	parts := []string{"members", "invitations", "tokens", "apps", "audit_log", "usage", "revocations", "webhooks", "webhook_deliveries"}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Second) {
		export := call[map[string]any](l.ada, http.StatusOK, http.MethodGet, path, nil)
		raw, err := json.Marshal(export)
		require.NoError(l.t, err)
		text, missing = string(raw), ""
		for _, part := range parts {
			if list, _ := export[part].([]any); len(list) == 0 {
				missing = part
			}
		}
		for _, part := range []string{"presence-" + mark, "member_added", `"request_head"`} {
			if !strings.Contains(text, part) {
				missing = part
			}
		}
		if missing == "" {
			break
		}
		require.True(l.t, time.Now().Before(deadline), "not in the export: %s", missing)
	}
	command := platform(l.t, l.n.environ, "tenants", "export", mark)
	require.Zero(l.t, command.code, command.stderr)
	for _, part := range parts {
		require.Contains(l.t, command.stdout, `"`+part+`":[`)
	}
	for _, secret := range l.secrets {
		require.NotContains(l.t, text, secret)
		require.NotContains(l.t, command.stdout, secret)
	}
}

// marked lists the rows and keys in which the mark is.
func (l *leaver) marked() (list []string) {
	cfg, _, err := load(l.t, l.environ)
	require.NoError(l.t, err)
	store, err := openDatabase(l.t.Context(), cfg, slog.New(slog.DiscardHandler))
	require.NoError(l.t, err)
	defer func() { require.NoError(l.t, store.Close()) }()
	list = markedRows(l.t, store)
	for _, v := range l.environ {
		if url, ok := strings.CutPrefix(v, "TIDEWIRE_REDIS_URL="); ok {
			list = append(list, markedKeys(l.t, url)...)
		}
	}
	return list
}

func markedRows(t *testing.T, store *sqlstore.Store) (list []string) {
	t.Helper()
	var tables []string
	query := "SELECT name FROM sqlite_master WHERE type = 'table'"
	if store.Dialect() == "postgres" {
		query = "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()"
	}
	require.NoError(t, eachRow(t, store, query, func(values []any) { tables = append(tables, fmt.Sprintf("%s", values[0])) }))
	for _, table := range tables {
		require.NoError(t, eachRow(t, store, "SELECT * FROM "+table, func(values []any) {
			if row := fmt.Sprintf("%s", values); strings.Contains(strings.ToLower(row), mark) {
				list = append(list, table+": "+row)
			}
		}))
	}
	return list
}

func eachRow(t *testing.T, store *sqlstore.Store, query string, do func([]any)) error {
	t.Helper()
	rows, err := store.DB().QueryContext(t.Context(), query)
	require.NoError(t, err)
	defer func() { _ = rows.Close() }()
	names, err := rows.Columns()
	require.NoError(t, err)
	for rows.Next() {
		values, targets := make([]any, len(names)), make([]any, len(names))
		for i := range values {
			targets[i] = &values[i]
		}
		require.NoError(t, rows.Scan(targets...))
		do(values)
	}
	return rows.Err()
}

// markedKeys leaves out what Redis itself forgets long before the grace is over.
func markedKeys(t *testing.T, url string) (list []string) {
	t.Helper()
	options, err := redis.ParseURL(url)
	require.NoError(t, err)
	r := redis.NewClient(options)
	defer func() { _ = r.Close() }()
	ctx := t.Context()
	keys := r.Scan(ctx, 0, "*", 1000).Iterator()
	for keys.Next(ctx) {
		key := keys.Val()
		text, err := keyText(ctx, r, key)
		require.NoError(t, err)
		left := r.PTTL(ctx, key).Val()
		if strings.Contains(key+text, mark) && (left <= 0 || left > 7*24*time.Hour) {
			list = append(list, fmt.Sprintf("redis %s (%s): %.300s", key, left, text))
		}
	}
	require.NoError(t, keys.Err())
	return list
}

func keyText(ctx context.Context, r *redis.Client, key string) (string, error) {
	kind, err := r.Type(ctx, key).Result()
	if err != nil {
		return "", err
	}
	var v any
	switch kind {
	case "string":
		v, err = r.Get(ctx, key).Result()
	case "hash":
		v, err = r.HGetAll(ctx, key).Result()
	case "set":
		v, err = r.SMembers(ctx, key).Result()
	case "zset":
		v, err = r.ZRange(ctx, key, 0, -1).Result()
	case "list":
		v, err = r.LRange(ctx, key, 0, -1).Result()
	case "stream":
		v, err = r.XRange(ctx, key, "-", "+").Result()
	case "none":
	default:
		err = fmt.Errorf("a key of a kind this test cannot read: %s", kind)
	}
	if err == redis.Nil { //nolint:errorlint // it went meanwhile
		err = nil
	}
	return fmt.Sprint(v), err
}
