package redis

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"tidewire/channels"
)

const (
	// readEvery is how often the logs are read when they were empty last.
	readEvery = 150 * time.Millisecond
	// readAtOnce bounds what is read of one partition's log at a time.
	readAtOnce = 500
	// followLease is how long a node has the logs it reads to itself, followRenew
	// how often it asks for them.
	followLease = 6 * time.Second
	followRenew = 2 * time.Second
)

// Changes is the log of who came and went, in the partitions' streams. A change
// is written to it in the script that makes it, so neither exists without the
// other.
type Changes struct {
	c    *Client
	node string // names this process in the leases
	mine [channels.Partitions]bool
}

// Changes returns the log of changes, the same one every time.
func (c *Client) Changes() *Changes { return c.changes }

// followScript gives KEYS[1], the right to read a log, to ARGV[1] for ARGV[2]
// milliseconds, unless another has it.
var followScript = newScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
return 0`)

// Take is given what was read of a log, which may be nothing. Whatever happened
// there before until is among it, or was before.
type Take = func(ctx context.Context, log string, changes []channels.Change, until time.Time) error

// Of names the log in which changes of that kind and of that topic stand.
func (l *Changes) Of(c *channels.Change) string { return logName(c.Topic().Partition()) }

func logName(partition int) string { return "redis/" + strconv.Itoa(partition) }

// Follow hands the changes of every partition to take, in their order, and
// forgets those for which it returned nil. Of the nodes that follow, each
// partition has one at a time; at a change of hands some may be handed over
// twice. It ends when ctx does.
func (l *Changes) Follow(ctx context.Context, take Take) error {
	tick := time.NewTicker(readEvery)
	defer tick.Stop()
	var renewed time.Time
	for {
		if time.Since(renewed) >= followRenew {
			l.claim(ctx)
			renewed = time.Now()
		}
		if l.readAll(ctx, take) && ctx.Err() == nil {
			continue // there may be more
		}
		select {
		case <-ctx.Done():
			l.release()
			return nil
		case <-tick.C:
		}
	}
}

func followKey(partition int) string { return partitionName(partition, useFollower) }

// claim asks for every partition's log. Without an answer it is nobody's.
func (l *Changes) claim(ctx context.Context) {
	calls := make([]call, channels.Partitions)
	for p := range calls {
		calls[p] = call{keys: []string{followKey(p)}, args: []any{l.node, followLease.Milliseconds()}}
	}
	for p, a := range l.c.run(ctx, followScript, calls...) {
		n, err := a.number()
		l.mine[p] = err == nil && n == 1
	}
}

// release lets others go on at once.
func (l *Changes) release() {
	ctx, cancel := context.WithTimeout(context.Background(), ioTimeout)
	defer cancel()
	pipe := l.c.rdb.Pipeline()
	for p, mine := range l.mine {
		if mine {
			pipe.Del(ctx, followKey(p))
		}
	}
	_, _ = pipe.Exec(ctx) // else the leases run out
}

// readAll reads every log this node may read once, and reports whether one of
// them had as much as can be read at a time.
func (l *Changes) readAll(ctx context.Context, take Take) (more bool) {
	begun := time.Now()
	pipe := l.c.rdb.Pipeline()
	var reads [channels.Partitions]*goredis.XMessageSliceCmd
	reading := false
	for p, mine := range l.mine {
		if mine {
			reads[p] = pipe.XRangeN(ctx, partitionName(p, useChanges), "-", "+", readAtOnce)
			reading = true
		}
	}
	if !reading {
		return false
	}
	_, _ = pipe.Exec(ctx) // each command says for itself
	for p, cmd := range reads {
		if cmd == nil || cmd.Err() != nil {
			continue
		}
		if err := l.hand(ctx, p, cmd.Val(), begun, take); err != nil {
			if ctx.Err() == nil {
				l.c.log.WarnContext(ctx, "changes are not taken yet", "partition", p, "error", err)
			}
			continue
		}
		more = more || len(cmd.Val()) == readAtOnce
	}
	return more
}

// hand passes on what was read of one log, and forgets it.
func (l *Changes) hand(ctx context.Context, partition int, read []goredis.XMessage, begun time.Time, take Take) error {
	changes := make([]channels.Change, 0, len(read))
	for _, m := range read {
		if c, ok := readChange(m, partition); ok {
			changes = append(changes, c)
		} else {
			l.c.counters.malformed.Add(1)
		}
	}
	if len(read) == 0 {
		return take(ctx, logName(partition), nil, begun)
	}
	milli, n, ok := streamID(read[len(read)-1].ID)
	if !ok {
		return fmt.Errorf("stream id %q", read[len(read)-1].ID)
	}
	until := begun
	if len(read) == readAtOnce { // there may be more
		until = time.UnixMilli(milli)
	}
	if err := take(ctx, logName(partition), changes, until); err != nil {
		return err
	}
	next := strconv.FormatInt(milli, 10) + "-" + strconv.FormatUint(n+1, 10)
	return l.c.rdb.XTrimMinID(ctx, partitionName(partition, useChanges), next).Err()
}

// readChange reads an entry of a log. Redis is not trusted: what is not a change
// of that partition is none.
func readChange(m goredis.XMessage, partition int) (c channels.Change, ok bool) {
	field := func(name string) string { s, _ := m.Values[name].(string); return s }
	t, known := topicNamed(field("t"), partition)
	milli, n, good := streamID(m.ID)
	if !known || !good {
		return c, false
	}
	switch field("k") {
	case "o":
		c = channels.OccupancyChange(t, true)
	case "v":
		c = channels.OccupancyChange(t, false)
	case "a":
		c = channels.Change{Kind: channels.MemberCame, App: t.App, Channel: t.Channel, UserID: field("u")}
	case "r":
		c = channels.Change{Kind: channels.MemberWent, App: t.App, Channel: t.Channel, UserID: field("u")}
	case "n":
		count, err := strconv.Atoi(field("n"))
		if err != nil || count < 0 {
			return c, false
		}
		c = channels.Change{Kind: channels.SubscriptionsChange, App: t.App, Channel: t.Channel, Count: count}
	default:
		return c, false
	}
	c.Place, c.At, c.Seq = place(milli, n), time.UnixMilli(milli), channels.ChangeSeq(milli, n)
	return c, true
}

// place puts the parts of an id into one number. The second part grows far only
// while the clock of Redis is behind where it once was.
func place(milli int64, n uint64) uint64 { return uint64(milli)<<22 | min(n, 1<<22-1) } // #nosec G115 -- milli is from 1 to 2^41

func streamID(id string) (milli int64, n uint64, ok bool) {
	left, right, found := strings.Cut(id, "-")
	milli, errLeft := strconv.ParseInt(left, 10, 64)
	n, errRight := strconv.ParseUint(right, 10, 64)
	return milli, n, found && errLeft == nil && errRight == nil && milli > 0 && milli < 1<<41
}
