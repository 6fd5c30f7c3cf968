// Package api is the HTTP door for publishers: the signed requests under
// /apps/{id} that Pusher server libraries send.
//
// A request goes through one road: route, cap and read the body, prove the
// signature (package tenants), then read the JSON (package wire), hold it
// against the rules (package channels) and hand it to the [Publisher]. Nothing
// of a body is interpreted before its signature is proven. Success is JSON with
// status 200; every refusal is one line of plain text, as those libraries expect.
//
// It is not the admin API, sets no CORS headers, and counts no requests: those
// are the business of tenants/adminapi and of the server that mounts it.
package api
