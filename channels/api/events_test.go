package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
)

func list(n int, format string) string {
	items := make([]string, n)
	for i := range items {
		items[i] = strings.ReplaceAll(format, "%d", fmt.Sprint(i))
	}
	return "[" + strings.Join(items, ",") + "]"
}

func TestTrigger(t *testing.T) {
	t.Parallel()
	cases := []struct{ name, body, event, data, except, names string }{
		{"channels", `{"name":"foo","channels":["project-3"],"data":"{\"some\":\"data\"}"}`, "foo", `"{\"some\":\"data\"}"`, "", "project-3"},
		{"channel", `{"name":"foo","channel":"c","data":"x"}`, "foo", `"x"`, "", "c"},
		{"socket_id", `{"name":"foo","channel":"c","data":"x","socket_id":"12.34"}`, "foo", `"x"`, "12.34", "c"},
		{"nulls are absent", `{"name":"foo","channel":null,"channels":["c"],"data":"x","socket_id":null,"info":null}`, "foo", `"x"`, "", "c"},
		{"empty info", `{"name":"foo","channel":"c","data":"x","info":""}`, "foo", `"x"`, "", "c"},
		{"unknown members are ignored", `{"name":"foo","channel":"c","data":"x","tags":{"a":1}}`, "foo", `"x"`, "", "c"},
		{"a channel that comes twice", `{"name":"foo","channels":["c","d","c"],"data":"x"}`, "foo", `"x"`, "", "c d"},
		{"server to user", `{"name":"foo","channels":["#server-to-user-1"],"data":"x"}`, "foo", `"x"`, "", "#server-to-user-1"},
		{"escapes pass as they came", `{"name":"\u0066oo","channel":"\u0063","data":"\ud83d\ude00\/é"}`, "foo", `"\ud83d\ude00\/é"`, "", "c"},
		{"empty data", `{"name":"foo","channel":"c","data":""}`, "foo", `""`, "", "c"},
		{"white space", " {\n\"name\" : \"foo\", \"channel\":\"c\" ,\"data\":\"x\" }\n", "foo", `"x"`, "", "c"},
		{"a hundred channels", `{"name":"foo","data":"x","channels":` + list(100, `"c%d"`) + `}`, "foo", `"x"`, "", strings.Trim(strings.ReplaceAll(strings.ReplaceAll(list(100, `c%d`), ",", " "), "\"", ""), "[]")},
		{"data at the limit", `{"name":"foo","channel":"c","data":"` + strings.Repeat("x", 10240) + `"}`, "foo", `"` + strings.Repeat("x", 10240) + `"`, "", "c"},
		{"escaped data at the limit", `{"name":"foo","channel":"c","data":"` + strings.Repeat(`\"`, 10240) + `"}`, "foo", `"` + strings.Repeat(`\"`, 10240) + `"`, "", "c"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			got := f.trigger(c.body)
			require.Equal(t, 200, got.status, got.body)
			require.Equal(t, "{}", got.body)
			require.Equal(t, "application/json", got.header.Get("Content-Type"))
			var names []string
			for _, ev := range f.hub.taken() {
				require.Equal(t, c.event, ev.Name)
				require.Equal(t, c.data, string(ev.Data))
				require.Equal(t, channels.SocketID(c.except), ev.Except)
				require.EqualValues(t, appID, ev.Topic.App)
				names = append(names, ev.Topic.Channel)
			}
			require.Equal(t, c.names, strings.Join(names, " "))
		})
	}
}

const tooMuchData = "The data content of this event exceeds the allowed maximum (10240 bytes). See https://pusher.com/docs/channels/server_api/http-api#publishing-events for more info\n"

