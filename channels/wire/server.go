package wire

import "strconv"

// Member is one user of a presence channel.
type Member struct {
	ID string
	// Info is the user_info object as it was signed; nil if there is none.
	Info []byte
}

// AppendEstablished appends the first frame of a connection. The client pings
// after activityTimeout seconds of silence, which must not be 0.
func AppendEstablished(dst []byte, socketID string, activityTimeout int) []byte {
	dst = append(dst, `{"event":"pusher:connection_established","data":"{\"socket_id\":`...)
	dst = appendInner(dst, socketID)
	dst = append(dst, `,\"activity_timeout\":`...)
	dst = strconv.AppendInt(dst, int64(activityTimeout), 10)
	return append(dst, `}"}`...)
}

// AppendPing appends the question whether the client is there, for clients
// whose WebSocket draft has no ping frames.
func AppendPing(dst []byte) []byte {
	return append(dst, `{"event":"pusher:ping","data":"{}"}`...)
}

// AppendPong appends the answer to a client's ping.
func AppendPong(dst []byte) []byte {
	return append(dst, `{"event":"pusher:pong","data":"{}"}`...)
}

// AppendError appends an error: the one frame whose data is an object. Code 0
// is null, which leaves the client connected and says no more than the message.
func AppendError(dst []byte, code int, message string) []byte {
	dst = append(dst, `{"event":"pusher:error","data":{"code":`...)
	if code == 0 {
		dst = append(dst, "null"...)
	} else {
		dst = strconv.AppendInt(dst, int64(code), 10)
	}
	dst = append(dst, `,"message":`...)
	dst = Quote(dst, message)
	return append(dst, `}}`...)
}

// AppendSubscriptionSucceeded appends the answer to a subscription of any but a
// presence channel.
func AppendSubscriptionSucceeded(dst []byte, channel string) []byte {
	dst = append(dst, `{"event":"pusher_internal:subscription_succeeded","data":"{}","channel":`...)
	dst = Quote(dst, channel)
	return append(dst, '}')
}

// AppendPresenceSucceeded appends the answer to a subscription of a presence
// channel. members are its distinct users, the subscriber among them.
func AppendPresenceSucceeded(dst []byte, channel string, members []Member) []byte {
	dst = append(dst, `{"event":"pusher_internal:subscription_succeeded","data":"{\"presence\":{\"count\":`...)
	dst = strconv.AppendInt(dst, int64(len(members)), 10)
	dst = append(dst, `,\"ids\":[`...)
	for i := range members {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendInner(dst, members[i].ID)
	}
	dst = append(dst, `],\"hash\":{`...)
	for i := range members {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendInner(dst, members[i].ID)
		dst = append(dst, ':')
		if members[i].Info == nil {
			dst = append(dst, "null"...)
		} else {
			dst = appendEscaped(dst, members[i].Info, once)
		}
	}
	dst = append(dst, `}}}","channel":`...)
	dst = Quote(dst, channel)
	return append(dst, '}')
}

// AppendMemberAdded appends that a user came to a presence channel.
func AppendMemberAdded(dst []byte, channel string, m Member) []byte {
	dst = append(dst, `{"event":"pusher_internal:member_added","channel":`...)
	dst = Quote(dst, channel)
	dst = append(dst, `,"data":"{\"user_id\":`...)
	dst = appendInner(dst, m.ID)
	if m.Info != nil {
		dst = append(dst, `,\"user_info\":`...)
		dst = appendEscaped(dst, m.Info, once)
	}
	return append(dst, `}"}`...)
}

// AppendMemberRemoved appends that a user's last connection left a presence channel.
func AppendMemberRemoved(dst []byte, channel, userID string) []byte {
	dst = append(dst, `{"event":"pusher_internal:member_removed","channel":`...)
	dst = Quote(dst, channel)
	dst = append(dst, `,"data":"{\"user_id\":`...)
	dst = appendInner(dst, userID)
	return append(dst, `}"}`...)
}

// AppendSubscriptionCount appends how many connections a channel has.
func AppendSubscriptionCount(dst []byte, channel string, count int) []byte {
	dst = append(dst, `{"event":"pusher_internal:subscription_count","channel":`...)
	dst = Quote(dst, channel)
	dst = append(dst, `,"data":"{\"subscription_count\":`...)
	dst = strconv.AppendInt(dst, int64(count), 10)
	return append(dst, `}"}`...)
}

// AppendEvent appends an event. data is its payload as a JSON string literal
// and goes out as it is: see [AppendData]. An empty userID is left out; it is
// the sender of a client event on a presence channel.
func AppendEvent(dst []byte, event, channel string, data []byte, userID string) []byte {
	dst = append(dst, `{"event":`...)
	dst = Quote(dst, event)
	dst = append(dst, `,"channel":`...)
	dst = Quote(dst, channel)
	dst = append(dst, `,"data":`...)
	dst = append(dst, data...)
	if userID != "" {
		dst = append(dst, `,"user_id":`...)
		dst = Quote(dst, userID)
	}
	return append(dst, '}')
}

// AppendCacheMiss appends that a cache channel has nothing to replay.
func AppendCacheMiss(dst []byte, channel string) []byte {
	dst = append(dst, `{"event":"pusher:cache_miss","channel":`...)
	dst = Quote(dst, channel)
	return append(dst, `,"data":"{}"}`...)
}

// AppendSigninSuccess appends the answer to a signin. userData is the text that
// was signed.
func AppendSigninSuccess(dst []byte, userData string) []byte {
	dst = append(dst, `{"event":"pusher:signin_success","data":"{\"user_data\":`...)
	dst = appendInner(dst, userData)
	return append(dst, `}"}`...)
}

// AppendWatchlistEvents appends which users of a watchlist are, or went, online
// and offline. An empty list is left out.
func AppendWatchlistEvents(dst []byte, online, offline []string) []byte {
	dst = append(dst, `{"event":"pusher_internal:watchlist_events","data":"{\"events\":[`...)
	dst = appendWatched(dst, `{\"name\":\"online\",\"user_ids\":[`, online)
	if len(online) > 0 && len(offline) > 0 {
		dst = append(dst, ',')
	}
	dst = appendWatched(dst, `{\"name\":\"offline\",\"user_ids\":[`, offline)
	return append(dst, `]}"}`...)
}

func appendWatched(dst []byte, head string, ids []string) []byte {
	if len(ids) == 0 {
		return dst
	}
	dst = append(dst, head...)
	for i, id := range ids {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendInner(dst, id)
	}
	return append(dst, `]}`...)
}

// appendInner appends s as a string literal of the JSON document that the data
// string holds.
func appendInner(dst []byte, s string) []byte {
	dst = append(dst, `\"`...)
	dst = appendEscaped(dst, s, twice)
	return append(dst, `\"`...)
}
