//go:build linux

package load

import (
	"encoding/binary"
	"errors"
)

// The WebSocket opcodes the clients meet.
const (
	opText  = 0x1
	opClose = 0x8
	opPing  = 0x9
	opPong  = 0xa
)

// maxPayload bounds what a server may announce in one frame.
const maxPayload = 1 << 20

var (
	errFragment = errors.New("fragmented or compressed frame, which nobody asked for")
	errMasked   = errors.New("masked frame from a server")
	errTooLong  = errors.New("frame longer than 1 MiB")
)

// header is the start of one frame.
type header struct {
	op      byte
	size    int // bytes of the header itself
	payload int // bytes that follow it
}

// parseHeader reads the header at the start of b. ok is false, without an
// error, while b is too short to hold it.
func parseHeader(b []byte) (h header, ok bool, err error) {
	if len(b) < 2 {
		return header{}, false, nil
	}
	switch {
	case b[0]&0xf0 != 0x80:
		return header{}, false, errFragment
	case b[1]&0x80 != 0:
		return header{}, false, errMasked
	}
	h = header{op: b[0] & 0x0f, size: 2, payload: int(b[1])}
	switch h.payload {
	case 126:
		if len(b) < 4 {
			return header{}, false, nil
		}
		h.size, h.payload = 4, int(binary.BigEndian.Uint16(b[2:]))
	case 127:
		if len(b) < 10 {
			return header{}, false, nil
		}
		long := binary.BigEndian.Uint64(b[2:])
		if long > maxPayload {
			return header{}, false, errTooLong
		}
		h.size, h.payload = 10, int(long)
	}
	return h, true, nil
}

// mask is the key of every client frame. The protocol asks for an unpredictable
// one to protect proxies; there is none on loopback.
var mask = [4]byte{0x5a, 0xc3, 0x91, 0x2e}

// appendMasked appends one complete client frame to dst. The payload must be
// shorter than 64 KiB.
func appendMasked(dst []byte, op byte, payload []byte) []byte {
	dst = append(dst, 0x80|op)
	if len(payload) < 126 {
		dst = append(dst, 0x80|byte(len(payload)))
	} else {
		dst = append(dst, 0x80|126)
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(payload)))
	}
	dst = append(dst, mask[:]...)
	for i, c := range payload {
		dst = append(dst, c^mask[i&3])
	}
	return dst
}
