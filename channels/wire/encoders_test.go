package wire_test

import "tidewire/channels/wire"

// encoders says, for each server vector, how the server makes it.
var encoders = map[string]func() []byte{
	"connection-established": func() []byte { return wire.AppendEstablished(nil, "3363.1846347", 120) },
	"ping":                   func() []byte { return wire.AppendPing(nil) },
	"pong":                   func() []byte { return wire.AppendPong(nil) },
	"error-code": func() []byte {
		return wire.AppendError(nil, 4001, "App key abc not in this cluster. Did you forget to specify the cluster?")
	},
	"error-null": func() []byte {
		return wire.AppendError(nil, 0, "Existing subscription to channel presence-channel")
	},
	"error-hostile-text": func() []byte {
		return wire.AppendError(nil, 0, "Invalid key in subscription auth data: '\"}}\\\u2028'")
	},
	"subscription-succeeded": func() []byte { return wire.AppendSubscriptionSucceeded(nil, "my-channel") },
	"subscription-succeeded-server-to-user": func() []byte {
		return wire.AppendSubscriptionSucceeded(nil, "#server-to-user-12345")
	},
	"presence-succeeded": func() []byte {
		return wire.AppendPresenceSucceeded(nil, "presence-demo", []wire.Member{{ID: "462127", Info: []byte(`{"first":"A","last":"B"}`)}})
	},
	"presence-succeeded-no-info": func() []byte {
		return wire.AppendPresenceSucceeded(nil, "presence-x", []wire.Member{{ID: "1"}, {ID: "2", Info: []byte(`{}`)}})
	},
	"presence-succeeded-hostile-id": func() []byte {
		return wire.AppendPresenceSucceeded(nil, "presence-x", []wire.Member{{ID: "a\"b\\\n\x01", Info: []byte(`{"n":"\""}`)}})
	},
	"member-added": func() []byte {
		return wire.AppendMemberAdded(nil, "presence-x", wire.Member{ID: "2", Info: []byte(`{"name":"B"}`)})
	},
	"member-added-no-info": func() []byte { return wire.AppendMemberAdded(nil, "presence-x", wire.Member{ID: "2"}) },
	"member-removed":       func() []byte { return wire.AppendMemberRemoved(nil, "presence-x", "2") },
	"subscription-count":   func() []byte { return wire.AppendSubscriptionCount(nil, "my-channel", 7) },
	"event": func() []byte {
		return wire.AppendEvent(nil, "my-event", "my-channel", []byte(`"{\"hello\":\"world\"}"`), "")
	},
	"event-text": func() []byte { return wire.AppendEvent(nil, "my-event", "my-channel", []byte(`"just text"`), "") },
	"event-posted-spelling": func() []byte {
		return wire.AppendEvent(nil, "my-event", "my-channel", []byte(`"\u0068i \/ \ud83d\ude00"`), "")
	},
	"event-encrypted": func() []byte {
		sealed := `{"nonce":"4sVYwy4j/8dCcjyxtPCWyk19GaaViaW9","ciphertext":"/GMESnFGlbNn01BuBjp31XYa3i9vZsGKR8fgR9EDhXKx3lzGiUD501A="}`
		return wire.AppendEvent(nil, "my-event", "private-encrypted-x", wire.Quote(nil, sealed), "")
	},
	"event-server-to-user": func() []byte {
		return wire.AppendEvent(nil, "notice", "#server-to-user-12345", wire.Quote(nil, `{"a":1}`), "")
	},
	"client-event": func() []byte {
		return wire.AppendEvent(nil, "client-typing", "private-x", wire.AppendData(nil, []byte(`{"a":1}`)), "")
	},
	"client-event-presence": func() []byte {
		return wire.AppendEvent(nil, "client-typing", "presence-x", wire.AppendData(nil, []byte(`"{\"a\":1}"`)), "1")
	},
	"cache-miss":     func() []byte { return wire.AppendCacheMiss(nil, "cache-x") },
	"signin-success": func() []byte { return wire.AppendSigninSuccess(nil, `{"id":"12345"}`) },
	"watchlist-events": func() []byte {
		return wire.AppendWatchlistEvents(nil, []string{"2"}, []string{"3"})
	},
	"watchlist-online": func() []byte { return wire.AppendWatchlistEvents(nil, []string{"2", "4"}, nil) },
	"watchlist-empty":  func() []byte { return wire.AppendWatchlistEvents(nil, nil, nil) },
}
