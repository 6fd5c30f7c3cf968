package channels_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/tenants"
)

func FuzzParseTrace(f *testing.F) {
	const good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	require.Equal(f, good, channels.ParseTrace(good).String())
	for _, bad := range []string{
		"", "00-", "01" + good[2:], good + "-", good[1:], "00-00000000000000000000000000000000-b7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	} {
		require.Nil(f, channels.ParseTrace(bad), bad)
		f.Add(bad)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, s string) {
		if at := channels.ParseTrace(s); at != nil && at.String() != s {
			t.Fatalf("%q came back as %q", s, at)
		}
	})
}

// swallowing takes every event and keeps none.
type swallowing struct{ *channels.MemoryBroker }

func (swallowing) Publish(context.Context, []channels.Event) ([]channels.Position, error) {
	return nil, nil
}

// following marks events and does nothing else.
type following struct{ at channels.Trace }

func (f *following) Publishing(_ context.Context, evs []channels.Event) func(error) {
	for i := range evs {
		evs[i].Trace = &f.at
	}
	return func(error) {}
}

func (*following) Delivering(*channels.Event) func(error) { return func(error) {} }

// publisher is one publish to a hub, over and over.
func publisher(tracer channels.Tracer) func() {
	broker := channels.NewMemoryBroker()
	hub := channels.NewHub(channels.HubConfig{
		Broker: swallowing{broker}, Presence: channels.NewMemoryPresence(broker), Tracer: tracer,
	})
	app := &tenants.App{ID: "1"}
	evs := []channels.Event{{Topic: channels.Topic{App: "1", Channel: "news"}, Name: "e", Data: []byte(`"x"`)}}
	return func() {
		if _, err := hub.Publish(context.Background(), app, evs); err != nil {
			panic(err)
		}
	}
}

// Without a tracer an event is not marked, and publishing allocates nothing.
func TestNoTracerCostsNothing(t *testing.T) {
	require.Zero(t, testing.AllocsPerRun(1000, publisher(nil)))
}

func BenchmarkPublishTraced(b *testing.B) {
	for name, tracer := range map[string]channels.Tracer{"off": nil, "followed": &following{}} {
		b.Run(name, func(b *testing.B) {
			publish := publisher(tracer)
			b.ReportAllocs()
			for b.Loop() {
				publish()
			}
		})
	}
}
