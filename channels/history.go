package channels

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// History is the third ability of a [Broker]: it keeps the past of the topics
// whose events are published with a [Retention]. Append, position and publish
// are one step, so the order of positions is the order in which every
// subscriber hears the events, and what was delivered can be read.
//
// Offsets of one epoch grow by one and are never given out twice. A history of
// which something may be lost goes on in a new epoch, as does one that nobody
// asked for and nothing was appended to for one and a half times its TTL.
type History interface {
	// Position returns where the history of t ends, beginning one if there is
	// none, and makes it remembered for that long again.
	Position(ctx context.Context, t Topic, keep Retention) (Position, error)

	// Read returns a run of kept events. Nothing older than keep.TTL is in it.
	Read(ctx context.Context, t Topic, keep Retention, q Query) (Run, error)

	// Renew begins a new epoch of t if it is still in epoch, and forgets the
	// events of the old one: somebody has seen that the engine lost some.
	Renew(ctx context.Context, t Topic, keep Retention, epoch string) error
}

// Query asks for a run of events. The bounds of position and time all hold.
type Query struct {
	// Backwards takes the newest events that fit, newest first; otherwise the
	// oldest ones, oldest first.
	Backwards bool
	// After and Before are offsets in the epoch that the history is in; the
	// events at them are not in the run. 0 is no bound.
	After, Before uint64
	// Since and Until bound the time at which an event was taken, both
	// included; zero is no bound.
	Since, Until time.Time
	// Limit is how many events there are in the run at most, at least 1.
	Limit int
	// MaxBytes ends the run before the event with which the data would exceed
	// it, though not before the first one; 0 is no bound.
	MaxBytes int
}

// Run is an answer to a [Query].
type Run struct {
	// Head is where the history ended when it was read; zero if there is none.
	Head Position
	// Base is the offset at which the epoch of Head began. Events up to it are
	// what was left of the epoch before.
	Base uint64
	// Oldest is the offset of the oldest event kept, Head.Offset+1 if there is none.
	Oldest uint64
	// Events have their Position and At, and still name who must not be sent them live.
	Events []Event
	// More says that more events fit the bounds than are in the run.
	More bool
}

// maxOffset is the largest offset there can be: scripts of Redis count in
// floating point.
const maxOffset = 1<<53 - 1

const maxEpochLen = 32

// ErrPosition says that a text is not a [Position].
var ErrPosition = errors.New(`not a position such as "d3adb33f:42"`)

// ParsePosition reads the text of [Position.String].
func ParsePosition(s string) (Position, error) {
	epoch, digits, _ := strings.Cut(s, ":")
	if epoch == "" || len(epoch) > maxEpochLen || digits == "" || len(digits) > 16 || (digits[0] == '0' && digits != "0") {
		return Position{}, ErrPosition
	}
	for _, c := range []byte(epoch) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return Position{}, ErrPosition
		}
	}
	offset, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || offset > maxOffset || digits[0] == '+' {
		return Position{}, ErrPosition
	}
	return Position{Epoch: epoch, Offset: offset}, nil
}

// EpochLen is the length of the epochs of [NewEpoch].
const EpochLen = 16

// NewEpoch makes an epoch that was never used before.
func NewEpoch() string {
	const digits = "0123456789abcdef"
	var b [EpochLen]byte
	for i, n := 0, rand.Uint64(); i < EpochLen; i++ {
		b[i] = digits[n&15]
		n >>= 4
	}
	return string(b[:])
}

// Remembered is how long a history goes on in the same epoch without being
// asked for: as long as its events, and half as long again.
func (r Retention) Remembered() time.Duration { return r.TTL + r.TTL/2 }
