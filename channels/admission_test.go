package channels_test

import (
	"net/netip"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
)

// admitted is how many of n clients that come at once get in.
func admitted(t *testing.T, a *channels.Admission, from string, n int) (in int) {
	t.Helper()
	for range n {
		refusal := a.Admit(netip.MustParseAddr(from))
		if refusal == nil {
			in++
			continue
		}
		require.Equal(t, channels.CodeOverCapacity, refusal.Code, "clients must come back, after a pause")
	}
	return in
}

func TestAdmissionHoldsTheRateOfTheNode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := channels.NewAdmission(channels.AdmissionConfig{PerSecond: 100})
		require.InDelta(t, 200, admitted(t, a, "192.0.2.1", 1000), 1)
		time.Sleep(time.Second) // those refused owe nothing
		require.InDelta(t, 100, admitted(t, a, "198.51.100.1", 1000), 1)
		require.InDelta(t, 1700, a.Stats().Rate, 2)
	})
}

func TestAdmissionHoldsOneAddressAndNoOther(t *testing.T) {
	t.Parallel()
	a := channels.NewAdmission(channels.AdmissionConfig{PerAddress: 1})
	require.InDelta(t, 10, admitted(t, a, "192.0.2.1", 50), 1)
	require.InDelta(t, 10, admitted(t, a, "::ffff:192.0.2.2", 50), 1)
	require.InDelta(t, 10, admitted(t, a, "2001:db8::1", 50), 1)
	require.LessOrEqual(t, admitted(t, a, "2001:db8::2:1", 50), 1, "a customer has a whole network")
	for _, proxy := range []string{"127.0.0.1", "10.0.0.1", "fd00::1", "::1"} {
		require.Equal(t, 50, admitted(t, a, proxy, 50), "behind %s are many", proxy)
	}
}

func TestAdmissionForgetsAddresses(t *testing.T) {
	t.Parallel()
	a := channels.NewAdmission(channels.AdmissionConfig{PerAddress: 1})
	for i := range 200_000 {
		_ = a.Admit(netip.AddrFrom4([4]byte{20, byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	require.LessOrEqual(t, a.Addresses(), 1<<16)
}

func TestAdmissionKeepsDescriptorsInReserve(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		open := int64(10)
		a := channels.NewAdmission(channels.AdmissionConfig{MaxConnections: 10, Connections: func() int64 { return open }})
		require.Zero(t, admitted(t, a, "192.0.2.1", 5))
		open = 9
		time.Sleep(time.Second)
		require.Equal(t, 5, admitted(t, a, "192.0.2.1", 5))
		require.EqualValues(t, 5, a.Stats().Descriptors)
	})
}

func TestAdmissionHasRoomBelowADescriptor(t *testing.T) {
	t.Parallel()
	a := channels.NewAdmission(channels.AdmissionConfig{MaxDescriptor: 100})
	require.True(t, a.Room(100))
	require.False(t, a.Room(101))
	require.EqualValues(t, 1, a.Stats().Descriptors)
	require.True(t, channels.NewAdmission(channels.AdmissionConfig{}).Room(1<<20), "without a limit there is no bound")
	require.True(t, (*channels.Admission)(nil).Room(1<<20))
}

// It changes the limit of the whole process, so it runs alone.
func TestAdmissionRespectsTheMemoryLimit(t *testing.T) {
	cfg := channels.AdmissionConfig{MemoryShare: 0.9}
	require.Equal(t, 5, admitted(t, channels.NewAdmission(cfg), "192.0.2.1", 5), "without a limit there is no bound")
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(1 << 10))
	a := channels.NewAdmission(cfg)
	require.Zero(t, admitted(t, a, "192.0.2.1", 5))
	require.EqualValues(t, 5, a.Stats().Memory)
}

func TestNoAdmissionAdmitsEverybody(t *testing.T) {
	t.Parallel()
	var a *channels.Admission
	require.Nil(t, a.Admit(netip.Addr{}))
	require.Zero(t, a.Stats())
}
