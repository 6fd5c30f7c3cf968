// Package webhooks tells the customer's server what happened: occupied and
// vacated channels, members, client events, cache misses.
//
// Its promise is at least once, signed, with a log and replay, and never
// silently dropped. It hears of changes from channels and never calls back up.
package webhooks
