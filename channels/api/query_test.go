package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/tenants"
)

// populated is a fixture with somebody on the channels, whose app counts
// subscriptions.
func populated(t testing.TB) *fixture {
	f := setup(t)
	f.app().Settings.SubscriptionCountEvents = true
	f.hub.counts = map[string]channels.Occupancy{
		"presence-a":       {Subscriptions: 51, Users: 42},
		"presence-cache-a": {Subscriptions: 3, Users: 2},
		"public":           {Subscriptions: 13},
		"cache-c":          {Subscriptions: 1},
		"cache-full":       {Subscriptions: 1},
	}
	f.hub.members = map[string][]channels.Member{"presence-a": {{UserID: "1"}, {UserID: "10"}, {UserID: `2"é<`}}}
	f.hub.kept = map[string]*channels.Event{
		"cache-full":       {Data: []byte(`"{\"a\":\u0031,\"b\":\"<\"}"`)},
		"cache-nobody":     {Data: []byte(`"x"`)},
		"presence-cache-a": {Data: []byte(`"y"`)},
	}
	f.hub.left = 59*time.Second + time.Millisecond
	return f
}

func TestQueries(t *testing.T) {
	t.Parallel()
	cases := []struct{ name, path, query, want string }{
		{"channels", "channels", "", `{"channels":{"cache-c":{},"cache-full":{},"presence-a":{},"presence-cache-a":{},"public":{}}}`},
		{"channels, filtered", "channels", "filter_by_prefix=presence-", `{"channels":{"presence-a":{},"presence-cache-a":{}}}`},
		{"channels, filter in capitals", "channels", "FILTER_BY_PREFIX=pub", `{"channels":{"public":{}}}`},
		{"channels, none", "channels", "filter_by_prefix=no-such-", `{"channels":{}}`},
		{"channels, a filter no name has", "channels", "filter_by_prefix=a b*[", `{"channels":{}}`},
		{"channels, empty filter", "channels", "filter_by_prefix=", `{"channels":{"cache-c":{},"cache-full":{},"presence-a":{},"presence-cache-a":{},"public":{}}}`},
		{"channels, user_count", "channels", "filter_by_prefix=presence-&info=user_count", `{"channels":{"presence-a":{"user_count":42},"presence-cache-a":{"user_count":2}}}`},
		{"channels, user_count, longer filter", "channels", "filter_by_prefix=presence-c&info=user_count", `{"channels":{"presence-cache-a":{"user_count":2}}}`},
		{"channels, user_count, none", "channels", "filter_by_prefix=presence-x&info=user_count", `{"channels":{}}`},
		{"channels, empty info", "channels", "filter_by_prefix=public&info=", `{"channels":{"public":{}}}`},

		{"channel", "channels/public", "", `{"occupied":true}`},
		{"channel nobody is on", "channels/nobody", "", `{"occupied":false}`},
		{"channel nobody is on, counted", "channels/presence-nobody", "info=user_count,subscription_count", `{"occupied":false,"user_count":0,"subscription_count":0}`},
		{"channel of another kind", "channels/private-encrypted-x", "", `{"occupied":false}`},
		{"channel with every character", "channels/A-z_0=@,.;", "", `{"occupied":false}`},
		{"channel, escaped", "channels/p%75blic", "", `{"occupied":true}`},
		{"channel of a user", "channels/%23server-to-user-1", "", `{"occupied":false}`},
		{"subscription_count", "channels/public", "info=subscription_count", `{"occupied":true,"subscription_count":13}`},
		{"subscription_count of presence", "channels/presence-a", "info=subscription_count", `{"occupied":true,"subscription_count":51}`},
		{"user_count", "channels/presence-a", "info=user_count", `{"occupied":true,"user_count":42}`},
		{"both, the other way round, with a space", "channels/presence-a", "info=subscription_count, user_count", `{"occupied":true,"user_count":42,"subscription_count":51}`},
		{"twice the same", "channels/presence-a", "info=user_count,,user_count,", `{"occupied":true,"user_count":42}`},
		{"cache", "channels/cache-full", "info=cache", `{"occupied":true,"cache":{"data":"{\"a\":\u0031,\"b\":\"<\"}","ttl":60}}`},
		{"cache, empty", "channels/cache-c", "info=cache", `{"occupied":true,"cache":null}`},
		{"cache, nobody on it", "channels/cache-nobody", "info=cache", `{"occupied":false,"cache":{"data":"x","ttl":60}}`},
		{"everything", "channels/presence-cache-a", "info=cache,user_count,subscription_count", `{"occupied":true,"user_count":2,"subscription_count":3,"cache":{"data":"y","ttl":60}}`},

		{"users", "channels/presence-a/users", "", `{"users":[{"id":"1"},{"id":"10"},{"id":"2\"é<"}]}`},
		{"users, nobody", "channels/presence-nobody/users", "", `{"users":[]}`},
		{"stats", "channels/public/stats", "", `{"occupied":true,"connection_count":13}`},
		{"stats of presence", "channels/presence-a/stats", "", `{"occupied":true,"user_count":42,"connection_count":51}`},
		{"stats, nobody", "channels/nobody/stats", "", `{"occupied":false,"connection_count":0}`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := populated(t).get("/apps/3/"+c.path, strings.ReplaceAll(c.query, " ", "%20"))
			require.Equal(t, 200, got.status, got.body)
			require.Equal(t, c.want, got.body)
			require.Equal(t, "application/json", got.header.Get("Content-Type"))
			require.True(t, json.Valid([]byte(got.body)))
		})
	}
}

