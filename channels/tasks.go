package channels

import (
	"context"
	"sync"
)

// tasks are the hub's short jobs that may wait for an engine, started where
// waiting is not allowed.
type tasks struct {
	mu    sync.Mutex
	start func(job func(context.Context)) // nil unless the hub runs
}

// run lets tasks start until ctx ends, and returns when all have ended.
func (t *tasks) run(ctx context.Context) error {
	var wg sync.WaitGroup
	t.set(func(job func(context.Context)) { wg.Go(func() { job(ctx) }) })
	<-ctx.Done()
	t.set(nil)
	wg.Wait()
	return nil
}

func (t *tasks) set(start func(func(context.Context))) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.start = start
}

// background runs job on a goroutine of its own; when the hub is ending it is not run.
func (h *Hub) background(job func(context.Context)) {
	h.tasks.mu.Lock()
	defer h.tasks.mu.Unlock()
	if h.tasks.start != nil {
		h.tasks.start(job)
	}
}
