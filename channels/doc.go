// Package channels is the realtime core: who is here, and who hears what.
//
// The life of one event: a door validates it and calls [Hub.Publish]; the
// [Broker] accepts it and gives it to every node that has subscribers, this one
// included, by the same road; [Hub] encodes its frame once and hands it to the
// fan-out plane (channels/fanout), which writes it to the sockets. Nothing
// returns upward but an error to its own caller.
//
// Tenancy is a type here: a channel is always a [Topic], app and name together,
// so that a bare channel name cannot reach the hub or the broker.
//
// The package knows neither WebSockets, HTTP nor Redis. Those come in through
// channels/ws, channels/api and channels/redis.
package channels
