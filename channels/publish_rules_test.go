package channels_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/channels/wire"
	"tidewire/tenants"
)

func TestEventBytesLimit(t *testing.T) {
	t.Parallel()
	ceiling := tenants.Ceilings().MaxEventBytes
	for limit, want := range map[int]int{0: ceiling, -1: ceiling, 10240: 10240, 1: 1, ceiling + 1: ceiling} {
		app := &tenants.App{Limits: tenants.Limits{MaxEventBytes: limit}}
		require.Equal(t, want, app.Limits.Effective().MaxEventBytes, "the same as the limits say of themselves")
		require.Equal(t, want, channels.EventBytesLimit(app), limit)
	}
}

func TestPublicationEvents(t *testing.T) {
	t.Parallel()
	app := &tenants.App{ID: "7"}
	buf := []byte(`"hello"`)
	before := []channels.Event{{Name: "earlier"}}
	p := channels.Publication{Name: "e", Data: buf, Channels: []string{"a", "private-b", "a", "#server-to-user-1"}, Except: "1.2"}
	evs, err := p.AppendEvents(app, before)
	require.NoError(t, err)
	copy(buf, `"XXXXX"`) // the buffer goes back to its pool
	require.Len(t, evs, 4)
	require.Equal(t, "earlier", evs[0].Name)
	for i, name := range []string{"a", "private-b", "#server-to-user-1"} {
		ev := evs[i+1]
		require.Equal(t, channels.Topic{App: "7", Channel: name}, ev.Topic)
		require.Equal(t, "e", ev.Name)
		require.Equal(t, `"hello"`, string(ev.Data))
		require.Equal(t, channels.SocketID("1.2"), ev.Except)
	}
}

func TestPublicationRefusals(t *testing.T) {
	t.Parallel()
	hundred := make([]string, 101)
	for i := range hundred {
		hundred[i] = "c" + strconv.Itoa(i)
	}
	good := channels.Publication{Name: "e", Data: []byte(`"d"`), Channels: []string{"c"}}
	cases := []struct {
		name   string
		change func(*channels.Publication)
		want   string
	}{
		{"empty name", func(p *channels.Publication) { p.Name = "" }, "Invalid event name: it is empty"},
		{"reserved name", func(p *channels.Publication) { p.Name = "pusher-x" }, "The 'pusher' namespace is reserved for internal usage"},
		{"our namespace", func(p *channels.Publication) { p.Name = "tidewire:resume" }, "The 'tidewire:' namespace is reserved for internal usage"},
		{"no channel", func(p *channels.Publication) { p.Channels = nil }, "Missing required parameter: channel"},
		{"101 channels", func(p *channels.Publication) { p.Channels = hundred }, "Too many channels (101 > 100)"},
		{"bad channel among many", func(p *channels.Publication) { p.Channels = []string{"ok", "no/no"} }, "(channels[1])"},
		{"socket id", func(p *channels.Publication) { p.Except = "1.2:a" }, "Invalid socket_id"},
		{"data not a literal", func(p *channels.Publication) { p.Data = []byte(`{}`) }, "Expected data parameter to be a string"},
		{"no data", func(p *channels.Publication) { p.Data = nil }, "Expected data parameter to be a string"},
		{"data one byte too long", func(p *channels.Publication) { p.Data = wire.Quote(nil, strings.Repeat("x", 11)) }, "exceeds the allowed maximum (10 bytes)"},
	}
	app := &tenants.App{ID: "7", Limits: tenants.Limits{MaxEventBytes: 10}}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := good
			c.change(&p)
			evs, err := p.AppendEvents(app, nil)
			require.ErrorContains(t, err, c.want)
			require.Empty(t, evs)
		})
	}
	// It is the decoded length that counts.
	p := good
	p.Data = []byte(`"` + strings.Repeat(`\u00e9`, 5) + `"`) // 10 bytes of UTF-8
	_, err := p.AppendEvents(app, nil)
	require.NoError(t, err)
	p.Data = []byte(`"` + strings.Repeat(`\u00e9`, 6) + `"`)
	_, err = p.AppendEvents(app, nil)
	var large *channels.DataTooLargeError
	require.ErrorAs(t, err, &large)
	require.Equal(t, 10, large.Limit)
}
