package redis

import (
	"context"
	_ "embed" // the scripts
	"errors"
	"strings"

	goredis "github.com/redis/go-redis/v9"
)

//go:embed lua/clock.lua
var luaClock string

//go:embed lua/lease.lua
var luaLease string

//go:embed lua/state.lua
var luaState string

// The scripts of presence, one for each transition. Those that change a topic
// answer fenced when this node's lease is not the one the caller believes in.
var (
	leaseScript = newScript(luaClock, luaLease)

	// setCountScript: ARGV[4] is the count, ARGV[5] is "1" to announce it.
	setCountScript = newScript(luaClock, luaState, `
if alive(node) ~= generation then return FENCED end
return count(tonumber(ARGV[4]), ARGV[5] == '1')`)

	// enterScript: ARGV[4] is the user, ARGV[5] the info, ARGV[6] the limit.
	enterScript = newScript(luaClock, luaState, `
if alive(node) ~= generation then return FENCED end
return enter(ARGV[4], ARGV[5], tonumber(ARGV[6]))`)

	// leaveScript: ARGV[4] is the user.
	leaveScript = newScript(luaClock, luaState, `
if alive(node) ~= generation then return FENCED end
leave(ARGV[4])
return 0`)

	// assertScript says all that this node holds of a topic: as for a count,
	// then user and info of each of its users.
	assertScript = newScript(luaClock, luaState, `
if alive(node) ~= generation then return FENCED end
local here = {}
for i = 6, #ARGV, 2 do here[ARGV[i]] = true end
local sum = state(tonumber(ARGV[4]), ARGV[5] == '1', here)
for i = 6, #ARGV, 2 do enter(ARGV[i], ARGV[i + 1]) end
return sum`)

	// reapScript takes a node whose lease has run out off a topic.
	reapScript = newScript(luaClock, luaState, `
if alive(node) then return FENCED end
state(0, true, {})
redis.call('HDEL', held, topic)
return 0`)

	// forgetScript ends the traces of a node that holds nothing any more:
	// KEYS[2] is its index.
	forgetScript = newScript(luaClock, `
if alive(node) or redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
return redis.call('HDEL', nodes, node)`)

	// rosterScript reads the members and the number of the last change.
	rosterScript = newScript(luaClock, luaState, `
return {current(), redis.call('HGETALL', members)}`)

	// occupiedScript reads the counts of an app's channels in one partition:
	// KEYS are the two indexes, ARGV[1] is what a name must begin with.
	occupiedScript = newScript(`
local found = {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
	if string.sub(all[i], 1, #ARGV[1]) == ARGV[1] then
		found[#found + 1] = all[i]
		found[#found + 1] = all[i + 1]
		found[#found + 1] = redis.call('HGET', KEYS[2], all[i]) or '0'
	end
end
return found`)
)

// What the scripts answer instead of a number that means something.
const (
	fenced = -1
	full   = -2
)

// script is a Lua script and the name under which Redis remembers it.
type script struct{ source, digest string }

func newScript(parts ...string) *script {
	source := tampered(strings.Join(parts, "\n"))
	return &script{source: source, digest: goredis.NewScript(source).Hash()}
}

// call is one run of a script.
type call struct {
	keys []string
	args []any
}

// answer is what came of a call.
type answer struct {
	value any // int64, string or []any
	err   error
}

// number is the answer of a script that gives one.
func (a answer) number() (int64, error) {
	n, ok := a.value.(int64)
	if a.err == nil && !ok {
		return 0, errors.New("unexpected kind of reply")
	}
	return n, a.err
}

// list is the answer of a script that gives one.
func (a answer) list() ([]any, error) {
	l, ok := a.value.([]any)
	if a.err == nil && !ok {
		return nil, errors.New("unexpected kind of reply")
	}
	return l, a.err
}

// onceCmd is a command that is sent once, like [publishCmd].
type onceCmd struct{ *goredis.Cmd }

// NoRetry implements [goredis.Cmder].
func (onceCmd) NoRetry() bool { return true }

// run runs a script once per call, in one pipelined round or one per master of
// a Cluster. A script that Redis does not remember has not run: it is sent in
// full then. No call runs twice.
func (c *Client) run(ctx context.Context, s *script, calls ...call) []answer {
	answers := c.evaluate(ctx, "evalsha", s.digest, calls)
	var unknown []int
	var again []call
	for i := range answers {
		if goredis.HasErrorPrefix(answers[i].err, "NOSCRIPT") {
			unknown = append(unknown, i)
			again = append(again, calls[i])
		}
	}
	if len(again) > 0 {
		for i, a := range c.evaluate(ctx, "eval", s.source, again) {
			answers[unknown[i]] = a
		}
	}
	return answers
}

func (c *Client) evaluate(ctx context.Context, command, body string, calls []call) []answer {
	pipe := c.rdb.Pipeline()
	cmds := make([]*goredis.Cmd, len(calls))
	for i, one := range calls {
		args := make([]any, 0, 3+len(one.keys)+len(one.args))
		args = append(args, command, body, len(one.keys))
		for _, k := range one.keys {
			args = append(args, k)
		}
		cmds[i] = goredis.NewCmd(ctx, append(args, one.args...)...)
		cmds[i].SetFirstKeyPos(3)
		_ = pipe.Process(ctx, onceCmd{cmds[i]})
	}
	_, err := pipe.Exec(ctx)
	answers := make([]answer, len(cmds))
	for i, cmd := range cmds {
		a := answer{value: cmd.Val(), err: cmd.Err()}
		if a.err == nil && a.value == nil { // the library can fail a batch without saying so on each command
			if a.err = err; err == nil {
				a.err = errors.New("no reply")
			}
		}
		answers[i] = a
	}
	return answers
}
