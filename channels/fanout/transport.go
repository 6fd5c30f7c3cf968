package fanout

import "time"

// Transport is the socket under one line. The plane calls TryWrite, Drain and
// the closing methods from one goroutine at a time.
type Transport interface {
	// TryWrite offers b without waiting and returns how many bytes were taken.
	// blocked says that the peer takes no more for now: the plane then calls
	// Drain with the bytes not taken before it calls TryWrite again.
	TryWrite(b []byte) (n int, blocked bool, err error)

	// Drain writes rest, after anything TryWrite took but still holds, and
	// waits for the peer until deadline.
	Drain(rest []byte, deadline time.Time) error

	// CloseWrite tells the peer that nothing more will come (TCP FIN), and
	// leaves the reading side open.
	CloseWrite() error

	// Close ends the connection at once and frees the descriptor. The reading
	// side sees an error. It may be called while Drain waits, and ends that.
	Close() error
}

// Direct is a [Transport] whose bytes go into a non-blocking stream socket as
// they are, so that the kernel can be given many at once.
type Direct interface {
	Transport

	// Hold returns the descriptor and keeps it open until Release. It reports
	// false, and holds nothing, if the transport is closed.
	Hold() (fd int, open bool)

	// Release ends a Hold.
	Release()
}