func TestQueryRefusals(t *testing.T) {
	t.Parallel()
	const (
		prefix = "user_count may only be requested for presence channels - please supply filter_by_prefix begining with presence-\n" //nolint:misspell // as the protocol spells it
		ofOne  = "Invalid info parameter: what can be asked for here is user_count, subscription_count, cache\n"
		ofAll  = "Invalid info parameter: what can be asked for here is user_count\n"
	)
	cases := []struct{ name, path, query, want string }{
		{"user_count of all channels", "channels", "info=user_count", prefix},
		{"user_count of private channels", "channels", "info=user_count&filter_by_prefix=private-", prefix},
		{"user_count of half a prefix", "channels", "info=user_count&filter_by_prefix=presence", prefix},
		{"user_count of the prefix in capitals", "channels", "info=user_count&filter_by_prefix=Presence-", prefix},
		{"subscription_count of all channels", "channels", "info=subscription_count&filter_by_prefix=presence-", ofAll},
		{"unknown attribute of all channels", "channels", "info=users", ofAll},
		{"info as an array", "channels", "info[]=user_count", "Expected info parameter to be a string\n"},
		{"filter as an array", "channels", "filter_by_prefix[]=a", "Expected filter_by_prefix parameter to be a string\n"},
		{"unknown parameters", "channels", "limit=1&info=user_count&cursor=x", "The following query string parameters are extraneous: cursor, limit\n"},

		{"user_count of a public channel", "channels/public", "info=user_count", "Cannot retrieve the user count unless the channel is a presence channel\n"},
		{"user_count beside others", "channels/cache-c", "info=cache,user_count", "Cannot retrieve the user count unless the channel is a presence channel\n"},
		{"cache of a channel without", "channels/presence-a", "info=cache", "Cannot retrieve the cache unless the channel is a cache channel\n"},
		{"unknown attribute", "channels/public", "info=occupied", ofOne},
		{"attribute in capitals", "channels/presence-a", "info=USER_COUNT", ofOne},
		{"filter on one channel", "channels/public", "filter_by_prefix=p", "The following query string parameters are extraneous: filter_by_prefix\n"},
		{"bad name", "channels/a%20b", "", "Invalid channel name: only A-Z a-z 0-9 _ - = @ , . ; are allowed\n"},
		{"reserved name", "channels/%23mine", "", "Invalid channel name: # is reserved, except for #server-to-user- followed by a user id\n"},
		{"the server's own name", "channels/%23user-1", "", "Invalid channel name: # is reserved, except for #server-to-user- followed by a user id\n"},
		{"long name", "channels/" + strings.Repeat("c", 165), "", "Invalid channel name: it is longer than 164 characters\n"},

		{"users of a public channel", "channels/public/users", "", "Users can only be retrieved for presence channels\n"},
		{"users of a private channel", "channels/private-presence-a/users", "", "Users can only be retrieved for presence channels\n"},
		{"users of a bad name", "channels/a%20b/users", "", "Invalid channel name: only A-Z a-z 0-9 _ - = @ , . ; are allowed\n"},
		{"users with info", "channels/presence-a/users", "info=user_count", "The following query string parameters are extraneous: info\n"},
		{"stats of a bad name", "channels/a%20b/stats", "", "Invalid channel name: only A-Z a-z 0-9 _ - = @ , . ; are allowed\n"},
		{"stats with info", "channels/public/stats", "info=user_count", "The following query string parameters are extraneous: info\n"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := populated(t)
			requireRefused(t, f, f.get("/apps/3/"+c.path, c.query), 400, c.want)
		})
	}
	f := setup(t) // whose app counts no subscriptions
	requireRefused(t, f, f.get("/apps/3/channels/c", "info=subscription_count"), 400,
		"Cannot retrieve the subscription count: turn on subscription_count_events in the settings of the app\n")
}

