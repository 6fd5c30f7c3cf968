// Package ws is the door for WebSocket clients.
//
// melody does the handshake, the reading, the keep-alive and the close; what is
// sent to clients never passes through it: every outgoing byte after the
// handshake, control frames included, goes through the fan-out plane, which
// alone writes to the socket. The package does not know channels or events;
// [channels.Conn] does.
//
// DESIGN.md says why it is built like this and what must stay true.
package ws
