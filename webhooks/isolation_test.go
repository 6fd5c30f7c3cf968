package webhooks_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"tidewire/channels"
	"tidewire/tenants"
	"tidewire/webhooks"
)

// addressee is an endpoint, and what it has to be told.
type addressee struct {
	*webhooks.Endpoint
	want []string
}

// Events of one app never reach an endpoint of another: whatever the apps, the
// filters and the batching, and although the endpoints share a few addresses.
// Whose endpoint a call is for is known by its signature.
func TestEventsStayInTheirApp(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, w *world) {
		in, made := newInbox(), 0
		w.out = in
		w.start()
		rapid.Check(t, func(r *rapid.T) {
			// Apps of their own for each check: all go through one running service.
			first, count := made, rapid.IntRange(2, 5).Draw(r, "apps")
			made += count + 1
			app := func(i int) string { return strconv.Itoa(first + i + 1) }
			list := w.addressees(r, count, app)
			for n := range rapid.IntRange(1, 120).Draw(r, "events") {
				w.happens(r, list, app(rapid.IntRange(0, count-1).Draw(r, "app")), n)
			}
			for _, a := range list {
				w.requireLetters(in, a)
			}
			for _, url := range sharedURLs {
				for _, l := range in.letters(url) {
					requireOneApp(t, &l)
				}
			}
		})
	})
}

var sharedURLs = []string{"https://shared.invalid/", "https://shared.invalid/hooks", "https://other.invalid/"}

// addressees makes endpoints of some apps and waits until the service knows them.
func (w *world) addressees(r *rapid.T, apps int, app func(int) string) (list []*addressee) {
	for range rapid.IntRange(1, 8).Draw(r, "endpoints") {
		s := webhooks.Settings{URL: new(rapid.SampledFrom(sharedURLs).Draw(r, "url")), Batching: new(rapid.IntRange(0, 3).Draw(r, "batching") > 0)}
		if kinds := rapid.SliceOfNDistinct(rapid.SampledFrom(trafficKinds), 0, 2, rapid.ID[webhooks.Kind]).Draw(r, "kinds"); len(kinds) > 0 {
			s.Kinds = &kinds
		}
		if patterns := rapid.SliceOfN(rapid.SampledFrom([]string{"a-*", "*-1", "b-2"}), 0, 2).Draw(r, "patterns"); len(patterns) > 0 {
			s.Channels = &patterns
		}
		list = append(list, &addressee{Endpoint: w.create(app(rapid.IntRange(0, apps-1).Draw(r, "owner")), s)})
	}
	last := w.create(app(apps), webhooks.Settings{URL: new("https://last.invalid/")}) // when it is known, all are
	w.eventually("the endpoints are known", func() bool { return w.service.Recorder().Wants(last.App, trafficKinds[0]) })
	return list
}

// happens has something happen in an app, in channels that all apps have, and
// notes whom it concerns.
func (w *world) happens(r *rapid.T, list []*addressee, app string, n int) {
	c := channels.Change{
		Kind: rapid.SampledFrom(trafficKinds).Draw(r, "kind"), App: tenants.AppID(app),
		Channel: rapid.SampledFrom([]string{"a-1", "a-2", "b-1", "b-2"}).Draw(r, "channel"),
	}
	name := told{Name: string(c.Kind), Channel: c.Channel}
	switch c.Kind {
	case channels.ClientEventSent:
		c.Event, c.Data = fmt.Sprintf("client-%s-%d", app, n), []byte(`"{}"`)
		name.Event = c.Event
	case channels.ChannelOccupied: // told once of each channel
		c.Channel += "-" + app + "-" + strconv.Itoa(n)
		name.Channel = c.Channel
	case channels.SubscriptionsChange:
		c.Channel += "-" + app
		name.Channel = c.Channel
	}
	w.service.Recorder().Observe(c)
	for _, a := range list {
		if a.App == c.App && a.Wants(c.Kind, c.Channel) {
			a.want = append(a.want, name.String())
		}
	}
}

// requireLetters waits for what an endpoint has to be told, and demands that
// there is nothing else.
func (w *world) requireLetters(in *inbox, a *addressee) {
	w.t.Helper()
	own := func() []letter {
		return slices.DeleteFunc(in.letters(a.URL), func(l letter) bool { return !l.signedBy(a.Secret) })
	}
	w.eventually("an endpoint is told everything", func() bool { return len(eventsIn(own())) >= len(a.want) })
	require.ElementsMatch(w.t, a.want, eventsIn(own()))
	for _, l := range own() {
		require.Equal(w.t, "key-"+string(a.App), l.header.Get("X-Pusher-Key"), "signed with the key of another app")
		require.True(w.t, a.Batching || len(l.events) == 1)
	}
}

// requireOneApp demands that all events of a request are of the app it is signed for.
func requireOneApp(t *testing.T, l *letter) {
	t.Helper()
	app := strings.TrimPrefix(l.header.Get("X-Pusher-Key"), "key-")
	for _, e := range l.events {
		where := e.Channel
		if e.Event != "" {
			where = strings.TrimPrefix(e.Event, "client-")
			require.True(t, strings.HasPrefix(where, app+"-"), "%s in a request for app %s", e, app)
			continue
		}
		require.Equal(t, app, strings.Split(where, "-")[2], "%s in a request for app %s", e, app)
	}
}
