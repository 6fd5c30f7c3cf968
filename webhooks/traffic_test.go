package webhooks_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/tenants"
	"tidewire/webhooks"
)

// traffic is what goes on in an app all the while: three kinds of events, in
// channels orders-N and news-N, each of which is told apart from every other.
type traffic struct {
	end func()

	mu   sync.Mutex
	sent []string
}

var trafficKinds = []webhooks.Kind{channels.ClientEventSent, channels.ChannelOccupied, channels.SubscriptionsChange}

func (w *world) traffic(app string) *traffic {
	tr, stop, ended := &traffic{}, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			c := channels.Change{Kind: trafficKinds[i%3], App: tenants.AppID(app), Channel: []string{"orders-", "news-"}[i/3%2] + strconv.Itoa(i)}
			if c.Kind == channels.ClientEventSent {
				c.Event, c.Data = "client-x", []byte(`"{}"`)
			}
			tr.mu.Lock()
			w.service.Recorder().Observe(c)
			tr.sent = append(tr.sent, told{Name: string(c.Kind), Channel: c.Channel, Event: c.Event}.String())
			tr.mu.Unlock()
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	}()
	tr.end = sync.OnceFunc(func() { close(stop); <-ended })
	w.t.Cleanup(tr.end)
	return tr
}

// events are those that were sent, with all of the marks in their names.
func (tr *traffic) events(marks ...string) (names []string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, name := range tr.sent {
		if !slices.ContainsFunc(marks, func(m string) bool { return !strings.Contains(name, m) }) {
			names = append(names, name)
		}
	}
	return names
}

// more waits until so many further events were sent.
func (tr *traffic) more(w *world, n int) {
	w.t.Helper()
	until := len(tr.events()) + n
	w.eventually("traffic", func() bool { return len(tr.events()) >= until })
}

func (w *world) create(app string, s webhooks.Settings) *webhooks.Endpoint {
	w.t.Helper()
	a, err := apps{}.ByID(w.t.Context(), tenants.AppID(app))
	require.NoError(w.t, err)
	e, err := w.manager.Create(w.t.Context(), a, s)
	require.NoError(w.t, err)
	return e
}

func (w *world) update(id string, s webhooks.Settings) {
	w.t.Helper()
	_, _, err := w.manager.Update(w.t.Context(), id, 0, s)
	require.NoError(w.t, err)
}

// expect waits until an address has taken these events, and demands that there
// are no others, nor one twice.
func (in *inbox) expect(w *world, url string, want []string) {
	w.t.Helper()
	w.eventually(url+" is told everything", func() bool { return len(in.events(url)) >= len(want) })
	require.ElementsMatch(w.t, want, in.events(url), url)
}

// Every endpoint is told exactly what its filters let through, and a filter that
// is changed while events come is changed between two of them.
func TestFiltersUnderTraffic(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, w *world) {
		in := newInbox()
		w.out = in
		kinds, orders, news := []webhooks.Kind{channels.ClientEventSent}, []string{"orders-*"}, []string{"news-*"}
		filters := []struct {
			url      string
			kinds    *[]webhooks.Kind
			channels *[]string
			marks    []string // of what it lets through
		}{
			{url: "https://all.invalid/"},
			{"https://kind.invalid/", &kinds, nil, []string{"client_event "}},
			{"https://pattern.invalid/", nil, &orders, []string{" orders-"}},
			{"https://both.invalid/", &kinds, &news, []string{"client_event ", " news-"}},
		}
		for _, f := range filters {
			w.create("1", webhooks.Settings{URL: &f.url, Kinds: f.kinds, Channels: f.channels})
		}
		const moved = "https://moved.invalid/"
		e := w.create("1", webhooks.Settings{URL: new(moved), Channels: &orders})
		w.start()
		tr := w.traffic("1")
		tr.more(w, 50)
		w.update(e.ID, webhooks.Settings{Channels: &news})
		w.eventually("the new filter is in force", func() bool {
			return slices.ContainsFunc(in.events(moved), func(name string) bool { return strings.Contains(name, " news-") })
		})
		tr.more(w, 50)
		tr.end()
		for _, f := range filters {
			in.expect(w, f.url, tr.events(f.marks...))
		}
		w.eventually("nothing waits", func() bool { pending, _, err := w.store.Backlog(t.Context()); return err == nil && pending == 0 })
		got, all := in.events(moved), tr.events()
		for cut := range all {
			var want []string
			for i, name := range all {
				if (i < cut) == strings.Contains(name, " orders-") {
					want = append(want, name)
				}
			}
			if slices.Equal(slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(got))) {
				return
			}
		}
		t.Fatalf("no moment of a change explains what came: %v", got)
	})
}

