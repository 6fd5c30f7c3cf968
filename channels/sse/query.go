package sse

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"tidewire/channels"
	"tidewire/channels/wire"
)

// maxChannels is how many channels one stream may name: a query is not a place
// for more. The app's own limit comes on top.
const maxChannels = 100

// subscription is one channel a client wants to hear, and its right to.
type subscription struct {
	channel string
	auth    string // empty for none
}

// subscriptions reads the query: channels=a,b, or channel=a for a name with a
// comma in it; auth is one channel token for all channels that need one, or as
// many as there are such channels, in the same order.
func subscriptions(q url.Values) ([]subscription, error) {
	var names []string
	for _, list := range q["channels"] {
		names = append(names, strings.FieldsFunc(list, func(r rune) bool { return r == ',' })...)
	}
	names = append(names, q["channel"]...)
	sorted := slices.Sorted(slices.Values(names))
	if len(slices.Compact(sorted)) != len(names) {
		return nil, errors.New("a channel is named twice")
	}
	return withAuth(names, q["auth"])
}

func withAuth(names, auth []string) ([]subscription, error) {
	switch {
	case len(names) == 0:
		return nil, errors.New("no channel is named: add ?channels=a,b")
	case len(names) > maxChannels:
		return nil, fmt.Errorf("%d channels are named, the most is %d", len(names), maxChannels)
	}
	subs := make([]subscription, 0, len(names))
	need := 0
	for _, name := range names {
		kind, err := channels.Classify(name)
		if err != nil {
			return nil, err
		}
		s := subscription{channel: name}
		if kind.NeedsAuth() {
			if len(auth) == 1 {
				s.auth = auth[0]
			} else if need < len(auth) {
				s.auth = auth[need]
			}
			need++
		}
		subs = append(subs, s)
	}
	if len(auth) > 1 && len(auth) != need {
		return nil, fmt.Errorf("there are %d auth parameters for %d channels that need one: give one for all, or one for each in the order of the channels", len(auth), need)
	}
	return subs, nil
}

// message is the pusher:subscribe that asks for it.
func (s subscription) message() []byte {
	b := append([]byte(nil), `{"event":"pusher:subscribe","data":{"channel":`...)
	b = wire.Quote(b, s.channel)
	if s.auth != "" {
		b = append(b, `,"auth":`...)
		b = wire.Quote(b, s.auth)
	}
	return append(b, "}}"...)
}
