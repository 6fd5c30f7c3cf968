//go:build linux

package main

import (
	"bytes"
	"crypto/sha1" // the WebSocket handshake asks for it
	"encoding/base64"
	"fmt"
	"strconv"
)

// answer is what every publish gets.
var answer = []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")

// websocketGUID is the constant of RFC 6455 that proves the server understood.
const websocketGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// handle takes complete messages off b and returns the rest; ok is false for
// anything the bench's clients do not send.
func (s *server) handle(c *conn, b []byte) (rest []byte, ok bool) {
	for len(b) > 0 {
		if c.ws {
			return s.frames(c, b)
		}
		end := bytes.Index(b, []byte("\r\n\r\n"))
		if end < 0 {
			return b, true
		}
		head := b[:end]
		if bytes.HasPrefix(head, []byte("GET /app/")) {
			if !s.upgrade(c, head) {
				return nil, false
			}
			b = b[end+4:]
			continue
		}
		length, err := strconv.Atoi(string(field(head, "Content-Length: ", "\r\n")))
		if err != nil || length < 0 || !bytes.HasPrefix(head, []byte("POST /apps/")) {
			return nil, false
		}
		if len(b) < end+4+length {
			return b, true
		}
		s.publish(string(field(head, "/apps/", "/")), b[end+4:end+4+length])
		s.write(c, answer)
		b = b[end+4+length:]
	}
	return nil, true
}

func (s *server) upgrade(c *conn, head []byte) bool {
	key := field(head, "Sec-WebSocket-Key: ", "\r\n")
	if len(key) == 0 {
		return false
	}
	sum := sha1.Sum(append(bytes.Clone(key), websocketGUID...))
	s.served++
	c.ws = true
	c.app = s.ids[string(field(head, "GET /app/", "?"))]
	s.write(c, fmt.Appendf(nil, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"+
		"Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(sum[:])))
	s.write(c, frame(opText, fmt.Appendf(nil,
		`{"event":"pusher:connection_established","data":"{\"socket_id\":\"1.%d\",\"activity_timeout\":120}"}`, s.served)))
	return true
}

// publish writes every event of body to its subscribers. The strings in it stay
// escaped as they came, which is how they leave.
func (s *server) publish(app string, body []byte) {
	for {
		at := bytes.Index(body, []byte(`"name":"`))
		if at < 0 {
			return
		}
		body = body[at:]
		name := field(body, `"name":"`, `"`)
		channel := field(body, `"channel":"`, `"`)
		if len(channel) == 0 {
			channel = field(body, `"channels":["`, `"`)
		}
		data := field(body, `"data":"`, `"}`)
		wire := frame(opText, fmt.Appendf(nil, `{"event":"%s","channel":"%s","data":"%s"}`, name, channel, data))
		for _, c := range s.topics[app+"/"+string(channel)] {
			s.write(c, wire)
		}
		body = body[len(`"name":"`):]
	}
}

// field returns what stands between the first before and the next after in b.
func field(b []byte, before, after string) []byte {
	_, rest, ok := bytes.Cut(b, []byte(before))
	if !ok {
		return nil
	}
	value, _, ok := bytes.Cut(rest, []byte(after))
	if !ok && after == "\r\n" { // the last header line, already without its end
		return rest
	}
	return value
}
