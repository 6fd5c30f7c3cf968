// Package fanout is the outgoing half of a node: it writes shared frames to
// many sockets, without ever waiting for one of them.
//
// A [Plane] has a few shards. A shard is an actor: one goroutine that alone
// owns the queues, the group memberships and the writing of its lines. A
// [Line] is the outgoing side of one connection; a [Group] is a set of lines
// that hear the same frames. Publishing to a group costs one message per shard
// that has members, whatever their number; the frame is encoded once and shared.
//
// The package knows bytes and sockets. It does not know channels, tenants or
// the Pusher protocol. DESIGN.md has the reasons and the invariants.
package fanout
