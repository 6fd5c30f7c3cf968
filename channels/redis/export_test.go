package redis

import (
	"context"

	"tidewire/channels"
)

// For the tests, which live outside of the package.
var (
	AppendEnvelope = appendEnvelope
	DecodeEnvelope = decodeEnvelope
	ShardChannel   = shardChannel
	LastKey        = lastKey
	TopicName      = topicName
	TopicNamed     = topicNamed
	ErrVersion     = errVersion
	ErrKind        = errKind
	ErrMalformed   = errMalformed
)

// NeededRights is what an ACL user is told to have.
const NeededRights = neededRights

// MaxEnvelope is the largest envelope that is sent or accepted.
const MaxEnvelope = maxEnvelope

// ParsedURL is what a URL was understood as.
type ParsedURL struct {
	Mode, User, Password, Master string
	Addrs                        []string
	DB                           int
	TLS                          bool
}

// ParseURL is parseURL for tests.
func ParseURL(raw string) (ParsedURL, error) {
	t, err := parseURL(raw)
	mode := [...]string{"single", "sentinel", "cluster"}[t.mode]
	return ParsedURL{mode, t.user, t.password, t.master, t.addrs, t.db, t.tls}, err
}

// HoldHistories makes the ceiling of histories another one.
func (c *Client) HoldHistories(bytes int) { c.historyBytes = bytes }

// WeightsKey is where it is noted what the histories of the topic's app weigh.
func WeightsKey(t channels.Topic) string {
	keys, err := historyKeys(t)
	if err != nil {
		panic(err)
	}
	return keys[2]
}

// CheckInfo judges a server by the text of its INFO, as Open does.
func (c *Client) CheckInfo(text string) error { return c.checkInfo(parseInfo(text)) }

// Node is the name under which this node holds things.
func (p *Presence) Node() string { return p.node }

// EnterUnder is Enter as a script that arrives late would have it: under a
// generation that may be over. It reports whether the script was refused.
func (p *Presence) EnterUnder(ctx context.Context, generation uint64, t channels.Topic, user string) (refused bool, err error) {
	keys, err := stateKeys(t, p.node)
	if err != nil {
		return false, err
	}
	n, err := p.c.run(ctx, enterScript, call{keys: keys, args: []any{p.node, generation, topicName(t), user, "", 100}})[0].number()
	return n == fenced, err
}

// Reap takes a node off a topic, as if its lease had run out a moment ago. It
// reports whether the script was refused.
func (p *Presence) Reap(ctx context.Context, t channels.Topic, node string) (refused bool, err error) {
	keys, err := stateKeys(t, node)
	if err != nil {
		return false, err
	}
	n, err := p.c.run(ctx, reapScript, call{keys: keys, args: []any{node, "", topicName(t)}})[0].number()
	return n == fenced, err
}

// Generation is that of the lease on a topic's partition; 0 if there is none.
func (p *Presence) Generation(t channels.Topic) uint64 { return p.part(t).current() }

// Remembered is how many topics this node knows that it has said something of.
func (p *Presence) Remembered() int {
	n := 0
	for i := range p.parts {
		n += len(p.parts[i].all())
	}
	return n
}

// StateKeys names what there is in Redis of a topic and this node.
func (p *Presence) StateKeys(t channels.Topic) (nodes, counts, members, held, seq string) {
	keys, err := stateKeys(t, p.node)
	if err != nil {
		panic(err)
	}
	return keys[0], keys[1], keys[2], keys[5], keys[6]
}
