// Package api is the HTTP door for customers' servers: the signed requests under
// /apps/{id} that Pusher server libraries send, to publish and to ask who is on
// which channel.
//
// A request goes through one road: route, cap and read the body, prove the
// signature (package tenants), then read query and JSON (package wire), hold
// them against the rules (package channels) and ask the [Hub]. Nothing of a body
// is interpreted before its signature is proven. Success is JSON, in which a map
// is an object even when it is empty; every refusal is one line of plain text,
// as those libraries expect.
//
// It is not the admin API, sets no CORS headers, and counts no requests: those
// are the business of tenants/adminapi and of the server that mounts it.
package api
