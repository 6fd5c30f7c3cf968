package tenants

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

const (
	idempotencyFor      = 24 * time.Hour
	idempotencyInFlight = 2 * time.Minute // after which a request without an answer counts as lost
	maxIdempotencyKey   = 255
)

// BeginIdempotent notes that c begins a request under a key of its own choice.
// It returns nil when the request is to be carried out: the caller then ends it
// with [Accounts.EndIdempotent] or [Accounts.DropIdempotent]. A request that was
// answered before gives that answer. One that is still under way, and a key that
// was used for another request, is refused.
//
// requestHash stands for method, path and body. tenantID names whose data the
// answer will hold, so that it goes with the tenant; empty = of no tenant.
func (a *Accounts) BeginIdempotent(ctx context.Context, c Caller, tenantID, key, requestHash string) (*IdempotencyRecord, error) {
	if c.kind == "" {
		return nil, ErrUnauthenticated
	}
	if key == "" || printableText(key, maxIdempotencyKey) != key {
		return nil, &InvalidError{"Idempotency-Key", "must be 1 to 255 printable characters, a random one for each request"}
	}
	var known *IdempotencyRecord
	err := a.write(ctx, "note an idempotency key", func(tx AccountWriter) error {
		known = nil
		now := a.now()
		old, err := tx.Idempotency(ctx, c.ID(), key)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if err == nil {
			if known, err = judgeRepeat(old, requestHash, now); known != nil || err != nil {
				return err
			}
			if err := tx.DeleteIdempotency(ctx, c.ID(), key); err != nil {
				return err
			}
		}
		return tx.InsertIdempotency(ctx, &IdempotencyRecord{
			Principal: c.ID(), TenantID: tenantID, Key: key, RequestHash: requestHash,
			CreatedAt: now, ExpiresAt: now.Add(idempotencyFor),
		})
	})
	if err != nil {
		return nil, err
	}
	return known, nil
}

// judgeRepeat decides about a key that was seen before: the old answer, a
// refusal, or neither when it has expired.
func judgeRepeat(old *IdempotencyRecord, requestHash string, now time.Time) (*IdempotencyRecord, error) {
	switch {
	case !now.Before(old.ExpiresAt), old.Status == 0 && now.Sub(old.CreatedAt) > idempotencyInFlight:
		return nil, nil
	case old.RequestHash != requestHash:
		return nil, &Refusal{ErrConflict, "idempotency_key_reused", "this Idempotency-Key was used for another request; choose a new one for each request"}
	case old.Status == 0:
		return nil, &Refusal{ErrConflict, "idempotency_in_flight", "the first request with this Idempotency-Key is still under way; try again in a moment"}
	}
	return old, nil
}

// EndIdempotent keeps the answer to a request for a day. It is sealed at rest,
// because it may hold a secret that is shown once.
func (a *Accounts) EndIdempotent(ctx context.Context, c Caller, key string, status int, header json.RawMessage, body []byte) error {
	return a.write(ctx, "keep an answer", func(tx AccountWriter) error {
		record, err := tx.Idempotency(ctx, c.ID(), key)
		if err != nil {
			return ignoreNotFound(err)
		}
		record.Status, record.Header, record.Body = status, header, body
		return tx.UpdateIdempotency(ctx, record)
	})
}

// DropIdempotent forgets a request that had no effect, such as one with a
// mistake in it, so that it can be repeated under the same key.
func (a *Accounts) DropIdempotent(ctx context.Context, c Caller, key string) error {
	return a.write(ctx, "forget an idempotency key", func(tx AccountWriter) error {
		return ignoreNotFound(tx.DeleteIdempotency(ctx, c.ID(), key))
	})
}

func ignoreNotFound(err error) error {
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}
