//go:build linux

// Package load is the bench's load generator: thousands of WebSocket clients on
// one epoll goroutine, and publishers that sign HTTP requests.
//
// It is made to be cheap, because it shares the machine with the server it
// measures: the clients parse frame headers, not JSON, and find an event by a
// stamp in its payload, which also carries the sequence number and the time of
// the publish. It counts only what arrived. It is not a WebSocket library: it
// speaks to loopback servers and gives up on anything it did not expect.
package load
