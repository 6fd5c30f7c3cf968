package tenants

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// lookup is one question to the Source: by key or by id, never both.
type lookup struct {
	key string
	id  AppID
}

// possible reports whether anything could answer. It keeps hostile names away
// from the database and out of memory.
func (l lookup) possible() bool {
	if l.id != "" {
		return l.id.valid()
	}
	return validKeyName(l.key)
}

func (l lookup) ask(ctx context.Context, src Source) (*App, error) {
	if l.id != "" {
		return src.AppByID(ctx, l.id)
	}
	app, err := src.AppByKey(ctx, l.key)
	if err == nil && app.Key(l.key) == nil {
		return nil, ErrNotFound
	}
	return app, err
}

// flights lets one of several equal questions through and gives the others its answer.
type flights struct {
	mu  sync.Mutex
	now map[lookup]*flight
}

type flight struct {
	done chan struct{} // closed when app and err are final
	app  *App
	err  error
}

var errLookupPanicked = errors.New("the look-up panicked")

// do calls ask, or waits for a call for the same question that is under way. A
// caller that waits gives up when its ctx ends; the call itself goes on.
func (f *flights) do(ctx context.Context, l lookup, ask func() (*App, error)) (*App, error) {
	f.mu.Lock()
	if other, ok := f.now[l]; ok {
		f.mu.Unlock()
		select {
		case <-other.done:
			return other.app, other.err
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: wait for a look-up: %w", ErrUnavailable, ctx.Err())
		}
	}
	if f.now == nil {
		f.now = make(map[lookup]*flight)
	}
	mine := &flight{done: make(chan struct{}), err: fmt.Errorf("%w: %w", ErrUnavailable, errLookupPanicked)}
	f.now[l] = mine
	f.mu.Unlock()

	defer func() {
		f.mu.Lock()
		delete(f.now, l)
		f.mu.Unlock()
		close(mine.done)
	}()
	mine.app, mine.err = ask()
	return mine.app, mine.err
}
