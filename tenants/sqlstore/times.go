package sqlstore

import "time"

// Points in time are stored as milliseconds since 1970, and as NULL when there
// is none.

func timeOf(milli int64) time.Time { return time.UnixMilli(milli).UTC() }

func timeOrZero(milli *int64) time.Time {
	if milli == nil {
		return time.Time{}
	}
	return timeOf(*milli)
}

func milliOrNil(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	milli := t.UnixMilli()
	return &milli
}
