package api_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
)

// single signs a request that publishes the old way: query is a=b&c=d.
func (f *fixture) single(channel, query, body string) answer {
	params, err := url.ParseQuery(query)
	if err != nil {
		panic(err)
	}
	path := "/apps/3/channels/" + channel + "/events"
	q := tenants.SignRequest(tenants.NewSecret(secret), key, "POST", path, params, []byte(body), now)
	return f.do(request{"POST", path, q.Encode(), []byte(body)})
}

func TestTriggerSingle(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, channel, query, body, event, data, except string }{
		{"data as it is", "c", "name=foo", `{"a":1}`, "foo", `"{\"a\":1}"`, ""},
		{"no JSON", "private-c", "name=foo+bar", "hello\n", "foo bar", `"hello\n"`, ""},
		{"socket_id", "presence-c", "name=foo&socket_id=12.34", `[]`, "foo", `"[]"`, "12.34"},
		{"no data", "c", "name=foo", "", "foo", `""`, ""},
		{"to a user", "%23server-to-user-1", "name=foo", "x", "foo", `"x"`, ""},
		{"data at the limit", "c", "name=foo", strings.Repeat("\n", 10240), "foo", `"` + strings.Repeat(`\n`, 10240) + `"`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			got := f.single(c.channel, c.query, c.body)
			require.Equal(t, 202, got.status, got.body)
			require.Equal(t, "{}", got.body)
			require.Len(t, f.hub.taken(), 1)
			ev := f.hub.taken()[0]
			require.Equal(t, strings.Replace(c.channel, "%23", "#", 1), ev.Topic.Channel)
			require.Equal(t, c.event, ev.Name)
			require.Equal(t, c.data, string(ev.Data))
			require.EqualValues(t, c.except, ev.Except)
		})
	}
}

func TestTriggerSingleRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, channel, query, body string
		status                     int
		want                       string
	}{
		{"no name", "c", "", "x", 400, "Missing required parameter: name\n"},
		{"name empty", "c", "name=", "x", 400, "Invalid event name: it is empty\n"},
		{"name as an array", "c", "name[]=foo", "x", 400, "Expected name parameter to be a string\n"},
		{"name reserved", "c", "name=pusher:foo", "x", 400, "The 'pusher' namespace is reserved for internal usage\n"},
		{"socket_id malformed", "c", "name=foo&socket_id=1", "x", 400, "Invalid socket_id"},
		{"socket_id empty", "c", "name=foo&socket_id=", "x", 400, "Invalid socket_id"},
		{"info", "c", "name=foo&info=user_count", "x", 400, "The following query string parameters are extraneous: info\n"},
		{"bad channel", "a%20b", "name=foo", "x", 400, "Invalid channel name: only A-Z a-z 0-9 _ - = @ , . ; are allowed\n"},
		{"data too long", "c", "name=foo", strings.Repeat("x", 10241), 413, tooMuchData},
		{"invalid UTF-8", "c", "name=foo", "\xff", 400, "Bad request body: it must be UTF-8\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			requireRefused(t, f, f.single(c.channel, c.query, c.body), c.status, c.want)
		})
	}
}
