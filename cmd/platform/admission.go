package main

import (
	"errors"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"tidewire/channels"
)

const (
	// memoryShare of GOMEMLIMIT in use is where new clients are turned away: the
	// rest is for those that are here, and for the collector to work with.
	memoryShare = 0.85
	// leastReserve is how many descriptors are kept for requests, database,
	// Redis and the log.
	leastReserve = 256
)

// newAdmission bounds who comes in by what this process has.
func newAdmission(cfg Config, hub *channels.Hub) *channels.Admission {
	a := channels.AdmissionConfig{
		PerSecond: cfg.HandshakesPerSecond, PerAddress: cfg.HandshakesPerAddress, MemoryShare: memoryShare,
		Connections: func() int64 { return hub.Stats().Connections },
	}
	if limit, known := openFileLimit(); known && limit < 1<<31 {
		n := int(limit) // #nosec G115 -- bounded above
		a.MaxConnections = max(n-max(leastReserve, n/20), n/2)
		a.MaxDescriptor = n - (n-a.MaxConnections)/2
	}
	return channels.NewAdmission(a)
}

// trustedRanges are the proxies whose word counts.
func trustedRanges(trusted []string) (ranges []netip.Prefix) {
	for _, t := range trusted {
		if ip, err := netip.ParseAddr(t); err == nil {
			ranges = append(ranges, netip.PrefixFrom(ip, ip.BitLen()))
		} else if p, err := netip.ParsePrefix(t); err == nil {
			ranges = append(ranges, p)
		}
	}
	return ranges
}

func within(ranges []netip.Prefix, ip netip.Addr) bool {
	for _, p := range ranges {
		if p.Contains(ip.Unmap()) {
			return true
		}
	}
	return false
}

// clientAddress is where a client is: the last address in front of the proxies
// that are trusted to say so.
func clientAddress(trusted []string) func(*http.Request) netip.Addr {
	ranges := trustedRanges(trusted)
	return func(r *http.Request) netip.Addr {
		peer, _ := netip.ParseAddrPort(r.RemoteAddr)
		at := peer.Addr()
		said := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		for i := len(said) - 1; i >= 0 && within(ranges, at); i-- {
			before, err := netip.ParseAddr(strings.TrimSpace(said[i]))
			if err != nil {
				break
			}
			at = before
		}
		return at
	}
}

func newAdmissionCollector(take func() channels.AdmissionStats) prometheus.Collector {
	type S = channels.AdmissionStats
	return snapshotCollector[S]{take: take, families: []family[S]{{
		desc: prometheus.NewDesc("tidewire_turned_away_total", "Clients told to come back later because too much was going on, by reason.", []string{"reason"}, nil),
		values: func(s S) map[string]uint64 {
			return map[string]uint64{
				"rate": uint64(s.Rate), "address": uint64(s.Address), // #nosec G115 -- counters
				"memory": uint64(s.Memory), "descriptors": uint64(s.Descriptors), // #nosec G115 -- counters
			}
		},
	}}}
}

// newWaitingCollector shows how many handshakes wait.
func newWaitingCollector(take func() int) prometheus.Collector {
	return snapshotCollector[int]{take: take, figures: []figure[int]{
		gauge("tidewire_handshakes_waiting", "Clients that wait to be let in, one batch after the other, because events flow.", func(n int) int64 { return int64(n) }),
	}}
}

func applyRate(to *int, v string) error {
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 || n > 1_000_000 {
		return errors.New("want a number a second from 0 to 1000000; 0 is no bound")
	}
	*to = n
	return nil
}
