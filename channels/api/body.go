package api

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
)

const (
	firstBody = 4 << 10  // what an ordinary event fits in
	keptBody  = 64 << 10 // a larger buffer is left to the garbage collector
)

// bodyPool lends the buffers that request bodies are read into. Its zero value
// is ready.
type bodyPool struct{ pool sync.Pool }

// read reads the whole body, at most limit bytes of it. The buffer belongs to
// the caller until it calls free. It grows with what arrives, not with what the
// request announces, so that an announcement costs nothing.
func (p *bodyPool) read(r *http.Request, limit int) (*[]byte, error) {
	if r.ContentLength > int64(limit) {
		return nil, tooLarge(limit)
	}
	buf, _ := p.pool.Get().(*[]byte)
	if buf == nil {
		fresh := make([]byte, 0, firstBody)
		buf = &fresh
	}
	b, err := readAll(r.Body, (*buf)[:0], limit)
	*buf = b
	if err != nil {
		p.free(buf)
		return nil, err
	}
	return buf, nil
}

func (p *bodyPool) free(buf *[]byte) {
	if cap(*buf) <= keptBody {
		p.pool.Put(buf)
	}
}

func readAll(r io.Reader, b []byte, limit int) ([]byte, error) {
	if r == nil {
		return b, nil
	}
	for {
		if len(b) == cap(b) {
			b = slices.Grow(b, cap(b))
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case len(b) > limit:
			return b, tooLarge(limit)
		case errors.Is(err, io.EOF):
			return b, nil
		case err != nil:
			return b, badRequest("The request body could not be read to its end")
		}
	}
}

func tooLarge(limit int) error {
	return &requestError{
		http.StatusRequestEntityTooLarge,
		fmt.Sprintf("The request body exceeds the allowed maximum (%d bytes)", limit),
	}
}
