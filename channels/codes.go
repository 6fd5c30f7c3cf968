package channels

import (
	"errors"
	"fmt"

	"tidewire/channels/console"
	"tidewire/tenants"
)

// The close codes of the protocol (Pusher Channels protocol, "Connection
// closure"). The range says what a client does next: 4000–4099 gives up,
// 4100–4199 comes back after a pause, 4200–4299 comes back at once. A code of
// 4300 and above must never close a connection: pusher-js would give up.
const (
	CodeTLSOnly            = 4000
	CodeAppUnknown         = 4001 // app or key unknown, deleted or revoked
	CodeAppDisabled        = 4003 // app disabled or tenant suspended
	CodeOverQuota          = 4004
	CodePathNotFound       = 4005
	CodeProtocolInvalid    = 4006
	CodeProtocolUnsupport  = 4007
	CodeProtocolMissing    = 4008
	CodeUnauthorized       = 4009 // origin refused, terminated, not authorized in time
	CodeOverCapacity       = 4100 // slow consumer, or the answer is not known because a dependency is away
	CodeReconnect          = 4200 // this node is going away
	CodePongMissing        = 4201
	CodeClientEventRate    = 4301 // only ever in an error frame
	CodeWatchlistLimit     = 4302 // only ever in an error frame
	codeNone               = 0    // an error frame with "code":null: the connection stays
	messageSlow            = "This client reads more slowly than it is sent to and was cut off. Reconnect; if it happens often, subscribe to fewer channels or send less."
	messageDraining        = "This server is restarting. Reconnect."
	messageDependencyAway  = "The server cannot check this app right now. Reconnect in a moment."
	messageGap             = "Events of a channel were missed on the way here. Reconnect and resume."
	messagePongMissing     = "Pong reply not received in time"
	messageTooManyChannels = "This connection has subscribed to %d channels, the most this app allows. Unsubscribe from some, or raise max_channels_per_connection."
)

// Refusal is a reason to close a connection, told to the client as a
// pusher:error frame and a close frame with the same code.
type Refusal struct {
	Code    int
	Message string
	// Reason is the code that live consoles show; empty = the usual one of Code.
	Reason console.Code
}

// Error implements error.
func (r *Refusal) Error() string { return fmt.Sprintf("%d %s", r.Code, r.Message) }

// Refuse makes a [Refusal] with a formatted message.
func Refuse(code int, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Message: fmt.Sprintf(format, args...)}
}

// For gives the refusal the code that live consoles show.
func (r *Refusal) For(reason console.Code) *Refusal {
	r.Reason = reason
	return r
}

func (r *Refusal) reason() console.Code {
	if r.Reason == "" {
		return console.ByClose(r.Code)
	}
	return r.Reason
}

// complaint is an error told to the client while its connection stays open.
type complaint struct {
	code    int
	message string
	reason  console.Code
	channel string // that it is about; empty for none
	event   string
}

func (c *complaint) Error() string { return c.message }

func complain(reason console.Code, format string, args ...any) *complaint {
	return &complaint{code: codeNone, message: fmt.Sprintf(format, args...), reason: reason}
}

// complainOf tells the client an error whose text is meant for it.
func complainOf(err error, otherwise console.Code) *complaint {
	return complain(reasonOf(err, otherwise), "%v", err)
}

// about notes which channel and event an error concerns.
func about(err error, channel, event string) error {
	if c, ok := errors.AsType[*complaint](err); ok {
		c.channel, c.event = channel, event
	}
	return err
}

// reasonOf is the code that live consoles show for an error of the packages below.
func reasonOf(err error, otherwise console.Code) console.Code {
	if refused, ok := errors.AsType[*tenants.SignatureError](err); ok {
		return console.OfAuth(string(refused.Reason))
	}
	if refused, ok := errors.AsType[*tenants.JWTError](err); ok {
		return console.OfToken(string(refused.Reason))
	}
	return otherwise
}

// Unknown is the refusal when the answer depends on something that is away. It
// is never a "does not exist": the client comes back.
func Unknown() *Refusal { return &Refusal{Code: CodeOverCapacity, Message: messageDependencyAway} }