// Reading needs a signature as publishing does, and an app that serves.
func TestQueriesAreSigned(t *testing.T) {
	t.Parallel()
	f := populated(t)
	for _, path := range []string{"/apps/3/channels", "/apps/3/channels/public", "/apps/3/channels/presence-a/users", "/apps/3/channels/public/stats"} {
		requireRefused(t, f, f.do(request{"GET", path, "", nil}), 401, "Missing parameter: auth_key\n")
		sign := func(key, secret string) request {
			return request{"GET", path, tenants.SignRequest(tenants.NewSecret(secret), key, "GET", path, nil, nil, now).Encode(), nil}
		}
		requireRefused(t, f, f.do(sign(key, "guess")), 401, "Invalid signature: you should have sent HmacSHA256Hex(")
		requireRefused(t, f, f.do(sign("otherkey", "other")), 404, "App not found: auth_key does not belong to the app id in the path\n")
		r := sign(key, secret)
		r.query += "&info=user_count"
		requireRefused(t, f, f.do(r), 401, "Invalid signature: you should have sent HmacSHA256Hex(")
	}
	q := tenants.SignRequest(tenants.NewSecret("s4"), "disabledkey", "GET", "/apps/4/channels", nil, nil, now)
	requireRefused(t, f, f.do(request{"GET", "/apps/4/channels", q.Encode(), nil}), 403, "App disabled: enable it before using it\n")
}

func TestEngineAway(t *testing.T) {
	t.Parallel()
	const text = "Temporarily unavailable: the state of the channels cannot be read right now, try again\n"
	for _, c := range []struct {
		err    error
		status int
		want   string
	}{
		{fmt.Errorf("occupancy: %w", channels.ErrBrokerAway), 503, text},
		{context.DeadlineExceeded, 503, text},
		{errors.New("secret detail"), 500, "Internal server error\n"},
	} {
		f := populated(t)
		f.hub.away = c.err
		for _, path := range []string{"channels", "channels/public", "channels/presence-a/users", "channels/public/stats"} {
			got := f.get("/apps/3/"+path, "")
			requireRefused(t, f, got, c.status, c.want)
			require.Equal(t, c.status == 503, got.header.Get("Retry-After") == "1")
		}
	}
}