// A paused endpoint is called no more; what happens meanwhile waits, and comes
// when it is resumed: nothing is lost, nothing comes twice.
func TestPauseUnderTraffic(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, w *world) {
		in := newInbox()
		w.out = in
		const url, other = "https://paused.invalid/", "https://other.invalid/"
		e := w.create("1", webhooks.Settings{URL: new(url)})
		w.create("1", webhooks.Settings{URL: new(other)})
		w.start()
		tr := w.traffic("1")
		w.eventually("it is told before", func() bool { return len(in.letters(url)) > 2 })
		w.update(e.ID, webhooks.Settings{Paused: new(true)})
		quiet := func() bool {
			was, heard := len(in.letters(url)), len(in.letters(other))
			w.eventually("the other one is told all the while", func() bool { return len(in.letters(other)) > heard+4 })
			return len(in.letters(url)) == was
		}
		w.eventually("the calls end", quiet)
		before := in.events(url)
		tr.more(w, 100)
		in.expect(w, other, tr.endedEvents())
		require.Equal(t, before, in.events(url), "called while it was paused")
		w.update(e.ID, webhooks.Settings{Paused: new(false)})
		in.expect(w, url, tr.events())
	})
}

// endedEvents ends the traffic and returns all of it.
func (tr *traffic) endedEvents() []string { tr.end(); return tr.events() }

// A change holds for whatever is sent after it, at once: nodes that have not heard
// of it read the endpoint again.
func TestAChangeHoldsForWhatFollows(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, w *world) {
		in := newInbox()
		w.out = in
		e := w.create("1", webhooks.Settings{URL: new("https://0.invalid/")})
		w.start()
		for i := range 8 {
			url := "https://" + strconv.Itoa(i+1) + ".invalid/"
			_, is, err := w.manager.Update(t.Context(), e.ID, 0, webhooks.Settings{URL: &url})
			require.NoError(t, err)
			d, err := w.manager.Test(t.Context(), is)
			require.NoError(t, err)
			w.eventually("the test is sent", func() bool {
				sent, err := w.store.Delivery(t.Context(), d.ID)
				return err == nil && sent.Status == webhooks.Delivered
			})
			require.Len(t, in.letters(url), 1, "it was sent to where the endpoint was before")
		}
	})
}

// While a secret is rotated a receiver can check every call, whichever of the two
// it knows; when the overlap is over the old one signs nothing any more.
func TestRotationUnderTraffic(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, w *world) {
		in := newInbox()
		w.out = in
		var ahead atomic.Int64
		w.now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		w.manager.Now = w.now
		const url = "https://rotated.invalid/"
		e := w.create("1", webhooks.Settings{URL: new(url)})
		w.start()
		w.traffic("1")
		told := func(by tenants.Secret) bool {
			l := in.letters(url)
			return len(l) > 0 && l[len(l)-1].signedBy(by)
		}
		w.eventually("it is told before", func() bool { return told(e.Secret) })
		rotated, err := w.manager.RotateSecret(t.Context(), e.ID, time.Hour)
		require.NoError(t, err)
		require.NotEqual(t, e.Secret.Reveal(), rotated.Secret.Reveal())
		w.eventually("the new secret signs", func() bool { return told(rotated.Secret) })
		overlapped := in.letters(url)
		for i := range overlapped {
			require.True(t, overlapped[i].signedBy(e.Secret), "the old secret does not sign call %d during the overlap", i)
		}
		ahead.Store(int64(2 * time.Hour))
		w.eventually("the old secret signs no more", func() bool { return !told(e.Secret) })
		for _, l := range in.letters(url)[len(overlapped):] {
			at, err := strconv.ParseInt(l.header.Get("Webhook-Timestamp"), 10, 64)
			require.NoError(t, err)
			during := time.Unix(at, 0).Before(rotated.PreviousUntil)
			require.Equal(t, during, l.signedBy(e.Secret), "the old secret signs during the overlap, and only then")
			require.True(t, during || l.signedBy(rotated.Secret), "a call that the new secret does not sign")
		}
		require.Equal(t, "key-1", in.letters(url)[0].header.Get("X-Pusher-Key"))
	})
}

