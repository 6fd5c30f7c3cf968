package webhooks_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/tenants"
	"tidewire/webhooks"
	"tidewire/webhooks/sender"
)

// hurry is a pace at which a delivery is dead in a moment.
var hurry = webhooks.Pace{
	Schedule: []time.Duration{200 * time.Millisecond, 300 * time.Millisecond, 400 * time.Millisecond},
	MaxRest:  200 * time.Millisecond, Lease: time.Minute,
}

// patience is how long a receiver has: so long that only those fail that mean to,
// on a busy machine too.
const patience = 2 * time.Second

// realSender calls this machine, and has little patience.
func realSender(t testing.TB) *sender.Sender {
	t.Helper()
	s := sender.New(sender.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Timeout: patience})
	t.Cleanup(s.Close)
	return s
}

// tell has a client event of that name observed.
func (w *world) tell(app, name string) {
	w.service.Recorder().Observe(channels.Change{
		Kind: channels.ClientEventSent, App: tenants.AppID(app), Channel: "presence-room", Event: name, Data: []byte(`{}`), SocketID: "1.1",
	})
}

// healthy is a receiver that takes everything and notes when it came.
type healthy struct {
	mu   sync.Mutex
	came map[string]time.Time // by the event's name
}

func (h *healthy) ServeHTTP(rw http.ResponseWriter, req *http.Request) {
	now := time.Now()
	body, err := io.ReadAll(req.Body)
	var told struct{ Events []struct{ Event string } }
	if err == nil {
		err = json.Unmarshal(body, &told)
	}
	if err != nil {
		rw.WriteHeader(http.StatusBadRequest)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range told.Events {
		if _, twice := h.came[e.Event]; !twice {
			h.came[e.Event] = now
		}
	}
}

func (h *healthy) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.came)
}

// steady is how many events a measurement sends, 20 ms apart.
const steady = 60

// measure sends events to the app, waits until all have come and returns how long
// the slowest twentieth took at least. beside is called with each.
func (h *healthy) measure(w *world, app, phase string, beside func(i int)) time.Duration {
	w.t.Helper()
	sent := make(map[string]time.Time, steady)
	before := h.count()
	pace := time.NewTicker(20 * time.Millisecond)
	defer pace.Stop()
	for i := range steady {
		beside(i)
		name := "client-" + phase + "-" + strconv.Itoa(i)
		sent[name] = time.Now()
		w.tell(app, name)
		<-pace.C
	}
	w.eventually("a healthy endpoint is told everything", func() bool { return h.count() == before+steady })
	h.mu.Lock()
	defer h.mu.Unlock()
	var took []time.Duration
	for name, at := range sent {
		took = append(took, h.came[name].Sub(at))
	}
	slices.Sort(took)
	return took[len(took)*95/100]
}

// amongHostile is a running world of one healthy receiver, of app 1, and of every
// hostile one, each of an app of its own.
func amongHostile(t testing.TB) (*world, *healthy) {
	t.Helper()
	w := setup(t)
	w.out = realSender(t)
	good := &healthy{came: make(map[string]time.Time)}
	srv := httptest.NewServer(good)
	t.Cleanup(srv.Close)
	w.endpoint("1", srv.URL, 0)
	for i := range rudeness {
		w.endpoint(rudeApp(i), rudeness[i].url(t), 0)
	}
	w.pace = hurry
	w.start()
	return w, good
}

func nothing(int) {}

// Receivers that do everything wrong there is: what was for them is delivered or
// dead in the log, nothing is gone, and others do not notice.
func TestHostileReceivers(t *testing.T) {
	t.Parallel()
	const events = 2
	w, good := amongHostile(t)
	alone := good.measure(w, "1", "alone", nothing)
	for i := range rudeness {
		for n := range events {
			w.tell(rudeApp(i), "client-"+strconv.Itoa(n))
		}
	}
	among := good.measure(w, "1", "among", nothing)
	t.Logf("95 of 100 events are with a healthy endpoint within %v alone, within %v among %d hostile ones", alone, among, len(rudeness))
	w.eventually("all are delivered or dead", func() bool {
		return !slices.ContainsFunc(rudeness, func(r rude) bool {
			list := w.deliveries(rudeApp(slices.IndexFunc(rudeness, func(o rude) bool { return o.name == r.name })))
			told := 0
			for _, d := range list { // one may carry several
				told += bytes.Count(d.Events, []byte(`"client_event"`))
			}
			return told < events || slices.ContainsFunc(list, func(d webhooks.Delivery) bool { return d.Status == webhooks.Pending })
		})
	})
	for i := range rudeness {
		w.requireFate(rudeApp(i), &rudeness[i], events)
	}
	require.Zero(t, w.service.Stats().InFlight)
}