func TestInfoOfPublications(t *testing.T) {
	t.Parallel()
	batch := `{"batch":[{"name":"e","channel":"presence-a","data":"x","info":"user_count"},` +
		`{"name":"e","channel":"b","data":"x"},` +
		`{"name":"e","channel":"public","data":"x","info":"user_count,subscription_count"},` +
		`{"name":"e","channel":"presence-a","data":"y","info":"subscription_count"}]}`
	cases := []struct{ name, path, body, want, uncounted string }{
		{
			"channels", "events", `{"name":"e","channels":["presence-a","b","public"],"data":"x","info":"user_count,subscription_count"}`,
			`{"channels":{"presence-a":{"user_count":42,"subscription_count":51},"b":{"subscription_count":0},"public":{"subscription_count":13}}}`,
			`{"channels":{"presence-a":{"user_count":42},"b":{},"public":{}}}`,
		},
		{
			"a channel twice", "events", `{"name":"e","channels":["presence-a","presence-a"],"data":"x","info":"user_count"}`,
			`{"channels":{"presence-a":{"user_count":42}}}`, `{"channels":{"presence-a":{"user_count":42}}}`,
		},
		{
			"user_count of none that has", "events", `{"name":"e","channel":"public","data":"x","info":"user_count"}`,
			`{"channels":{"public":{}}}`, `{"channels":{"public":{}}}`,
		},
		{"batch", "batch_events", batch, `{"batch":[{"user_count":42},{},{"subscription_count":13},{"subscription_count":51}]}`, `{"batch":[{"user_count":42},{},{},{}]}`},
		{"batch that asks nothing", "batch_events", `{"batch":[{"name":"e","channel":"presence-a","data":"x","info":""}]}`, `{}`, `{}`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := populated(t)
			got := f.do(signed("/apps/3/"+c.path, c.body))
			require.Equal(t, 200, got.status, got.body)
			require.Equal(t, c.want, got.body)
			f.app().Settings.SubscriptionCountEvents = false
			require.Equal(t, c.uncounted, f.do(signed("/apps/3/"+c.path, c.body)).body, "with subscription_count_events off")

			// What was published stays published: an error would make the sender do it again.
			published := len(f.hub.taken())
			f.hub.away = channels.ErrBrokerAway
			got = f.do(signed("/apps/3/"+c.path, c.body))
			require.Equal(t, 200, got.status, got.body)
			require.NotContains(t, got.body, "_count")
			require.Len(t, f.hub.taken(), published*3/2)

			f.hub.away, f.hub.down = nil, channels.ErrBrokerAway
			require.Equal(t, 503, f.do(signed("/apps/3/"+c.path, c.body)).status, "what was not published has no counts")
		})
	}
}

func FuzzQuery(f *testing.F) {
	for _, s := range [][3]string{
		{"presence-a", "user_count", "presence-"},
		{"cache-full", "cache,subscription_count", ""},
		{"#user-1", "x", "#"},
		{"a/b", "user_count", "a*"},
		{"..", ",", "\x00"},
		{"a%2fb", " ", "\xff"},
		{"é", "é", "&"},
	} {
		f.Add(s[0], s[1], s[2])
	}
	f.Fuzz(func(t *testing.T, name, info, prefix string) {
		fx := populated(t)
		for path, params := range map[string]url.Values{
			"channels":                                    {"info": {info}, "filter_by_prefix": {prefix}},
			"channels/" + url.PathEscape(name):            {"info": {info}},
			"channels/" + url.PathEscape(name) + "/users": {},
			"channels/" + url.PathEscape(name) + "/stats": {},
		} {
			q := tenants.SignRequest(tenants.NewSecret(secret), key, "GET", "/apps/3/"+path, params, nil, now)
			got := fx.do(request{"GET", "/apps/3/" + path, q.Encode(), nil})
			switch got.status {
			case 200:
				require.True(t, json.Valid([]byte(got.body)), got.body)
			case 400, 401, 404:
				require.Equal(t, 1, strings.Count(got.body, "\n"))
			default:
				t.Fatalf("%d %s", got.status, got.body)
			}
		}
	})
}
