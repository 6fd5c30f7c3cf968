package webhooks

import (
	"slices"

	"tidewire/channels"
)

// Kind is what an event tells. The values are the names of the events.
type Kind = channels.ChangeKind

// QuotaWarning tells that a day's messages are nearly or wholly used up.
const QuotaWarning Kind = "quota_warning"

// Kinds lists every kind there is.
func Kinds() []Kind {
	return []Kind{
		channels.ChannelOccupied, channels.ChannelVacated, channels.MemberCame, channels.MemberWent,
		channels.ClientEventSent, channels.CacheMissed, channels.SubscriptionsChange,
		channels.UserOnline, channels.UserOffline, QuotaWarning,
	}
}

// kindSet is a set of kinds, by their places in Kinds.
type kindSet uint16

var kindBits = func() map[Kind]kindSet {
	bits := make(map[Kind]kindSet)
	for i, k := range Kinds() {
		bits[k] = 1 << i
	}
	return bits
}()

func setOf(kinds []Kind) (s kindSet) {
	for _, k := range kinds {
		s |= kindBits[k]
	}
	return s
}

func (s kindSet) has(k Kind) bool { return s&kindBits[k] != 0 }

// pair are two kinds of which one takes back what the other told.
type pair struct{ came, went Kind }

var pairs = []pair{
	{channels.ChannelOccupied, channels.ChannelVacated},
	{channels.MemberCame, channels.MemberWent},
	{channels.UserOnline, channels.UserOffline},
}

// pairOf returns the pair a kind belongs to, and whether it is the coming one.
func pairOf(k Kind) (p pair, came, ok bool) {
	i := slices.IndexFunc(pairs, func(p pair) bool { return p.came == k || p.went == k })
	if i < 0 {
		return pair{}, false, false
	}
	return pairs[i], pairs[i].came == k, true
}
