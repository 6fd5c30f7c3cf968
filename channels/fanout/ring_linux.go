//go:build linux && (amd64 || arm64)

package fanout

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// The interface of io_uring that is needed for sends that end before the call
// returns (io_uring_setup(2), io_uring_enter(2); linux/io_uring.h). Numbers are
// the same on every architecture this file is for.
const (
	sysRingSetup = 425
	sysRingEnter = 426

	ringEnterGetEvents = 1
	ringFeatSingleMmap = 1
	ringOpSend         = 26
	ringOffSQRing      = 0
	ringOffSQEs        = 0x10000000

	sendFlags = syscall.MSG_DONTWAIT | syscall.MSG_NOSIGNAL
)

type ringParams struct {
	sqEntries, cqEntries, flags, sqThreadCPU, sqThreadIdle, features, wqFd uint32
	_                                                                      [3]uint32
	sq, cq                                                                 ringOffsets
}

// ringOffsets serves both queues: the fields in places 4 to 6 differ in meaning.
type ringOffsets struct {
	head, tail, mask, entries uint32
	flagsOrOverflow           uint32
	droppedOrCQEs             uint32
	arrayOrFlags              uint32
	_                         uint32
	_                         uint64
}

type ringSQE struct {
	opcode, flags uint8
	ioprio        uint16
	fd            int32
	off           uint64
	addr          uint64
	len, msgFlags uint32
	userData      uint64
	_             [3]uint64
}

type ringCQE struct {
	userData uint64
	res      int32
	flags    uint32
}

// ring is one io_uring whose every request is done when submit returns. It is
// for one goroutine at a time.
type ring struct {
	fd      int
	rings   []byte // both queues, mapped
	entries []byte // the requests, mapped

	sqHead, sqTail, cqHead, cqTail *uint32 // shared with the kernel
	sqMask, cqMask                 uint32
	sqes                           []ringSQE
	cqes                           []ringCQE
	waiting                        uint32 // requests written down and not yet given to the kernel
}

// newRing makes a ring with room for depth requests, a power of two, and tries
// it out: kernels and sandboxes that forbid io_uring are found here.
func newRing(depth uint32) (*ring, error) {
	var p ringParams
	fd, _, errno := syscall.Syscall(sysRingSetup, uintptr(depth), uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return nil, fmt.Errorf("io_uring_setup: %w", errno)
	}
	r := &ring{fd: int(fd)}
	syscall.CloseOnExec(r.fd)
	if err := r.mapQueues(&p); err != nil {
		r.close()
		return nil, err
	}
	if err := r.probe(); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *ring) mapQueues(p *ringParams) (err error) {
	if p.features&ringFeatSingleMmap == 0 {
		return errors.New("io_uring: the kernel is too old")
	}
	const rw, shared = syscall.PROT_READ | syscall.PROT_WRITE, syscall.MAP_SHARED | syscall.MAP_POPULATE
	size := max(p.sq.arrayOrFlags+p.sqEntries*4, p.cq.droppedOrCQEs+p.cqEntries*uint32(unsafe.Sizeof(ringCQE{})))
	if r.rings, err = syscall.Mmap(r.fd, ringOffSQRing, int(size), rw, shared); err != nil {
		return fmt.Errorf("io_uring queues: %w", err)
	}
	if r.entries, err = syscall.Mmap(r.fd, ringOffSQEs, int(p.sqEntries)*int(unsafe.Sizeof(ringSQE{})), rw, shared); err != nil {
		return fmt.Errorf("io_uring requests: %w", err)
	}
	at := func(off uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.rings[off])) }
	r.sqHead, r.sqTail, r.sqMask = at(p.sq.head), at(p.sq.tail), *at(p.sq.mask)
	r.cqHead, r.cqTail, r.cqMask = at(p.cq.head), at(p.cq.tail), *at(p.cq.mask)
	r.sqes = unsafe.Slice((*ringSQE)(unsafe.Pointer(&r.entries[0])), p.sqEntries)
	r.cqes = unsafe.Slice((*ringCQE)(unsafe.Pointer(&r.rings[p.cq.droppedOrCQEs])), p.cqEntries)
	for i := range p.sqEntries {
		*at(p.sq.arrayOrFlags + i*4) = i // slot i is always request i
	}
	return nil
}

// probeByte is not on a stack, which may move while the kernel has its address.
var probeByte = []byte{1}

// probe sends a byte over a pair of sockets.
func (r *ring) probe() error {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer func() { _, _ = syscall.Close(pair[0]), syscall.Close(pair[1]) }()
	res := []int32{0}
	r.send(pair[0], probeByte)
	if err := r.submit(res); err != nil {
		return err
	}
	if res[0] != 1 {
		return fmt.Errorf("io_uring send: %w", syscall.Errno(-res[0])) // #nosec G115 -- a small negative number
	}
	return nil
}

// send writes down a send of b, which must stay reachable until submit. There
// must be room: at most as many sends as the ring is deep between two submits.
func (r *ring) send(fd int, b []byte) {
	tail := *r.sqTail // only we write it
	r.sqes[tail&r.sqMask] = ringSQE{
		opcode: ringOpSend, fd: int32(fd), // #nosec G115 -- a descriptor
		addr: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b)))), len: uint32(len(b)), // #nosec G115 -- bounded by maxBatch or one frame
		msgFlags: sendFlags, userData: uint64(r.waiting),
	}
	atomic.StoreUint32(r.sqTail, tail+1)
	r.waiting++
}

// submit has the kernel do every send written down and puts what each came to
// into res, in the order of the calls: bytes taken, or a negative errno. On an
// error the ring is of no use any more; results not known are -ECANCELED.
func (r *ring) submit(res []int32) error {
	n := r.waiting
	r.waiting = 0
	for i := range res {
		res[i] = -int32(syscall.ECANCELED)
	}
	for got := uint32(0); got < n; {
		todo := *r.sqTail - atomic.LoadUint32(r.sqHead)
		_, _, errno := syscall.Syscall6(sysRingEnter, uintptr(r.fd), uintptr(todo), uintptr(n-got), ringEnterGetEvents, 0, 0)
		head, tail := *r.cqHead, atomic.LoadUint32(r.cqTail)
		for ; head != tail; head++ {
			e := &r.cqes[head&r.cqMask]
			res[e.userData] = e.res
			got++
		}
		atomic.StoreUint32(r.cqHead, head)
		if errno != 0 && errno != syscall.EINTR && errno != syscall.EAGAIN && errno != syscall.EBUSY {
			return fmt.Errorf("io_uring_enter: %w", errno)
		}
	}
	return nil
}

func (r *ring) close() {
	for _, m := range [][]byte{r.rings, r.entries} {
		if m != nil {
			_ = syscall.Munmap(m)
		}
	}
	_ = syscall.Close(r.fd)
}
