// Package adminapi is the HTTP door for people and programs that look after
// tenants: sign-up, sessions, teams, apps, keys, tokens, the audit log. It holds
// everything such doors share: one table of routes, authentication, problem+json
// errors, cursors, idempotency keys, ETags, rate limits, and the OpenAPI document
// made from that table.
//
// A request goes through one road, in [API.answer]: who is it, are they in time
// (rate limit), may they do this here (the route's action, asked of
// [tenants.Accounts]), is what they sent well formed, was it sent before
// (idempotency key), and only then the handler. What is not in the table cannot be
// reached, and what is in it cannot be reached without its check.
//
// It decides nothing about permissions itself, knows no SQL, and is not the API
// that customers' servers publish with: that is channels/api. Doors of higher
// floors add their routes by [Config.More].
package adminapi
