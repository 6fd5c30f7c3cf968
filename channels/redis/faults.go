//go:build !faults

package redis

import "tidewire/channels"

// A build with the tag "faults" does one thing wrong on purpose, to prove that
// the tests of several nodes notice: faults_planted.go. No other build can.

// tampered returns the source of a script as it is to be run.
func tampered(source string) string { return source }

// loses reports whether an event is to get lost on its way to this node.
func (*session) loses(*channels.Event) bool { return false }
