package channelstest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
)

// TestPresence holds an engine to the contract of [channels.Presence]. open
// gives the engines of one node or of several that are joined; it is called
// once per subtest, from parallel ones, and cleans up through t.
func TestPresence(t *testing.T, open func(t *testing.T) []Engines) {
	for _, c := range []struct {
		name string
		test func(*testing.T, []*attendant)
	}{
		{"counts and their events", testCounts},
		{"members and their events", testMembers},
		{"saying it again changes nothing", testSayAgain},
		{"the limit is exact", testExactLimit},
		{"roster and changes, against a model", testRosterModel},
		{"roster and changes, under churn", testRosterChurn},
		{"counts under churn", testCountChurn},
		{"occupied channels", testOccupiedTopics},
		{"names that look like something else", testSpecialNames},
		{"apps are strangers", testPresenceApps},
		{"contexts that have ended", testPresenceCancelled},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var nodes []*attendant
			for _, e := range open(t) {
				nodes = append(nodes, startAttendant(t, e))
			}
			require.NotEmpty(t, nodes)
			c.test(t, nodes)
		})
	}
}

// attendant is one running node with both engines.
type attendant struct {
	*node
	channels.Presence
}

func startAttendant(t *testing.T, e Engines) *attendant {
	t.Helper()
	a := &attendant{Presence: e.Presence}
	if e.Run != nil {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- e.Run(ctx) }()
		t.Cleanup(func() {
			cancel()
			require.NoError(t, <-done)
		})
	}
	a.node = start(t, e.Broker)
	return a
}

func brokers(nodes []*attendant) []*node {
	list := make([]*node, 0, len(nodes))
	for _, n := range nodes {
		list = append(list, n.node)
	}
	return list
}

// room is what is true of one topic, by the contract, and the events that follow.
type room struct {
	topic  channels.Topic
	counts map[int]int             // node → subscriptions
	on     map[string]map[int]bool // user → nodes
	info   map[string]string
	seq    uint64
	events []channels.Event
}

// newRoom begins with a topic nobody is on.
func newRoom(t require.TestingT, n *attendant, tp channels.Topic) *room {
	now, err := n.Roster(context.Background(), tp)
	require.NoError(t, err)
	require.Empty(t, now.Members)
	return &room{topic: tp, seq: now.Seq, counts: map[int]int{}, on: map[string]map[int]bool{}, info: map[string]string{}}
}

func (r *room) total() int {
	sum := 0
	for _, n := range r.counts {
		sum += n
	}
	return sum
}

func (r *room) setCount(node, n int, announce bool) (total int) {
	was := r.total()
	r.counts[node] = n
	now := r.total()
	if was != now && (announce || was == 0 || now == 0) {
		r.events = append(r.events, channels.Event{Kind: channels.CountChanged, Topic: r.topic, Count: now})
	}
	return now
}

func (r *room) enter(node int, user, info string, limit int) error {
	kind := channels.MemberAdded
	switch {
	case r.on[user] == nil && len(r.on) >= limit:
		return channels.ErrFull
	case r.on[user] == nil:
		r.on[user] = map[int]bool{}
	case r.info[user] == info:
		r.on[user][node] = true
		return nil
	default:
		kind = channels.MemberUpdated
	}
	r.on[user][node] = true
	r.info[user] = info
	r.changed(kind, user, info)
	return nil
}

func (r *room) leave(node int, user string) {
	if !r.on[user][node] {
		return
	}
	delete(r.on[user], node)
	if len(r.on[user]) == 0 {
		delete(r.on, user)
		delete(r.info, user)
		r.changed(channels.MemberRemoved, user, "")
	}
}

func (r *room) changed(kind channels.EventKind, user, info string) {
	r.seq++
	r.events = append(r.events, channels.Event{Kind: kind, Topic: r.topic, UserID: user, Data: raw(info), Seq: r.seq})
}

// raw is info as the contract has it: nil if there is none.
func raw(info string) []byte {
	if info == "" {
		return nil
	}
	return []byte(info)
}

// copyOf is the members as "user info", sorted.
func copyOf(members []channels.Member) []string {
	list := make([]string, 0, len(members))
	for _, m := range members {
		list = append(list, m.UserID+" "+string(m.Info))
	}
	slices.Sort(list)
	return list
}

func (r *room) members() []string {
	list := make([]string, 0, len(r.info))
	for _, user := range slices.Sorted(maps.Keys(r.on)) {
		list = append(list, user+" "+r.info[user])
	}
	slices.Sort(list)
	return list
}

// sayAll carries out steps on the nodes, taken round, and on the model, and
// compares all answers. A step is "node verb arguments".
func (r *room) sayAll(t *testing.T, nodes []*attendant, limit int, steps ...string) {
	t.Helper()
	for _, step := range steps {
		f := append(strings.SplitN(step, " ", 4), "", "")
		i := int(f[0][0]-'0') % len(nodes)
		n := nodes[i]
		switch f[1] {
		case "count", "announce":
			var count int
			_, err := fmt.Sscan(f[2], &count)
			require.NoError(t, err)
			got, err := n.SetCount(t.Context(), r.topic, count, f[1] == "announce")
			require.NoError(t, err, step)
			require.Equal(t, r.setCount(i, count, f[1] == "announce"), got, step)
		case "enter":
			seq, err := n.Enter(t.Context(), r.topic, channels.Member{UserID: f[2], Info: raw(f[3])}, limit)
			require.Equal(t, r.enter(i, f[2], f[3], limit), err, step)
			if err == nil {
				require.Equal(t, r.seq, seq, step)
			}
		case "leave":
			require.NoError(t, n.Leave(t.Context(), r.topic, f[2]), step)
			r.leave(i, f[2])
		default:
			require.Fail(t, "no such step", step)
		}
		r.check(t, nodes[(i+1)%len(nodes)])
	}
	for i, n := range nodes {
		require.True(t, n.wait(r.topic, len(r.events)), "node %d lacks events", i)
	}
	fence(t, brokers(nodes), r.topic)
	for i, n := range nodes {
		require.Equal(t, r.events, n.events(r.topic), "node %d", i)
	}
}

// check compares what a node reads with the model.
func (r *room) check(t require.TestingT, n *attendant) {
	now, err := n.Roster(context.Background(), r.topic)
	require.NoError(t, err)
	require.Equal(t, r.members(), copyOf(now.Members))
	require.Equal(t, r.seq, now.Seq)
	counts, err := n.Occupancy(context.Background(), []channels.Topic{r.topic})
	require.NoError(t, err)
	require.Equal(t, []channels.Occupancy{{Channel: r.topic.Channel, Subscriptions: r.total(), Users: len(r.on)}}, counts)
}
