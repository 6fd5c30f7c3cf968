package channels

import (
	"errors"
	"math"
	"net/netip"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"

	"tidewire/channels/console"
)

// AdmissionConfig bounds who comes in while it is too much. Zero is no bound.
type AdmissionConfig struct {
	// PerSecond is how many clients may come in a second on this node; twice as
	// many at once.
	PerSecond int
	// PerAddress is the same for one public address, an IPv6 network of 64 bits
	// counting as one; ten times as many at once, because many people may sit
	// behind one. Loopback and private addresses, which are those of proxies, are
	// not counted.
	PerAddress int
	// MaxConnections is how many connections there may be: what descriptors there
	// are, less a reserve.
	MaxConnections int
	// MaxDescriptor is the highest descriptor a connection may have that has said
	// nothing yet. It lies above MaxConnections: clients are told why for as long
	// as there are descriptors to tell them.
	MaxDescriptor int
	// Connections says how many there are. Required with MaxConnections.
	Connections func() int64
	// MemoryShare is the share of the memory limit (GOMEMLIMIT) above which
	// nobody comes in; without a limit there is no bound.
	MemoryShare float64
}

// Admission turns clients away while the node has too many of them coming. They
// are told [CodeOverCapacity], with which they come back after a pause.
type Admission struct {
	cfg   AdmissionConfig // static
	stats [admissionReasons]atomic.Int64

	mu      sync.Mutex
	node    Bucket
	address map[netip.Prefix]*Bucket

	looked atomic.Int64 // unix nanoseconds when memory and connections were last looked at
	full   atomic.Int32 // what they said: an admissionReason and 1, or 0
}

type admissionReason int

const (
	admissionRate admissionReason = iota
	admissionAddress
	admissionMemory
	admissionDescriptors
	admissionReasons
)

var admissionWords = [admissionReasons]string{
	"Too many clients are connecting to this server at once. Reconnect in a moment.",
	"Too many connections from your address at once. Reconnect in a moment.",
	"This server is short of memory. Reconnect in a moment.",
	"This server has as many connections as it can hold. Reconnect in a moment.",
}

const (
	// lookEvery is how old the figures of memory and connections may be.
	lookEvery = 250 * time.Millisecond
	// maxAddresses is how many addresses are told apart before those that owe
	// nothing are forgotten.
	maxAddresses = 1 << 16
)

// NewAdmission makes an admission.
func NewAdmission(cfg AdmissionConfig) *Admission {
	return &Admission{cfg: cfg, address: make(map[netip.Prefix]*Bucket)}
}

// Admit lets a client at an address in, or says why not. A nil Admission lets
// everybody in.
func (a *Admission) Admit(from netip.Addr) *Refusal {
	if a == nil {
		return nil
	}
	now := time.Now()
	if why, ok := a.capacity(now); !ok {
		return a.refuse(why)
	}
	if why, ok := a.rates(from, now.UnixNano()); !ok {
		return a.refuse(why)
	}
	return nil
}

// Room reports whether a connection may be kept that has this descriptor. The
// lowest free one is given out, so it tells how many are in use, whatever for.
func (a *Admission) Room(descriptor int) bool {
	if a == nil || a.cfg.MaxDescriptor <= 0 || descriptor <= a.cfg.MaxDescriptor {
		return true
	}
	a.stats[admissionDescriptors].Add(1)
	return false
}

// Full says why nobody can come in, for want of memory or of descriptors; nil if
// there is room.
func (a *Admission) Full() error {
	if a == nil {
		return nil
	}
	if why, ok := a.capacity(time.Now()); !ok {
		return errors.New(admissionWords[why])
	}
	return nil
}

func (a *Admission) refuse(why admissionReason) *Refusal {
	a.stats[why].Add(1)
	return &Refusal{Code: CodeOverCapacity, Message: admissionWords[why], Reason: console.TooManyConnecting}
}

// capacity looks at memory and connections, not more often than is cheap.
func (a *Admission) capacity(now time.Time) (admissionReason, bool) {
	last := a.looked.Load()
	if now.UnixNano()-last > int64(lookEvery) && a.looked.CompareAndSwap(last, now.UnixNano()) {
		full := int32(0)
		switch {
		case a.cfg.MaxConnections > 0 && a.cfg.Connections() >= int64(a.cfg.MaxConnections):
			full = int32(admissionDescriptors) + 1
		case a.cfg.MemoryShare > 0 && memoryShare() > a.cfg.MemoryShare:
			full = int32(admissionMemory) + 1
		}
		a.full.Store(full)
	}
	full := a.full.Load()
	return admissionReason(full - 1), full == 0
}

func (a *Admission) rates(from netip.Addr, now int64) (admissionReason, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	from = from.Unmap()
	if rate := int64(a.cfg.PerAddress); rate > 0 && from.IsGlobalUnicast() && !from.IsPrivate() {
		if !a.bucket(from, now).take(now, rate, 10*rate) {
			return admissionAddress, false
		}
	}
	if rate := int64(a.cfg.PerSecond); rate > 0 && !a.node.take(now, rate, 2*rate) {
		return admissionRate, false
	}
	return 0, true
}

func (a *Admission) bucket(from netip.Addr, now int64) *Bucket {
	bits := from.BitLen()
	if from.Is6() {
		bits = 64
	}
	key, _ := from.Prefix(bits) // bits fit the address
	b := a.address[key]
	if b == nil {
		if len(a.address) >= maxAddresses {
			a.forget(now)
		}
		b = &Bucket{}
		a.address[key] = b
	}
	return b
}

// forget drops the addresses that owe nothing, or all if that makes no room: an
// attacker with that many addresses is held by the bound of the node.
func (a *Admission) forget(now int64) {
	for key, b := range a.address {
		if b.Debt(now) <= 0 {
			delete(a.address, key)
		}
	}
	if len(a.address) >= maxAddresses {
		clear(a.address)
	}
}

// take is [Bucket.Spend] that owes nothing for what it refuses: a client that
// keeps asking gets its share all the same.
func (b *Bucket) take(now int64, rate, burst int64) bool {
	was := *b
	if b.Spend(now, rate, burst) {
		return true
	}
	*b = was
	return false
}

// memoryShare is how much of the memory limit is in use; 0 without one.
func memoryShare() float64 {
	limit := debug.SetMemoryLimit(-1)
	if limit == math.MaxInt64 {
		return 0
	}
	// What the limit counts: all memory mapped by the runtime, less what it has
	// given back; and of that, what a collection cannot free at once.
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(samples)
	return float64(samples[0].Value.Uint64()+samples[1].Value.Uint64()) / float64(limit)
}

// AdmissionStats counts the clients turned away, by reason.
type AdmissionStats struct{ Rate, Address, Memory, Descriptors int64 }

// Stats returns the counters as of now; those of a nil Admission are zero.
func (a *Admission) Stats() AdmissionStats {
	if a == nil {
		return AdmissionStats{}
	}
	return AdmissionStats{
		Rate: a.stats[admissionRate].Load(), Address: a.stats[admissionAddress].Load(),
		Memory: a.stats[admissionMemory].Load(), Descriptors: a.stats[admissionDescriptors].Load(),
	}
}

// Addresses is how many addresses are told apart now.
func (a *Admission) Addresses() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.address)
}
