package main

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/channels/console"
	"tidewire/tenants"
)

// notFromOutside are the codes that no client and no server of a customer can
// bring about by itself, with the reason.
var notFromOutside = map[console.Code]string{
	console.PongMissing:     "a peer must fall silent for 75 s",
	console.NodeDraining:    "the console's own connection is sent away at the same moment",
	console.EventsMissed:    "Redis must lose events",
	console.NotPossibleNow:  "Redis must be away",
	console.BrokerAway:      "Redis must be away",
	console.ServerBusy:      "a node must have 16 MiB undelivered in one shard",
	console.ClientEventBusy: "a node must have 16 MiB undelivered in one shard",
	console.WebhooksBehind:  "the database must be behind by 10,000 changes",
	console.InternalError:   "it would be a bug",
	"token_unknown_key":     "the issuer must publish a key set on a public address",
}

// codeWorld is a node on which everything is provoked.
type codeWorld struct {
	*node
	t   *testing.T
	ada *person
	app apiApp   // that most of it happens to
	w   *watcher // its console

	mu   sync.Mutex
	took map[console.Code]time.Duration
}

// try is the provocation of one code.
type try struct {
	*codeWorld
	t   *testing.T
	app apiApp
	w   *watcher
}

// own makes an app for this code alone, and watches it.
func (c *try) own(body fields) {
	c.t.Helper()
	body["name"] = "App"
	c.app = call[apiApp](c.as(c.ada), 201, http.MethodPost, "/tenants/acme/apps", body)
	c.w = watch(c.as(c.ada), c.url, c.app.ID, 1)
}

// as is p in this test.
func (c *try) as(p *person) *person { return &person{t: c.t, base: p.base, cookie: p.cookie} }

func (c *try) path() string { return "/apps/" + string(c.app.ID) }

// seen reports whether the console has shown the code.
func (c *try) seen(code console.Code) bool {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	return slices.ContainsFunc(c.w.entries, func(e noted) bool { return e.Code == string(code) })
}

// until does something again and again until the console shows the code.
func (c *try) until(code console.Code, again func()) {
	c.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !c.seen(code); time.Sleep(20 * time.Millisecond) {
		require.True(c.t, time.Now().Before(deadline), "%s is never shown", code)
		again()
	}
}

// publish posts an event as the app's server would; change may spoil the query.
func (c *try) publish(channel, data string, change ...func(url.Values)) int {
	c.t.Helper()
	return c.request(http.MethodPost, c.path()+"/events", fmt.Sprintf(`{"name":"e","channels":[%q],"data":%q}`, channel, data), change...)
}

func (c *try) request(method, path, body string, change ...func(url.Values)) int {
	c.t.Helper()
	q := tenants.SignRequest(tenants.NewSecret(c.app.Secret), c.app.Key, method, path, url.Values{}, []byte(body), time.Now())
	for _, spoil := range change {
		spoil(q)
	}
	status, _, _ := request(c.t, method, c.url+path+"?"+q.Encode(), nil, body)
	return status
}

// TestConsoleShowsEveryCode lists every row of the table, provokes it, and finds
// it in the tenant's console with its remedy.
func TestConsoleShowsEveryCode(t *testing.T) {
	t.Parallel()
	n, ada, _ := consoleWorld(t, "TIDEWIRE_WEBHOOK_ALLOW_PRIVATE=127.0.0.0/8", "TIDEWIRE_TRUSTED_PROXIES=127.0.0.1")
	app := call[apiApp](ada, 201, http.MethodPost, "/tenants/acme/apps", fields{
		"name": "Everything",
		"settings": fields{
			"client_events": true, "watchlist_events": true, "jwt": issuer(),
			"history": []fields{{"pattern": "log-*", "max_messages": 10, "ttl_seconds": 60}},
		},
		"limits": fields{
			"max_channels_per_connection": 4, "max_presence_members": 1, "max_presence_info_bytes": 20,
			"max_event_bytes": 64, "max_client_events_per_second": 2,
		},
	})
	c := &codeWorld{node: n, t: t, ada: ada, app: app, w: watch(ada, n.url, app.ID, 1), took: map[console.Code]time.Duration{}}
	t.Cleanup(c.report)
	tries := map[console.Code]*try{}
	for _, row := range console.Table() {
		provoke, known := provocations[row.Code]
		why := notFromOutside[row.Code]
		switch {
		case row.Unseen != "" || why != "":
			require.False(t, known, row.Code)
			continue
		case !known:
			t.Errorf("%s is not provoked", row.Code)
			continue
		}
		t.Log("provoking ", row.Code)
		one := &try{codeWorld: c, t: t, app: c.app, w: c.w}
		provoke(one)
		tries[row.Code] = one
	}
	// First all is provoked, then all is looked for: some of it takes seconds to
	// happen.
	for _, row := range console.Table() {
		if one := tries[row.Code]; one != nil {
			t.Run(string(row.Code), func(t *testing.T) { one.check(t, row) })
		}
	}
}

func (c *try) check(t *testing.T, row console.Info) {
	e := c.w.code(row.Code)
	require.Equal(t, row.Remedy, e.Remedy)
	require.Equal(t, row.Refused(), e.Refused)
	require.Equal(t, row.Wire, e.Wire)
	require.Equal(t, string(row.Kind), e.Kind)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.took[row.Code] = e.came.Sub(time.UnixMilli(e.Time))
}

// report prints how long it took from what happened to the console.
func (c *codeWorld) report() {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []time.Duration
	for _, d := range c.took {
		list = append(list, d)
	}
	if len(list) == 0 {
		return
	}
	slices.Sort(list)
	c.t.Logf("%d of %d codes seen; from what happened to the console: median %s, most %s (goal 2 s)",
		len(list), len(console.Table()), list[len(list)/2].Round(time.Millisecond), list[len(list)-1].Round(time.Millisecond))
	for _, row := range console.Table() {
		if why := row.Unseen + notFromOutside[row.Code]; why != "" {
			c.t.Logf("not provoked: %s: %s", row.Code, why)
		}
	}
	if list[len(list)-1] > 10*time.Second { // generous: the machine may be busy
		c.t.Errorf("a console was told after %s", list[len(list)-1])
	}
}

var jwtSecret = strings.Repeat("s", 40)

func issuer() fields {
	return fields{"issuers": []fields{{"issuer": "us", "audience": "app", "algorithms": []string{"HS256"}, "secret": jwtSecret}}}
}