func TestTriggerRefusals(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 10241)
	cases := []struct {
		name   string
		body   string
		status int
		want   string
	}{
		{"no name", `{"channel":"c","data":"x"}`, 400, "Missing required parameter: name\n"},
		{"name a number", `{"name":1,"channel":"c","data":"x"}`, 400, "Expected name parameter to be a string\n"},
		{"name null", `{"name":null,"channel":"c","data":"x"}`, 400, "Expected name parameter to be a string\n"},
		{"name empty", `{"name":"","channel":"c","data":"x"}`, 400, "Invalid event name: it is empty\n"},
		{"name too long", `{"name":"` + strings.Repeat("n", 201) + `","channel":"c","data":"x"}`, 400, "Invalid event name: it is longer than 200 bytes\n"},
		{"name pusher:", `{"name":"pusher:error","channel":"c","data":"x"}`, 400, "The 'pusher' namespace is reserved for internal usage\n"},
		{"name pusher_internal:", `{"name":"pusher_internal:member_added","channel":"c","data":"x"}`, 400, "The 'pusher' namespace is reserved for internal usage\n"},
		{"name pusher- in escapes", `{"name":"\u0070usher-x","channel":"c","data":"x"}`, 400, "The 'pusher' namespace is reserved for internal usage\n"},
		{"name tidewire:", `{"name":"tidewire:resume","channel":"c","data":"x"}`, 400, "The 'tidewire:' namespace is reserved for internal usage\n"},
		{"no data", `{"name":"foo","channel":"c"}`, 400, "Missing required parameter: data\n"},
		{"data an object", `{"name":"foo","channel":"c","data":{"a":1}}`, 400, "Expected data parameter to be a string\n"},
		{"data null", `{"name":"foo","channel":"c","data":null}`, 400, "Expected data parameter to be a string\n"},
		{"data too long", `{"name":"foo","channel":"c","data":"` + long + `"}`, 413, tooMuchData},
		{"data too long in escapes", `{"name":"foo","channel":"c","data":"` + strings.Repeat(`\u00e9`, 5121) + `"}`, 413, tooMuchData},
		{"data with a lone surrogate", `{"name":"foo","channel":"c","data":"\ud800"}`, 400, "Bad request body: invalid JSON at byte"},
		{"no channel", `{"name":"foo","data":"x"}`, 400, "Missing required parameter: channel\n"},
		{"channels empty", `{"name":"foo","data":"x","channels":[]}`, 400, "Missing required parameter: channel\n"},
		{"channel and channels", `{"name":"foo","data":"x","channel":"a","channels":["b"]}`, 400, "Both channel and channels are given: send only one of them\n"},
		{"channel a number", `{"name":"foo","data":"x","channel":1}`, 400, "Expected channel parameter to be a string\n"},
		{"channels a string", `{"name":"foo","data":"x","channels":"a"}`, 400, "Expected channels parameter to be an array of strings\n"},
		{"channels of numbers", `{"name":"foo","data":"x","channels":["a",1]}`, 400, "Expected channels parameter to be an array of strings (channels[1])\n"},
		{"101 channels", `{"name":"foo","data":"x","channels":` + list(101, `"c%d"`) + `}`, 400, "Too many channels (101 > 100)\n"},
		{"thousands of channels", `{"name":"foo","data":"x","channels":` + list(9000, `"c%d"`) + `}`, 400, "Too many channels (9000 > 100)\n"},
		{"channel with a space", `{"name":"foo","data":"x","channel":"a b"}`, 400, "Invalid channel name: only A-Z a-z 0-9 _ - = @ , . ; are allowed\n"},
		{"channel with a line break", `{"name":"foo","data":"x","channel":"a\n"}`, 400, "Invalid channel name"},
		{"channel with #", `{"name":"foo","data":"x","channel":"#mine"}`, 400, "Invalid channel name"},
		{"channel empty", `{"name":"foo","data":"x","channel":""}`, 400, "Invalid channel name"},
		{"channel too long", `{"name":"foo","data":"x","channel":"` + strings.Repeat("c", 165) + `"}`, 400, "Invalid channel name"},
		{"second channel bad", `{"name":"foo","data":"x","channels":["a","b/c"]}`, 400, "(channels[1])\n"},
		{"socket_id a number", `{"name":"foo","data":"x","channel":"c","socket_id":1.2}`, 400, "Expected socket_id parameter to be a string\n"},
		{"socket_id malformed", `{"name":"foo","data":"x","channel":"c","socket_id":"1.2:a"}`, 400, "Invalid socket_id"},
		{"socket_id empty", `{"name":"foo","data":"x","channel":"c","socket_id":""}`, 400, "Invalid socket_id"},
		{"info unknown", `{"name":"foo","data":"x","channel":"c","info":"user_count,users"}`, 400, "Invalid info parameter: what can be asked for here is user_count, subscription_count\n"},
		{"info of one channel only", `{"name":"foo","data":"x","channel":"cache-c","info":"cache"}`, 400, "Invalid info parameter: what can be asked for here is user_count, subscription_count\n"},
		{"info a list", `{"name":"foo","data":"x","channel":"c","info":[]}`, 400, "Expected info parameter to be a string\n"},
		{"body empty", ``, 400, "Bad request body: invalid JSON at byte 0"},
		{"body an array", `[]`, 400, "Bad request body: invalid JSON at byte 0: expected an object\n"},
		{"body cut short", `{"name":"foo"`, 400, "Bad request body: invalid JSON"},
		{"body with a tail", `{"name":"foo","channel":"c","data":"x"}{}`, 400, "Bad request body: invalid JSON"},
		{"repeated key", `{"name":"foo","channel":"c","data":"x","channel":"d"}`, 400, "duplicate key\n"},
		{"key in another case", `{"name":"foo","channel":"c","data":"x","Channel":"d"}`, 400, "two keys that differ by case only\n"},
		{"invalid UTF-8", "{\"name\":\"f\xff\",\"channel\":\"c\",\"data\":\"x\"}", 400, "invalid UTF-8\n"},
		{"too deep", `{"name":"foo","channel":"c","data":"x","y":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, 400, "Bad request body: invalid JSON"},
		{"body too large", `{"name":"foo","channel":"c","data":"` + strings.Repeat("x", 200<<10) + `"}`, 413, "The request body exceeds the allowed maximum (204800 bytes)\n"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			requireRefused(t, f, f.trigger(c.body), c.status, c.want)
		})
	}
}

// requireRefused holds a refusal against what every one of them must be.
func requireRefused(t *testing.T, f *fixture, got answer, status int, want string) {
	t.Helper()
	require.Equal(t, status, got.status, got.body)
	if strings.HasSuffix(want, "\n") && !strings.HasPrefix(want, "(") && !strings.HasPrefix(want, "invalid UTF-8") && !strings.HasPrefix(want, "duplicate") && !strings.HasPrefix(want, "two keys") {
		require.Equal(t, want, got.body)
	} else {
		require.Contains(t, got.body, want)
	}
	require.Equal(t, 1, strings.Count(got.body, "\n"), "one line")
	require.True(t, strings.HasSuffix(got.body, "\n"))
	require.Equal(t, "text/plain; charset=utf-8", got.header.Get("Content-Type"))
	require.Empty(t, f.hub.taken(), "nothing may be published")
}

func TestBatch(t *testing.T) {
	t.Parallel()
	f := setup(t)
	got := f.batch(`{"batch":[` +
		`{"name":"one","channel":"a","data":"1"},` +
		`{"name":"two","channel":"b","data":"2","socket_id":"1.2","info":null},` +
		`{"name":"three","channel":"a","data":"3"}]}`)
	require.Equal(t, 200, got.status, got.body)
	require.Equal(t, "{}", got.body)
	evs := f.hub.taken()
	require.Len(t, evs, 3)
	for i, want := range []struct{ name, channel, data, except string }{{"one", "a", `"1"`, ""}, {"two", "b", `"2"`, "1.2"}, {"three", "a", `"3"`, ""}} {
		require.Equal(t, want.name, evs[i].Name)
		require.Equal(t, want.channel, evs[i].Topic.Channel)
		require.Equal(t, want.data, string(evs[i].Data))
		require.EqualValues(t, want.except, evs[i].Except)
	}
	f = setup(t)
	require.Equal(t, 200, f.batch(`{"batch":[]}`).status)
	require.Empty(t, f.hub.taken())
	require.Equal(t, 200, f.batch(`{"batch":`+list(10, `{"name":"e","channel":"c%d","data":"x"}`)+`}`).status)
	require.Len(t, f.hub.taken(), 10)
}

func TestBatchRefusals(t *testing.T) {
	t.Parallel()
	ok := `{"name":"e","channel":"c","data":"x"}`
	cases := []struct {
		name, body string
		status     int
		want       string
	}{
		{"no batch", `{}`, 400, "Missing required parameter: batch\n"},
		{"batch null", `{"batch":null}`, 400, "Missing required parameter: batch\n"},
		{"batch an object", `{"batch":{}}`, 400, "Expected batch parameter to be an array\n"},
		{"eleven", `{"batch":` + list(11, ok) + `}`, 400, "Batch too large (11 > 10)\n"},
		{"thousands", `{"batch":` + list(5000, ok) + `}`, 400, "Batch too large (5000 > 10)\n"},
		{"channels for channel", `{"batch":[{"name":"e","channels":["a","b"],"data":"x"}]}`, 400, "Missing required parameter: channel\n"},
		{"channel and channels", `{"batch":[{"name":"e","channel":"a","channels":["b"],"data":"x"}]}`, 400, "An event of a batch takes channel, not channels\n"},
		{"not an object", `{"batch":["x"]}`, 400, "Expected every element of batch to be an object\n"},
		{"third without a name", `{"batch":[` + ok + `,` + ok + `,{"channel":"c","data":"x"}]}`, 400, "Missing required parameter: name (batch[2])\n"},
		{"second too long", `{"batch":[` + ok + `,{"name":"e","channel":"c","data":"` + strings.Repeat("x", 10241) + `"}]}`, 413, strings.TrimSuffix(tooMuchData, "\n") + " (batch[1])\n"},
		{"second with info unknown", `{"batch":[` + ok + `,{"name":"e","channel":"c","data":"x","info":"count"}]}`, 400, "Invalid info parameter: what can be asked for here is user_count, subscription_count (batch[1])\n"},
		{"second reserved", `{"batch":[` + ok + `,{"name":"pusher:x","channel":"c","data":"x"}]}`, 400, "The 'pusher' namespace is reserved for internal usage (batch[1])\n"},
		{"repeated key inside", `{"batch":[{"name":"e","name":"f","channel":"c","data":"x"}]}`, 400, "duplicate key\n"},
		{"key in another case inside", `{"batch":[{"name":"e","Name":"f","channel":"c","data":"x"}]}`, 400, "two keys that differ by case only\n"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			requireRefused(t, f, f.batch(c.body), c.status, c.want)
		})
	}
}

// What a publisher gets must stay what was posted while the body's buffer is
// used for the next request.
func TestDataDoesNotAliasTheBody(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for i := range 200 {
		body := fmt.Sprintf(`{"name":"event-%03d","channel":"channel-%03d","data":"data-%03d","socket_id":"1.%03d"}`, i, i, i, i)
		require.Equal(t, 200, f.trigger(body).status)
	}
	for i, ev := range f.hub.taken() {
		require.Equal(t, fmt.Sprintf("event-%03d", i), ev.Name)
		require.Equal(t, fmt.Sprintf("channel-%03d", i), ev.Topic.Channel)
		require.Equal(t, fmt.Sprintf(`"data-%03d"`, i), string(ev.Data))
		require.EqualValues(t, fmt.Sprintf("1.%03d", i), ev.Except)
	}
}
