//go:build linux

package main

import "encoding/binary"

const (
	opText  = 0x1
	opClose = 0x8
	opPing  = 0x9
	opPong  = 0xa
)

// frames takes complete client frames off b and returns the rest.
func (s *server) frames(c *conn, b []byte) (rest []byte, ok bool) {
	for len(b) >= 6 {
		size, length := 2, int(b[1]&0x7f)
		if b[1]&0x80 == 0 || length == 127 {
			return nil, false
		}
		if length == 126 {
			size, length = 4, int(binary.BigEndian.Uint16(b[2:]))
		}
		if len(b) < size+4+length {
			break
		}
		key, payload := b[size:size+4], b[size+4:size+4+length]
		for i := range payload {
			payload[i] ^= key[i&3]
		}
		switch b[0] & 0x0f {
		case opText:
			s.text(c, payload)
		case opPing:
			s.write(c, frame(opPong, payload))
		case opClose:
			return nil, false
		}
		b = b[size+4+length:]
	}
	return b, true
}

// text handles the one message the clients send: a subscribe.
func (s *server) text(c *conn, payload []byte) {
	channel := string(field(payload, `"channel":"`, `"`))
	if channel == "" {
		return
	}
	t := c.app + "/" + channel
	s.topics[t] = append(s.topics[t], c)
	c.topics = append(c.topics, t)
	s.write(c, frame(opText, []byte(
		`{"event":"pusher_internal:subscription_succeeded","data":"{}","channel":"`+channel+`"}`)))
}

// frame returns one complete server frame.
func frame(op byte, payload []byte) []byte {
	b := make([]byte, 0, len(payload)+4)
	b = append(b, 0x80|op)
	if len(payload) < 126 {
		b = append(b, byte(len(payload)))
	} else {
		b = append(b, 126)
		b = binary.BigEndian.AppendUint16(b, uint16(len(payload)))
	}
	return append(b, payload...)
}
