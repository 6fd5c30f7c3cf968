// Package sockjs is the door for clients that cannot open a WebSocket: the two
// HTTP fallbacks that pusher-js speaks, xhr_streaming and xhr_polling, with the
// framing of SockJS.
//
// A client chooses a session id, receives by POST requests that wait, and sends
// by POST requests of its own. The door makes one [channels.Conn] of them; what
// is said over it, its limits and its figures are those of a WebSocket. A
// session lives on one node: see docs/fallbacks.md for several. The package
// serves neither JSONP nor iframes nor SockJS's own client library.
//
// DESIGN.md says why it is built like this.
package sockjs
