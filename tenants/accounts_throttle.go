package tenants

import (
	"context"
	"time"
)

// budget is how often something may be tried in a window of time.
type budget struct {
	bucket string
	most   int
	window time.Duration
}

// throttle takes one from each budget, or gives a [*ThrottledError] when one is
// spent. What was taken stays taken: attempts count, whatever becomes of them.
func (a *Accounts) throttle(ctx context.Context, budgets ...budget) error {
	now := a.now()
	var spent *ThrottledError
	err := a.write(ctx, "count attempts", func(tx AccountWriter) error {
		spent = nil
		for _, b := range budgets {
			start := now.Truncate(b.window)
			end := start.Add(b.window)
			n, err := tx.Count(ctx, b.bucket, start, end, 1)
			if err != nil {
				return err
			}
			if n > b.most && (spent == nil || spent.RetryAfter < end.Sub(now)) {
				spent = &ThrottledError{RetryAfter: end.Sub(now)}
			}
		}
		return nil
	})
	if err == nil && spent != nil {
		return spent
	}
	return err
}

// refund gives back what throttle took.
func (a *Accounts) refund(ctx context.Context, budgets ...budget) error {
	now := a.now()
	return a.write(ctx, "count attempts", func(tx AccountWriter) error {
		for _, b := range budgets {
			start := now.Truncate(b.window)
			if _, err := tx.Count(ctx, b.bucket, start, start.Add(b.window), -1); err != nil {
				return err
			}
		}
		return nil
	})
}
