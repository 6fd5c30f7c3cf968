package ws

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"sync"
)

// buffered returns what the client sent behind its handshake.
func buffered(rw *bufio.ReadWriter) []byte {
	if rw == nil || rw.Reader.Buffered() == 0 {
		return nil
	}
	n := rw.Reader.Buffered()
	b, _ := rw.Peek(n) // n bytes are there
	return bytes.Clone(b)
}

// response is an [http.Hijacker] that hands the library a connection already taken over.
type response struct {
	client *client
	header http.Header
}

func newResponse(c *client) *response { return &response{client: c, header: http.Header{}} }

// Header implements [http.ResponseWriter].
func (r *response) Header() http.Header { return r.header }

// Write implements [http.ResponseWriter]. The library writes here only to
// refuse a handshake the door has already checked.
func (r *response) Write(b []byte) (int, error) { return len(b), nil }

// WriteHeader implements [http.ResponseWriter].
func (r *response) WriteHeader(int) {}

// Hijack implements [http.Hijacker].
func (r *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	rw := scratch.Get().(*bufio.ReadWriter)
	r.client.arrival.scratch = rw
	return r.client, rw, nil
}

// scratch keeps the small buffers the library asks for and uses during the
// handshake only.
var scratch = sync.Pool{New: func() any {
	return bufio.NewReadWriter(bufio.NewReaderSize(nothing{}, 16), bufio.NewWriterSize(io.Discard, 16))
}}

// giveBack returns the scratch buffers once the handshake is over.
func giveBack(rw *bufio.ReadWriter) {
	rw.Reader.Reset(nothing{})
	rw.Writer.Reset(io.Discard)
	scratch.Put(rw)
}

type nothing struct{}

func (nothing) Read([]byte) (int, error) { return 0, io.EOF }
