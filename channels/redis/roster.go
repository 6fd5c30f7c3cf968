package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	goredis "github.com/redis/go-redis/v9"

	"tidewire/channels"
	"tidewire/tenants"
)

// Roster implements [channels.Presence].
func (p *Presence) Roster(ctx context.Context, t channels.Topic) (channels.Roster, error) {
	if err := ctx.Err(); err != nil {
		return channels.Roster{}, fmt.Errorf("read members: %w", err)
	}
	keys, err := stateKeys(t, p.node)
	if err != nil {
		return channels.Roster{}, fmt.Errorf("read members: %w", err)
	}
	bounded, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	reply, err := p.c.run(bounded, rosterScript, call{keys: keys, args: []any{p.node, "", topicName(t)}})[0].list()
	if err != nil {
		return channels.Roster{}, readError(ctx, "read members", err)
	}
	return p.c.decodeRoster(reply), nil
}

// readError says what went wrong with a question, the caller's own doing first.
func readError(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", what, ctx.Err())
	}
	return fmt.Errorf("%s: %w", what, away(err))
}

// decodeRoster reads the answer of rosterScript. What is not a member is
// counted and left out.
func (c *Client) decodeRoster(reply []any) channels.Roster {
	var r channels.Roster
	if len(reply) != 2 {
		return r
	}
	if seq, ok := reply[0].(int64); ok && seq > 0 {
		r.Seq = uint64(seq)
	}
	fields, _ := reply[1].([]any)
	r.Members = make([]channels.Member, 0, len(fields)/2)
	for i := 0; i+1 < len(fields); i += 2 {
		user, _ := fields[i].(string)
		value, _ := fields[i+1].(string)
		_, info, ok := strings.Cut(value, "|")
		if !ok || !utf8.ValidString(user) || !utf8.ValidString(info) {
			c.counters.malformed.Add(1)
			continue
		}
		m := channels.Member{UserID: user}
		if info != "" {
			m.Info = []byte(info)
		}
		r.Members = append(r.Members, m)
	}
	return r
}

// Occupancy implements [channels.Presence].
func (p *Presence) Occupancy(ctx context.Context, ts []channels.Topic) ([]channels.Occupancy, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("read counts: %w", err)
	}
	counts := make([]channels.Occupancy, len(ts))
	if len(ts) == 0 {
		return counts, nil
	}
	bounded, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	pipe := p.c.rdb.Pipeline()
	cmds := make([][2]*goredis.StringCmd, len(ts))
	for i, t := range ts {
		keys, err := stateKeys(t, p.node)
		if err != nil {
			return nil, fmt.Errorf("read counts: %w", err)
		}
		cmds[i] = [2]*goredis.StringCmd{
			pipe.HGet(bounded, keys[keyOccupied], t.Channel), pipe.HGet(bounded, keys[keyPopulated], t.Channel),
		}
	}
	if _, err := pipe.Exec(bounded); err != nil && !errors.Is(err, goredis.Nil) {
		return nil, readError(ctx, "read counts", err)
	}
	for i, t := range ts {
		counts[i].Channel = t.Channel
		for j, n := range []*int{&counts[i].Subscriptions, &counts[i].Users} {
			text, err := cmds[i][j].Result()
			if err != nil && !errors.Is(err, goredis.Nil) {
				return nil, readError(ctx, "read counts", err)
			}
			*n = p.c.number(text)
		}
	}
	return counts, nil
}

// number reads a count; what is none is counted as malformed and 0.
func (c *Client) number(text string) int {
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > maxCount {
		c.counters.malformed.Add(1)
		return 0
	}
	return n
}

// Occupied implements [channels.Presence], with one script for each partition.
func (p *Presence) Occupied(ctx context.Context, app tenants.AppID, prefix string) ([]channels.Occupancy, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("list channels: %w", err)
	}
	if err := checkApp(app); err != nil {
		return nil, fmt.Errorf("list channels: %w", err)
	}
	calls := make([]call, channels.Partitions)
	for i := range calls {
		calls[i] = call{
			keys: []string{partitionName(i, useOccupied) + ":" + string(app), partitionName(i, usePopulated) + ":" + string(app)},
			args: []any{prefix},
		}
	}
	bounded, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	var counts []channels.Occupancy
	for _, a := range p.c.run(bounded, occupiedScript, calls...) {
		fields, err := a.list()
		if err != nil {
			return nil, readError(ctx, "list channels", err)
		}
		for ; len(fields) >= 3; fields = fields[3:] {
			name, _ := fields[0].(string)
			subscriptions, _ := fields[1].(string)
			users, _ := fields[2].(string)
			if n := p.c.number(subscriptions); n > 0 {
				counts = append(counts, channels.Occupancy{Channel: name, Subscriptions: n, Users: p.c.number(users)})
			}
		}
	}
	return counts, nil
}
