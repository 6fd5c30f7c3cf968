// Package redis joins nodes over Redis 7: it is the door of package channels to
// it, and the only folder of channels that knows the client library.
//
// [Open] checks the server once and gives a [Client]; [Client.Broker] is the
// engine of channels.Broker. Single servers, Sentinel and Cluster are one code
// path that differs in how many subscription connections there are.
//
// Every topic belongs to one of 64 partitions. The partition is the hash tag of
// its shard channel, so that one partition is one slot, and later one script
// can change state, append history and publish at once.
//
// Redis is a road here, not a store, and it is not trusted: what comes in is
// decoded strictly and delivered only on topics this node asked for. The
// reasons are in DESIGN.md.
package redis
