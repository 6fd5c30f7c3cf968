//go:build linux

package load

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"tidewire/bench/internal/pusher"
)

// Subscription is what one client wants: one channel of one app.
type Subscription struct {
	App     pusher.App
	Channel string // a private- name is authorised with the app's secret

	Serials bool   // ask to be told where the history stands
	Resume  string // a serial to go on from, with Serials; anything but success ends the run
	Serial  string // with Serials: where the subscription stood, once the client is ready
}

// How far a client has come.
const (
	stateUpgrade = iota // waits for the 101
	stateGreeting
	stateSubscribing
	stateReady
)

// client is one connection. Everything but the static part belongs to the
// goroutine of [Loop].
type client struct {
	fd  int
	sub *Subscription

	state int
	rest  []byte             // the start of a frame whose end has not come yet
	last  [maxStreams]uint32 // highest sequence number seen, per publisher
}

// The key every client sends and the answer it must get.
const (
	wsKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	wsAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// maxUpgrade bounds the head of the answer to the upgrade.
const maxUpgrade = 8 << 10

// upgradeRequest is what a browser would send, in the same amount of bytes.
func upgradeRequest(addr, key string, serials bool) []byte {
	query := "?protocol=7&client=js&version=8.4.0&flash=false"
	if serials {
		query += "&tidewire=1"
	}
	return []byte("GET /app/" + key + query + " HTTP/1.1\r\n" +
		"Host: " + addr + "\r\n" +
		"Connection: Upgrade\r\nPragma: no-cache\r\nCache-Control: no-cache\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) tidewire-bench\r\n" +
		"Upgrade: websocket\r\nOrigin: http://localhost\r\n" +
		"Sec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate\r\nAccept-Language: en\r\n" +
		"Sec-WebSocket-Key: " + wsKey + "\r\n\r\n")
}

// consume handles every complete piece of b and returns what is left over.
func (l *Loop) consume(c *client, b []byte, at int64) ([]byte, error) {
	if c.state == stateUpgrade {
		end := bytes.Index(b, []byte("\r\n\r\n"))
		if end < 0 {
			if len(b) > maxUpgrade {
				return nil, errors.New("endless answer to the upgrade")
			}
			return b, nil
		}
		if err := checkUpgrade(b[:end]); err != nil {
			return nil, err
		}
		c.state = stateGreeting
		b = b[end+4:]
	}
	for {
		h, ok, err := parseHeader(b)
		if err != nil {
			return nil, err
		}
		if !ok || len(b) < h.size+h.payload {
			return b, nil
		}
		payload := b[h.size : h.size+h.payload]
		b = b[h.size+h.payload:]
		switch h.op {
		case opText:
			err = l.text(c, payload, at)
		case opPing:
			err = send(c.fd, appendMasked(nil, opPong, payload))
		case opPong:
		case opClose:
			err = fmt.Errorf("closed by the server: %s", closeText(payload))
		default:
			err = fmt.Errorf("frame with opcode %d", h.op)
		}
		if err != nil {
			return nil, err
		}
	}
}

func checkUpgrade(head []byte) error {
	line, _, _ := bytes.Cut(head, []byte("\r\n"))
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 101")) {
		return fmt.Errorf("upgrade answered with %q", line)
	}
	if !bytes.Contains(head, []byte(wsAccept)) {
		return errors.New("upgrade answered without the right Sec-WebSocket-Accept")
	}
	return nil
}

func closeText(payload []byte) string {
	if len(payload) < 2 {
		return "no code"
	}
	return fmt.Sprintf("%d %s", int(payload[0])<<8|int(payload[1]), payload[2:])
}

// text handles one text frame: an event once the client is ready, before that
// the steps that lead there.
func (l *Loop) text(c *client, payload []byte, at int64) error {
	if c.state == stateReady {
		if s, found, ok := findStamp(payload, l.hint); ok {
			l.hint = found
			l.event(c, s, at)
		}
		return nil
	}
	switch {
	case bytes.Contains(payload, []byte(`"pusher:error"`)):
		return fmt.Errorf("refused: %s", payload)
	case c.state == stateGreeting && bytes.Contains(payload, []byte("pusher:connection_established")):
		id, err := socketID(payload)
		if err != nil {
			return err
		}
		c.state = stateSubscribing
		return send(c.fd, appendMasked(nil, opText, subscribe(c.sub, id)))
	case c.state == stateSubscribing && bytes.Contains(payload, []byte("pusher_internal:subscription_succeeded")):
		if err := c.stands(payload); err != nil {
			return err
		}
		c.state = stateReady
		l.becameReady()
	}
	return nil
}

func subscribe(sub *Subscription, socketID string) []byte {
	auth := ""
	if strings.HasPrefix(sub.Channel, "private-") {
		auth = pusher.ChannelAuth(sub.App, socketID, sub.Channel, "")
	}
	resume := ""
	if sub.Resume != "" {
		resume = `,"resume":"` + sub.Resume + `"`
	}
	return []byte(`{"event":"pusher:subscribe","data":{"auth":"` + auth + `","channel":"` + sub.Channel + `"` + resume + `}}`)
}

// stands reads what a confirmation says of the history, if that was asked for.
func (c *client) stands(confirmation []byte) error {
	if !c.sub.Serials {
		return nil
	}
	var f struct {
		Tidewire struct {
			Serial    string
			Recovered bool
		}
	}
	if err := json.Unmarshal(confirmation, &f); err != nil || f.Tidewire.Serial == "" {
		return fmt.Errorf("confirmed without a serial: %s", confirmation)
	}
	if c.sub.Resume != "" && !f.Tidewire.Recovered {
		return fmt.Errorf("not resumed: %s", confirmation)
	}
	c.sub.Serial = f.Tidewire.Serial
	return nil
}

// socketID takes the id out of the greeting, whose data is JSON inside a string.
func socketID(greeting []byte) (string, error) {
	_, after, ok := bytes.Cut(greeting, []byte("socket_id"))
	start := bytes.IndexAny(after, "0123456789")
	if !ok || start < 0 {
		return "", fmt.Errorf("no socket_id in the greeting %q", greeting)
	}
	after = after[start:]
	end := bytes.IndexFunc(after, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
	if end < 0 {
		return "", fmt.Errorf("unfinished socket_id in the greeting %q", greeting)
	}
	return string(after[:end]), nil
}
