//go:build faults

package redis

import (
	"os"
	"strings"
	"sync/atomic"

	"tidewire/channels"
)

// planted names the fault of this process.
var planted = os.Getenv("TEST_FAULT")

// edits are what faults change in scripts: a piece of the source, and what
// stands there instead.
var edits = map[string][]string{
	"no fencing": {
		"if alive(node) ~= generation then return FENCED end", "",
		"if alive(node) == generation then reply[1]", "if true then reply[1]",
	},
	"reaper off":            {"if alive(node) then return FENCED end", "if true then return FENCED end"},
	"double member_removed": {"changed(REMOVED, user, '')", "changed(REMOVED, user, '') changed(REMOVED, user, '')"},
}

func tampered(source string) string { return strings.NewReplacer(edits[planted]...).Replace(source) }

var (
	delivered atomic.Int64
	first     atomic.Pointer[session] // with something to deliver
)

// loses drops the third message, or all that comes after subscriptions were lost.
func (s *session) loses(ev *channels.Event) bool {
	switch planted {
	case "dropped delivery":
		return ev.Kind == channels.Message && delivered.Add(1) == 3
	case "deaf subscription":
		first.CompareAndSwap(nil, s)
		return first.Load() != s
	}
	return false
}
