package channels

import (
	"tidewire/channels/fanout"
	"tidewire/channels/wire"
)

// room starts a buffer for a frame of about n bytes.
func room(n int) []byte { return make([]byte, fanout.HeaderRoom, fanout.HeaderRoom+n) }

var pongFrame = fanout.NewText(wire.AppendPong(room(64)))

func establishedFrame(id SocketID, activityTimeoutSeconds int) *fanout.Frame {
	return fanout.NewText(wire.AppendEstablished(room(160), string(id), activityTimeoutSeconds))
}

func errorFrame(code int, message string) *fanout.Frame {
	return fanout.NewText(wire.AppendError(room(64+len(message)), code, message))
}

func succeeded(channel string) []byte {
	return wire.AppendSubscriptionSucceeded(room(96+len(channel)), channel)
}

// placedFrame is eventFrame for clients that are told serials.
func placedFrame(ev *Event) *fanout.Frame {
	n := 112 + len(ev.Topic.Channel) + len(ev.Name) + len(ev.Data) + len(ev.UserID)
	return fanout.NewText(wire.AppendPlacedEvent(room(n), ev.Name, ev.Topic.Channel, ev.Data, ev.UserID, ev.Position.String()))
}

func eventFrame(ev *Event) *fanout.Frame {
	n := 48 + len(ev.Topic.Channel) + len(ev.Name) + len(ev.Data) + len(ev.UserID)
	return fanout.NewText(wire.AppendEvent(room(n), ev.Name, ev.Topic.Channel, ev.Data, ev.UserID))
}

// closing is what a refused or closed connection is sent last: the error as a
// frame, for clients that look only at those, then the close frame.
func closing(code int, message string) []*fanout.Frame {
	return []*fanout.Frame{errorFrame(code, message), fanout.NewClose(code, message)}
}
