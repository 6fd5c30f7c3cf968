package webhooks_test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
)

// What it costs to tell of client events, all but the calls themselves: storing
// them, finding them due, signing, storing the outcome. The time of an operation
// is that of the gathering; the processor's is cpu-us/event.
func BenchmarkClientEvents(b *testing.B) {
	const url, events, requests = "https://good.invalid/", 1000, 20
	w := setup(b)
	w.endpoint("1", url, 0)
	w.start()
	change := channels.Change{
		Kind: channels.ClientEventSent, App: "1", Channel: "private-room", Event: "client-x", SocketID: "1.1",
		Data: []byte(`{"text":"` + strings.Repeat("x", 200) + `"}`),
	}
	begun, told := processorTime(b), 0
	for b.Loop() {
		for range events {
			w.service.Recorder().Observe(change)
		}
		told += requests
		w.eventually("all is told", func() bool { return w.sender.count(url) >= told })
	}
	used := processorTime(b) - begun
	b.ReportMetric(float64(used.Nanoseconds())/1000/float64(b.N*events), "cpu-us/event")
}

func processorTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	require.NoError(tb, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
