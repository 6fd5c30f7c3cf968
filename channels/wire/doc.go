// Package wire turns bytes into Pusher protocol frames and back: strict reading
// of JSON, decoding of what clients send, encoding of what the server sends.
//
// It knows bytes only. Connections, apps, channel rules, limits and signatures
// are the business of the packages above it, and it imports nothing but the
// standard library.
//
// Reading is stricter than encoding/json, because two readers that understand
// one text differently are a security hole: invalid UTF-8, lone surrogates,
// repeated keys, keys that differ by case only, and anything after the value
// are refused instead of repaired. Raw values handed out are slices of the
// input and live as long as it does.
//
// Encoders append to the slice they are given and do not allocate when it has
// room. Every string is escaped as often as it is nested, so no name, id or
// message can break out of its frame.
package wire
