// Package pusher holds the slice of the Pusher protocol that both sides of the
// bench need: the apps every contender serves, the signature of an HTTP request
// and the auth of a private channel.
//
// It is written apart from the product on purpose: a bench that signed with the
// code it measures would agree with its mistakes. It is not a client library.
package pusher