// What a healthy endpoint notices of hostile ones that have something to be told
// all the while, against the same without, in turn: -benchtime 10x for ten pairs.
func BenchmarkHostileReceivers(b *testing.B) {
	w, good := amongHostile(b)
	var alone, among, ratio []float64
	for b.Loop() {
		phase := strconv.Itoa(len(ratio))
		a := good.measure(w, "1", "alone-"+phase, nothing)
		m := good.measure(w, "1", "among-"+phase, func(i int) {
			if i < len(rudeness) {
				w.tell(rudeApp(i), "client-"+phase)
			}
		})
		w.eventually("all are delivered or dead", func() bool {
			pending, _, err := w.store.Backlog(b.Context())
			return err == nil && pending == 0
		})
		alone, among, ratio = append(alone, a.Seconds()*1000), append(among, m.Seconds()*1000), append(ratio, m.Seconds()/a.Seconds())
	}
	for _, f := range []struct {
		name   string
		values []float64
	}{{"alone-p95-ms", alone}, {"among-p95-ms", among}, {"ratio", ratio}} {
		median, low, high := within(f.values)
		b.ReportMetric(median, f.name)
		b.ReportMetric(low, f.name+"-low")
		b.ReportMetric(high, f.name+"-high")
	}
}

// within is the median of values and an interval around it of at least 95 %,
// whatever their distribution: of nine and more the second and the last but one,
// else the extremes, which is less for fewer than six.
func within(values []float64) (median, low, high float64) {
	slices.Sort(values)
	n, cut := len(values), 0
	if n >= 9 {
		cut = 1
	}
	return (values[(n-1)/2] + values[n/2]) / 2, values[cut], values[n-1-cut]
}

func rudeApp(i int) string { return strconv.Itoa(100 + i) }

func (w *world) deliveries(app string) []webhooks.Delivery {
	w.t.Helper()
	list, err := w.store.Deliveries(w.t.Context(), webhooks.DeliveryFilter{App: tenants.AppID(app)})
	require.NoError(w.t, err)
	return list
}

// requireFate demands that every event of the app is in the log, once, as r says.
func (w *world) requireFate(app string, r *rude, events int) {
	w.t.Helper()
	var names []string
	for _, d := range w.deliveries(app) {
		var told []struct{ Event string }
		require.NoError(w.t, json.Unmarshal(d.Events, &told), r.name)
		for _, e := range told {
			names = append(names, e.Event)
		}
		attempts, err := w.store.Attempts(w.t.Context(), d.ID)
		require.NoError(w.t, err)
		require.Len(w.t, attempts, d.Attempts, r.name)
		require.Equal(w.t, r.status, d.Status, "%s: %s", r.name, d.Reason)
		if r.name == "answers 410" && d.Attempts == 0 { // the other one has ended the endpoint
			require.Contains(w.t, d.Reason, "disabled before")
			continue
		}
		require.Equal(w.t, r.http, d.HTTPStatus, "%s: %s", r.name, d.Reason)
		if r.status == webhooks.Dead {
			require.NotEmpty(w.t, d.Reason, r.name)
			require.Contains(w.t, d.Reason, r.reason, r.name)
		}
		if r.status == webhooks.Dead && !r.once {
			require.Equal(w.t, len(hurry.Schedule)+1, d.Attempts, "%s: %+v", r.name, attempts)
		}
	}
	slices.Sort(names)
	want := make([]string, events)
	for n := range want {
		want[n] = "client-" + strconv.Itoa(n)
	}
	require.Equal(w.t, want, names, r.name)
}
