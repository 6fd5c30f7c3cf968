//go:build linux

package load

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"tidewire/bench/internal/pusher"
)

// Target is a channel to publish to and the number of clients that listen there.
type Target struct {
	App       pusher.App
	Channel   string
	Listeners int
}

// Shape says what one request carries. The zero Batch is one event sent to
// /events; any other number goes to /batch_events.
type Shape struct {
	Bytes int // size of an event's data
	Batch int // events per request
}

func (s Shape) events() int { return max(s.Batch, 1) }

// errRefused says that the server asked to come back later: 429 or 503.
var errRefused = errors.New("refused for now")

// publisher is one keep-alive HTTP connection. It patches stamps into bodies
// made beforehand and signs each request.
type publisher struct {
	stream   int
	conn     net.Conn
	in       *bufio.Reader
	requests []*request
	out      []byte
}

// request is what goes to one target, ready but for stamps and signature.
type request struct {
	signer *pusher.Signer
	path   string
	head   []byte // between the query and the body
	body   []byte
	stamps []int // where the stamps stand in body
	seq    uint32
	reach  int64 // deliveries it causes
}

func newPublisher(ctx context.Context, addr string, stream int, targets []Target, shape Shape) (*publisher, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("connect publisher: %w", err)
	}
	p := &publisher{stream: stream, conn: conn, in: bufio.NewReaderSize(conn, 4096)}
	signers := map[string]*pusher.Signer{}
	for _, t := range targets {
		if signers[t.App.ID] == nil {
			signers[t.App.ID] = pusher.NewSigner(t.App)
		}
		p.requests = append(p.requests, newRequest(addr, t, shape, signers[t.App.ID]))
	}
	return p, nil
}

func newRequest(addr string, t Target, shape Shape, signer *pusher.Signer) *request {
	data := filler(shape.Bytes)
	stamp{}.write(data)
	r := &request{signer: signer, reach: int64(shape.events() * t.Listeners)}
	if shape.Batch == 0 {
		r.path = "/apps/" + t.App.ID + "/events"
		r.body = []byte(`{"name":"bench","channels":["` + t.Channel + `"],"data":"` + string(data) + `"}`)
	} else {
		r.path = "/apps/" + t.App.ID + "/batch_events"
		one := []byte(`{"name":"bench","channel":"` + t.Channel + `","data":"` + string(data) + `"}`)
		all := bytes.Join(repeat(one, shape.Batch), []byte(","))
		r.body = append(append([]byte(`{"batch":[`), all...), "]}"...)
	}
	for from := 0; ; {
		at := bytes.Index(r.body[from:], []byte(marker))
		if at < 0 {
			break
		}
		r.stamps = append(r.stamps, from+at)
		from += at + stampBytes
	}
	r.head = []byte(" HTTP/1.1\r\nHost: " + addr + "\r\nUser-Agent: tidewire-bench\r\n" +
		"Content-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(r.body)) + "\r\n\r\n")
	return r
}

func repeat(b []byte, n int) [][]byte {
	all := make([][]byte, n)
	for i := range all {
		all[i] = b
	}
	return all
}

// publish sends the request of target i and waits for its answer. A request
// that was refused uses up no sequence number.
func (p *publisher) publish(i int) error {
	r := p.requests[i%len(p.requests)]
	at := now()
	for k, off := range r.stamps {
		stamp{stream: p.stream, seq: r.seq + uint32(k) + 1, sent: at}.write(r.body[off:])
	}
	b := append(p.out[:0], "POST "...)
	b = append(b, r.path...)
	b = append(b, '?')
	b = append(b, r.signer.Query("POST", r.path, time.Now().Unix(), r.body)...)
	b = append(b, r.head...)
	b = append(b, r.body...)
	p.out = b
	if _, err := p.conn.Write(b); err != nil {
		return fmt.Errorf("send a publish: %w", err)
	}
	if err := readAnswer(p.in); err != nil {
		return err
	}
	r.seq += uint32(len(r.stamps))
	return nil
}

// readAnswer reads one HTTP answer and returns nil for 200, [errRefused] for
// "later", and an error with the body's start for anything else.
func readAnswer(in *bufio.Reader) error {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return fmt.Errorf("read the answer to a publish: %w", err)
	}
	if len(line) < len("HTTP/1.1 200\r\n") || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return fmt.Errorf("answer to a publish starts with %q", line)
	}
	status, ok := digits(line[9:12])
	if !ok {
		return fmt.Errorf("answer to a publish starts with %q", line)
	}
	length, err := readHead(in)
	if err != nil {
		return err
	}
	if status == 200 {
		_, err := in.Discard(length)
		return err
	}
	text := make([]byte, min(length, 200))
	if _, err := io.ReadFull(in, text); err != nil {
		return fmt.Errorf("read the answer to a publish: %w", err)
	}
	if _, err := in.Discard(length - len(text)); err != nil {
		return fmt.Errorf("read the answer to a publish: %w", err)
	}
	if status == 429 || status == 503 {
		return errRefused
	}
	return fmt.Errorf("publish answered %d: %s", status, bytes.TrimSpace(text))
}

// maxAnswer bounds the body of an answer.
const maxAnswer = 1 << 20

// readHead skips the header lines and returns the length of the body.
func readHead(in *bufio.Reader) (int, error) {
	length := -1
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return 0, fmt.Errorf("read the answer to a publish: %w", err)
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("Content-Length")) {
			v, ok := digits(bytes.TrimSpace(value))
			if !ok || v > maxAnswer {
				return 0, fmt.Errorf("answer to a publish has %q", line)
			}
			length = int(v)
		}
	}
	if length < 0 {
		return 0, errors.New("answer to a publish has no Content-Length")
	}
	return length, nil
}
