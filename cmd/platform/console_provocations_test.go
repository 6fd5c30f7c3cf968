package main

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"tidewire/channels/console"
)

// provocations bring about each code, from outside.
var provocations = map[console.Code]func(*try){
	console.ConnectionOpened: func(c *try) { c.connect() },
	console.ConnectionClosed: func(c *try) { k, _ := c.connect(); _ = k.conn.Close() },
	console.TLSRequired: func(c *try) {
		c.own(fields{"settings": fields{"force_tls": true}})
		c.open("protocol=7")
	},
	console.AppDeleted: func(c *try) {
		c.own(fields{})
		c.connect()
		call[any](c.as(c.ada), 204, http.MethodDelete, c.path(), nil)
	},
	console.KeyRevoked: func(c *try) {
		c.own(fields{})
		call[any](c.as(c.ada), 201, http.MethodPost, c.path()+"/keys", nil)
		c.connect()
		call[any](c.as(c.ada), 200, http.MethodPost, c.path()+"/keys/"+c.app.Key+"/revoke", nil)
	},
	console.AppDisabled: func(c *try) {
		c.own(fields{})
		c.connect()
		call[any](c.as(c.ada), 200, http.MethodPost, c.path()+"/disable", nil)
	},
	console.APIAppDisabled: func(c *try) {
		c.own(fields{})
		call[any](c.as(c.ada), 200, http.MethodPost, c.path()+"/disable", nil)
		c.until(console.APIAppDisabled, func() { c.publish("news", "x") })
	},
	console.TenantSuspended: func(c *try) {
		_, name := c.another("gone", nil)
		c.connect()
		require.Zero(c.t, platform(c.t, c.environ, "tenants", "suspend", name, "--reason", "unpaid").code)
	},
	console.APISuspended: func(c *try) {
		_, name := c.another("unpaid", nil)
		require.Zero(c.t, platform(c.t, c.environ, "tenants", "suspend", name, "--reason", "unpaid").code)
		c.until(console.APISuspended, func() { c.publish("news", "x") })
	},
	console.ConnectionLimit: func(c *try) {
		c.own(fields{"limits": fields{"max_connections": 1}})
		c.connect()
		c.open("protocol=7")
	},
	console.TenantConnectionLimit: func(c *try) {
		p, name := c.another("small", fields{"max_connections": 2})
		first := c.app
		c.app = call[apiApp](p, 201, http.MethodPost, "/tenants/"+name+"/apps", fields{"name": "Other"})
		c.connect()
		c.app = first
		c.connect()
		c.until(console.TenantConnectionLimit, func() { c.open("protocol=7") })
	},
	console.ProtocolInvalid:     withQuery("protocol=x"),
	console.ProtocolUnsupported: withQuery("protocol=3"),
	console.ProtocolMissing:     withQuery(""),
	console.OriginRefused: func(c *try) {
		c.own(fields{"settings": fields{"allowed_origins": []string{"good.example.com"}}})
		c.open("protocol=7", "Origin", "https://evil.example.com")
	},
	console.AuthorizationTimeout: func(c *try) {
		c.own(fields{"settings": fields{"require_authorization": true, "authorization_timeout_seconds": 1}})
		c.connect()
	},
	console.UserTerminated: func(c *try) {
		k, socket := c.connect()
		c.signIn(k, socket, `{"id":"tom"}`)
		c.until(console.UserTerminated, func() {
			call[any](c.as(c.ada), 204, http.MethodPost, c.path()+"/connections/terminate", fields{"user_id": "tom"})
		})
	},
	console.TokenEnded: func(c *try) {
		c.connect("token=" + c.token(jwt.MapClaims{"exp": time.Now().Add(time.Second).Unix()}))
	},
	console.ChannelTokenEnded: func(c *try) {
		k, _ := c.connect()
		k.say("pusher:subscribe", fields{"channel": "private-t", "auth": c.token(jwt.MapClaims{
			"channel": "private-t", "exp": time.Now().Add(time.Second).Unix(),
		})})
	},
	console.SlowConsumer: slowly,
	console.Flood:        flooding,
	console.DependencyAway: func(c *try) {
		c.own(fields{"settings": fields{"jwt": fields{"issuers": []fields{
			{"issuer": "us", "audience": "app", "algorithms": []string{"RS256"}, "jwks_url": "https://keys.invalid/jwks"},
		}}}})
		c.open("protocol=7&token=" + c.token(nil, func(t *jwt.Token) { t.Method, t.Header["alg"] = asRS256{}, "RS256" }))
	},
	console.BinaryFrame: func(c *try) {
		k, _ := c.connect()
		require.NoError(c.t, k.conn.WriteMessage(websocket.BinaryMessage, []byte("x")))
	},
	console.NotUTF8: func(c *try) {
		k, _ := c.connect()
		require.NoError(c.t, k.conn.WriteMessage(websocket.TextMessage, []byte{0xff}))
	},

	console.SignedIn:       func(c *try) { k, socket := c.connect(); c.signIn(k, socket, `{"id":"u1"}`) },
	console.TokenAccepted:  withToken(nil),
	console.AuthMalformed:  saying("pusher:subscribe", fields{"channel": "private-a", "auth": "x"}),
	console.AuthKeyUnknown: saying("pusher:subscribe", fields{"channel": "private-a", "auth": "other:" + strings.Repeat("0", 64)}),
	console.AuthSignature: func(c *try) {
		saying("pusher:subscribe", fields{"channel": "private-a", "auth": c.app.Key + ":" + strings.Repeat("0", 64)})(c)
	},
	console.SignedInAsAnother: func(c *try) {
		k, socket := c.connect()
		c.signIn(k, socket, `{"id":"u1"}`)
		c.signIn(k, socket, `{"id":"u2"}`)
	},
	console.UserDataInvalid: func(c *try) { k, socket := c.connect(); c.signIn(k, socket, `{"name":"x"}`) },
	console.WatchlistLimit: func(c *try) {
		k, socket := c.connect()
		c.signIn(k, socket, `{"id":"u1","watchlist":["`+strings.Repeat(`u","`, 101)+`u"]}`)
	},
	console.TokenTwice:           withQuery("protocol=7&token=a&token=b"),
	console.OfToken("disabled"):  func(c *try) { c.own(fields{}); withToken(nil)(c) },
	console.OfToken("malformed"): withQuery("protocol=7&token=a.b.c"),
	console.OfToken("header"):    withToken(nil, func(t *jwt.Token) { t.Header["jku"] = "https://x" }),
	console.OfToken("claims"):    withToken(jwt.MapClaims{"exp": nil}),
	console.OfToken("issuer"):    withToken(jwt.MapClaims{"iss": "them"}),
	console.OfToken("algorithm"): withToken(nil, func(t *jwt.Token) { t.Method, t.Header["alg"] = jwt.SigningMethodHS512, "HS512" }),
	console.OfToken("signature"): func(c *try) { c.open("protocol=7&token=" + c.token(nil) + "A") },
	console.OfToken("expired"):   withToken(jwt.MapClaims{"iat": 1_700_000_000, "exp": 1_700_000_100}),
	console.OfToken("not_yet"):   withToken(jwt.MapClaims{"nbf": time.Now().Add(time.Hour).Unix()}),
	console.OfToken("lifetime"):  withToken(jwt.MapClaims{"exp": time.Now().Add(72 * time.Hour).Unix()}),
	console.OfToken("audience"):  withToken(jwt.MapClaims{"aud": "other"}),
	console.TokenNotForThis:      withToken(jwt.MapClaims{"channel": "private-a"}),
	console.OfToken("revoked"): func(c *try) {
		call[any](c.as(c.ada), 201, http.MethodPost, c.path()+"/revocations", fields{"kind": "jti", "value": "taken-back"})
		c.until(console.OfToken("revoked"), func() { withToken(jwt.MapClaims{"jti": "taken-back"})(c) })
	},
	console.TokenCapability: func(c *try) {
		k, _ := c.connect("token=" + c.token(jwt.MapClaims{"channels": fields{"private-a": []string{"subscribe"}}}))
		k.say("pusher:subscribe", fields{"channel": "private-b"})
	},
	console.TokenUserMismatch: func(c *try) {
		k, _ := c.connect("token=" + c.token(jwt.MapClaims{"channels": fields{"presence-*": []string{"subscribe", "presence"}}}))
		k.say("pusher:subscribe", fields{"channel": "presence-t", "channel_data": `{"user_id":"u2"}`})
	},

	console.Subscribed: joining("news", ""),
	console.Unsubscribed: func(c *try) {
		k, socket := c.connect()
		c.subscribe(k, socket, "news", "")
		k.say("pusher:unsubscribe", fields{"channel": "news"})
	},
	console.ChannelNameInvalid: saying("pusher:subscribe", fields{"channel": "a b"}),
	console.AlreadySubscribed: func(c *try) {
		k, socket := c.connect()
		c.subscribe(k, socket, "news", "")
		c.subscribe(k, socket, "news", "")
	},
	console.ChannelLimit: func(c *try) {
		k, socket := c.connect()
		for _, name := range []string{"a", "b", "c", "d", "e"} {
			c.subscribe(k, socket, name, "")
		}
	},
	console.AuthMissing:        saying("pusher:subscribe", fields{"channel": "private-a"}),
	console.NotThatUser:        saying("pusher:subscribe", fields{"channel": "#server-to-user-u9"}),
	console.ChannelDataMissing: joining("presence-a", ""),
	console.ChannelDataInvalid: joining("presence-a", `{"user_info":{}}`),
	console.UserInfoTooLarge:   joining("presence-a", `{"user_id":"1","user_info":{"name":"`+strings.Repeat("x", 40)+`"}}`),
	console.PresenceFull: func(c *try) {
		joining("presence-full", `{"user_id":"1"}`)(c)
		joining("presence-full", `{"user_id":"2"}`)(c)
	},
	console.SerialsNeeded: saying("pusher:subscribe", fields{"channel": "log-a", "resume": "e:1"}),
	console.ResumeInvalid: func(c *try) {
		k, _ := c.connect("tidewire=1")
		k.say("pusher:subscribe", fields{"channel": "log-a", "resume": "nonsense"})
	},

	console.ClientEventSent: onChannel("private-a", "client-hi", fields{"x": 1}),
	console.ClientEventsOff: func(c *try) {
		c.own(fields{})
		onChannel("private-a", "client-hi", fields{"x": 1})(c)
	},
	console.ClientEventInvalid:  saying("client-hi", fields{"x": 1}),
	console.EventNameInvalid:    onChannel("private-a", "client-"+strings.Repeat("x", 300), fields{"x": 1}),
	console.NotSubscribed:       saying("client-hi", fields{"x": 1}, "private-a"),
	console.ChannelNotPrivate:   onChannel("news", "client-hi", fields{"x": 1}),
	console.ClientEventTooLarge: onChannel("private-a", "client-hi", strings.Repeat("x", 100)),
	console.ClientEventRate: func(c *try) {
		k, socket := c.connect()
		c.subscribe(k, socket, "private-a", "")
		for range 10 {
			k.say("client-hi", fields{"x": 1}, "private-a")
		}
	},
	console.ClientMessagesUsed: func(c *try) {
		c.usedUp()
		onChannel("private-a", "client-hi", fields{"x": 1})(c)
	},
	console.ClientDeliveryLimit: func(c *try) {
		k := delivering(c, "busy")
		k.say("client-hi", fields{"x": 1}, "private-news")
		c.until(console.ClientDeliveryLimit, func() {
			c.publish("private-news", "x")
			k.say("client-hi", fields{"x": 1}, "private-news")
		})
	},

	console.HistoryOff: func(c *try) {
		k, socket := c.connect("tidewire=1")
		c.subscribe(k, socket, "news", "")
		k.say("tidewire:history", fields{"channel": "news", "id": "1"})
	},
	console.HistoryEpoch: func(c *try) {
		k, socket := c.connect("tidewire=1")
		c.subscribe(k, socket, "log-a", "")
		k.say("tidewire:history", fields{"channel": "log-a", "id": "1", "before": "other:1"})
	},
	console.HistoryRate: func(c *try) {
		k, socket := c.connect("tidewire=1")
		c.subscribe(k, socket, "log-a", "")
		for range 30 {
			k.say("tidewire:history", fields{"channel": "log-a", "id": "1"})
		}
	},
	console.MessageMalformed: func(c *try) {
		k, _ := c.connect()
		require.NoError(c.t, k.conn.WriteMessage(websocket.TextMessage, []byte("{")))
	},
	console.UnknownEvent: saying("hello", fields{}),

	console.Published:     func(c *try) { c.publish("news", "x") },
	console.EventTooLarge: func(c *try) { c.publish("news", strings.Repeat("x", 100)) },
	console.PublishNames:  func(c *try) { c.publish("a b", "x") },
	console.PublishRate: func(c *try) {
		c.own(fields{"limits": fields{"max_publishes_per_second": 1}})
		c.until(console.PublishRate, func() { c.publish("news", "x") })
	},
	console.MessagesUsedUp: (*try).usedUp,
	console.DeliveryLimit:  func(c *try) { delivering(c, "loud") },

	console.RequestInvalid: func(c *try) { c.request(http.MethodPost, c.path()+"/events", `{}`) },
	console.ReadRate: func(c *try) {
		c.own(fields{"limits": fields{"max_reads_per_second": 1}})
		c.until(console.ReadRate, func() { c.request(http.MethodGet, c.path()+"/channels", "") })
	},
	console.AppMismatch:                func(c *try) { c.request(http.MethodGet, "/apps/1/channels", "") },
	console.OfSignature("malformed"):   spoiling(func(q url.Values) { q["auth_version"] = []string{"1.0", "1.0"} }),
	console.OfSignature("missing"):     spoiling(func(q url.Values) { q.Del("auth_signature") }),
	console.OfSignature("unknown_key"): spoiled("auth_key", "nobodys"),
	console.OfSignature("version"):     spoiled("auth_version", "2.0"),
	console.OfSignature("timestamp"):   spoiled("auth_timestamp", lateBy(time.Hour)),
	console.OfSignature("body_md5"):    spoiled("body_md5", strings.Repeat("0", 32)),
	console.SignatureWrong:             spoiled("auth_signature", strings.Repeat("0", 64)),

	console.WebhookDelivered: hook(http.StatusOK),
	console.WebhookFailed:    hook(http.StatusInternalServerError),
	console.WebhookDead:      hook(http.StatusInternalServerError),
	console.EndpointStopped:  hook(http.StatusGone),
	console.Watching:         func(*try) {},
}

// asRS256 signs as nobody would believe: it is enough where the key is not known.
type asRS256 struct{}

func (asRS256) Verify(string, []byte, any) error { return jwt.ErrSignatureInvalid }
func (asRS256) Sign(string, any) ([]byte, error) { return []byte(strings.Repeat("x", 256)), nil }
func (asRS256) Alg() string                      { return "RS256" }