// An endpoint that was down for its whole schedule is sent all of that time again:
// under the same ids, with a fresh time_ms, in sequence, while it hears of what
// happens now.
func TestReplayOfARangeUnderTraffic(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, w *world) {
		const url, missed = "https://down.invalid/", 8
		in := newInbox()
		w.out = in
		w.pace = webhooks.Pace{Schedule: []time.Duration{50 * time.Millisecond}, MaxRest: 50 * time.Millisecond}
		e := w.create("1", webhooks.Settings{URL: new(url), Batching: new(false)})
		w.start()
		w.tell("1", "client-before")
		w.eventually("it is told before", func() bool { return len(in.letters(url)) == 1 })

		in.setDown(url, true)
		from := time.Now()
		for i := range missed {
			w.tell("1", "client-missed-"+strconv.Itoa(i))
		}
		dead := func() []webhooks.Delivery {
			return slices.DeleteFunc(w.deliveries("1"), func(d webhooks.Delivery) bool { return d.Status != webhooks.Dead })
		}
		w.eventually("all of it is dead", func() bool { return len(dead()) == missed })
		to := time.Now()
		refused := in.rejected(url)
		require.Len(t, refused, 2*missed, "the whole schedule was tried")

		in.setDown(url, false)
		tr := w.traffic("1")
		w.eventually("it is told of what happens now", func() bool { return len(in.letters(url)) > 3 })
		asked := time.Now()
		count, err := w.manager.Replay(t.Context(), webhooks.DeliveryFilter{EndpointID: e.ID, Status: webhooks.Dead, From: from.Add(-time.Millisecond), To: to})
		require.NoError(t, err)
		require.Equal(t, missed, count)
		again := func() []letter {
			return slices.DeleteFunc(in.letters(url), func(l letter) bool { return !strings.Contains(l.events[0].Event, "missed") })
		}
		w.eventually("all of it comes again", func() bool { return len(again()) >= missed })
		tr.end()
		in.expect(w, url, slices.Concat([]string{"client_event presence-room client-before"}, eventsIn(again()), tr.events()))
		replayed, ids := again(), make(map[string]bool)
		require.Len(t, replayed, missed)
		for i, l := range replayed {
			require.Equal(t, "client-missed-"+strconv.Itoa(i), l.events[0].Event, "out of sequence")
			require.GreaterOrEqual(t, l.timeMS, asked.UnixMilli(), "an old time_ms")
			require.Equal(t, "3", l.header.Get("Webhook-Attempt"))
			if i > 0 {
				require.Greater(t, l.events[0].Seq, replayed[i-1].events[0].Seq)
			}
			ids[l.id] = true
		}
		for _, l := range refused {
			require.True(t, ids[l.id], "came again under another id")
			require.Less(t, l.timeMS, asked.UnixMilli())
		}
		require.Empty(t, dead())
	})
}

// Whoever has to know of an endpoint that is stopped is told once.
func TestStoppedEndpointIsTold(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, w *world) {
		in := newInbox()
		in.gone = true
		w.out = in
		told := make(chan [2]webhooks.Endpoint, 10)
		w.stopped = func(_ context.Context, was, is *webhooks.Endpoint) { told <- [2]webhooks.Endpoint{*was, *is} }
		const url = "https://gone.invalid/"
		e := w.create("1", webhooks.Settings{URL: new(url), Batching: new(false)})
		w.start()
		for i := range 8 {
			w.tell("1", "client-"+strconv.Itoa(i))
		}
		pair := <-told
		require.Equal(t, e.ID, pair[1].ID)
		require.Equal(t, webhooks.Enabled, pair[0].Status)
		require.Equal(t, webhooks.Disabled, pair[1].Status)
		require.Contains(t, pair[1].StatusReason, "410")
		require.NoError(t, w.stop())
		require.Empty(t, told)
	})
}
