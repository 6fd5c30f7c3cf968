// Package redis joins nodes over Redis 7: it is the door of package channels to
// it, and the only folder of channels that knows the client library.
//
// [Open] checks the server once and gives a [Client]. [Client.Broker] is the
// engine of channels.Broker, [Client.Presence] that of channels.Presence, and
// [Client.Run] keeps this node alive in the eyes of the others. Single servers,
// Sentinel and Cluster are one code path that differs in how many subscription
// connections there are.
//
// Every topic belongs to one of 64 partitions. The partition is the hash tag of
// its shard channel and of all its keys, so that one partition is one slot, and
// one script changes who is there and publishes what follows from it.
//
// Redis is not trusted, nor is it where the truth is: what comes in is decoded
// strictly and delivered only on topics this node asked for, and what a node
// has said it can say again. The reasons are in DESIGN.md.
package redis
