// Package sse is the door for simple clients that only listen: a browser's
// EventSource, curl, a script. One GET subscribes to channels and receives their
// events as server-sent events; nothing can be sent.
//
// Behind it stands a [channels.Conn] like any other, with its limits and
// figures. What a client is sent are the frames a WebSocket client would get.
package sse
