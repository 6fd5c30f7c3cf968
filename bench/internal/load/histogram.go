//go:build linux

package load

import (
	"math/bits"
	"time"
)

// Each power of two is cut into this many buckets, so a value is known to
// within 1/64 of itself.
const (
	subBits    = 6
	subBuckets = 1 << subBits
	buckets    = (64 - subBits + 1) * subBuckets
)

// Histogram counts durations in buckets of 1.6 % width. The zero value is
// empty and ready. It is not safe for concurrent use.
type Histogram struct {
	count  int64
	counts [buckets]int64
}

// Add counts one value; a negative one counts as zero.
func (h *Histogram) Add(d time.Duration) {
	h.counts[bucket(uint64(max(d, 0)))]++
	h.count++
}

// Merge adds what other counted.
func (h *Histogram) Merge(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.count += other.count
}

// Count returns how many values were added.
func (h *Histogram) Count() int64 { return h.count }

// Quantile returns the value that the share q (0..1) of all values does not
// exceed, to within a bucket's width. It is 0 for an empty histogram.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.count == 0 {
		return 0
	}
	rank := min(max(int64(q*float64(h.count)+0.999999), 1), h.count)
	for i, n := range h.counts {
		if rank -= n; rank <= 0 {
			return time.Duration(middle(i))
		}
	}
	return 0 // unreachable: the counts sum up to count
}

// bucket returns the index of v: itself when small, else its power of two and
// the six bits below the leading one.
func bucket(v uint64) int {
	if v < 2*subBuckets {
		return int(v)
	}
	shift := bits.Len64(v) - subBits - 1
	return min(shift*subBuckets+int(v>>shift), buckets-1)
}

// middle returns the value in the middle of bucket i.
func middle(i int) uint64 {
	if i < 2*subBuckets {
		return uint64(i)
	}
	shift := i/subBuckets - 1
	low := uint64(i-shift*subBuckets) << shift
	return low + 1<<shift/2
}
