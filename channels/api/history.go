package api

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"tidewire/channels"
	"tidewire/channels/wire"
)

const (
	historyNotRead      = "the history of the channel cannot be read right now"
	defaultHistoryLimit = 100
	maxHistoryLimit     = 1000
	maxHistoryPage      = 1 << 20 // bytes of data
)

var errHistoryEpoch = &requestError{http.StatusGone, "The history is in another epoch than the position given: events may have been lost. Ask without a position"}

// showHistory serves GET /apps/{id}/channels/{name}/history: what a channel
// keeps of its past, by position or time, forwards or backwards, in pages.
func (d *Door) showHistory(c *call) ([]byte, error) {
	if _, err := channels.Classify(c.name); err != nil {
		return nil, err
	}
	q, epoch, err := c.historyQuery()
	if err != nil {
		return nil, err
	}
	run, kept, err := d.cfg.Hub.History(c.ctx, c.app, c.name, q)
	switch {
	case err != nil:
		return nil, c.unserved(historyNotRead, err)
	case !kept:
		return nil, badRequest("This channel keeps no history: add a rule to the settings of the app (history)")
	case epoch != "" && run.Head.Epoch != epoch:
		return nil, errHistoryEpoch
	}
	events, next := run.Page(q.Backwards)
	dst := wire.Quote([]byte(`{"channel":`), c.name)
	dst = append(dst, `,"serial":`...)
	if run.Head.IsZero() {
		dst = append(dst, "null"...)
	} else {
		dst = wire.Quote(dst, run.Head.String())
	}
	dst = append(dst, `,"events":[`...)
	for i := range events {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = wire.AppendPastEvent(dst, &events[i])
	}
	dst = wire.AppendNext(append(dst, ']'), next)
	// Asked to go on after an event of which the next one is not kept any more.
	if q.After > 0 && run.Oldest > q.After+1 {
		dst = append(dst, `,"gap":"expired"`...)
	}
	return append(dst, '}'), nil
}

// historyQuery reads the parameters, and the epoch the positions among them are in.
func (c *call) historyQuery() (q channels.Query, epoch string, err error) {
	q = channels.Query{Backwards: true, Limit: defaultHistoryLimit, MaxBytes: maxHistoryPage}
	switch direction, _ := c.params.Get("direction"); direction {
	case "", "backwards":
	case "forwards":
		q.Backwards = false
	default:
		return q, "", badRequest("Invalid direction: it must be forwards or backwards")
	}
	if text, ok := c.params.Get("limit"); ok {
		if q.Limit, err = strconv.Atoi(text); err != nil || q.Limit < 1 || q.Limit > maxHistoryLimit {
			return q, "", badRequest(fmt.Sprintf("Invalid limit: it must be 1 to %d", maxHistoryLimit))
		}
	}
	if q.Since, err = c.moment("start_ms"); err != nil {
		return q, "", err
	}
	if q.Until, err = c.moment("end_ms"); err != nil {
		return q, "", err
	}
	epoch, err = c.positions(&q)
	return q, epoch, err
}

// positions reads those among the parameters into q, and returns their epoch.
// A cursor is the position at which the page before ended.
func (c *call) positions(q *channels.Query) (epoch string, err error) {
	cursor := "before"
	if !q.Backwards {
		cursor = "after"
	}
	for _, name := range []string{"after", "before", "cursor"} {
		text, ok := c.params.Get(name)
		if !ok {
			continue
		}
		pos, err := channels.ParsePosition(text)
		if err != nil || epoch != "" && pos.Epoch != epoch {
			return "", badRequest("Invalid " + name + ": it must be a serial such as the events carry, of one epoch, or the cursor an answer gave as next")
		}
		epoch = pos.Epoch
		if name == "after" || name == "cursor" && cursor == "after" {
			q.After = max(q.After, pos.Offset)
			continue
		}
		pos.Offset = max(pos.Offset, 1) // nothing is before it either
		if q.Before == 0 || pos.Offset < q.Before {
			q.Before = pos.Offset
		}
	}
	return epoch, nil
}

// moment reads a time in milliseconds; the zero time if there is none.
func (c *call) moment(name string) (time.Time, error) {
	text, ok := c.params.Get(name)
	if !ok {
		return time.Time{}, nil
	}
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil || ms < 0 || ms > 1<<52 {
		return time.Time{}, badRequest("Invalid " + name + ": it must be a time in milliseconds since 1970")
	}
	return time.UnixMilli(ms), nil
}
