package console

// The codes, in the order of the table.
const (
	ConnectionOpened      Code = "connection_opened"
	ConnectionClosed      Code = "connection_closed"
	TLSRequired           Code = "tls_required"
	AppUnknown            Code = "app_unknown"
	AppDeleted            Code = "app_deleted"
	KeyRevoked            Code = "key_revoked"
	AppDisabled           Code = "app_disabled"
	TenantSuspended       Code = "tenant_suspended"
	ConnectionLimit       Code = "connection_limit"
	TenantConnectionLimit Code = "tenant_connection_limit"
	PathNotFound          Code = "path_not_found"
	ProtocolInvalid       Code = "protocol_invalid"
	ProtocolUnsupported   Code = "protocol_unsupported"
	ProtocolMissing       Code = "protocol_missing"
	OriginRefused         Code = "origin_refused"
	AuthorizationTimeout  Code = "authorization_timeout"
	UserTerminated        Code = "user_terminated"
	TokenEnded            Code = "token_ended"
	ChannelTokenEnded     Code = "channel_token_ended"
	SlowConsumer          Code = "slow_consumer"
	Flood                 Code = "control_flood"
	DependencyAway        Code = "dependency_away"
	TooManyConnecting     Code = "too_many_connecting"
	SessionsFull          Code = "fallback_sessions_full"
	NodeDraining          Code = "node_draining"
	EventsMissed          Code = "events_missed"
	PongMissing           Code = "pong_missing"
	BinaryFrame           Code = "binary_frame"
	NotUTF8               Code = "not_utf8"

	SignedIn            Code = "signed_in"
	TokenAccepted       Code = "token_accepted"
	AuthMalformed       Code = "auth_malformed"
	AuthKeyUnknown      Code = "auth_unknown_key"
	AuthSignature       Code = "auth_signature"
	SignedInAsAnother   Code = "signed_in_as_another"
	UserDataInvalid     Code = "user_data_invalid"
	WatchlistLimit      Code = "watchlist_limit"
	TokenTwice          Code = "token_twice"
	TokenCapability     Code = "token_capability"
	TokenUserMismatch   Code = "token_user_mismatch"
	TokenNotForThis     Code = "token_not_for_this"
	Subscribed          Code = "subscribed"
	Unsubscribed        Code = "unsubscribed"
	ChannelNameInvalid  Code = "channel_name_invalid"
	AlreadySubscribed   Code = "already_subscribed"
	ChannelLimit        Code = "channel_limit"
	AuthMissing         Code = "auth_missing"
	NotThatUser         Code = "not_that_user"
	ChannelDataMissing  Code = "channel_data_missing"
	ChannelDataInvalid  Code = "channel_data_invalid"
	UserInfoTooLarge    Code = "user_info_too_large"
	PresenceFull        Code = "presence_full"
	SerialsNeeded       Code = "serials_needed"
	ResumeInvalid       Code = "resume_invalid"
	ClientEventSent     Code = "client_event"
	ClientEventsOff     Code = "client_events_off"
	ClientEventInvalid  Code = "client_event_invalid"
	EventNameInvalid    Code = "event_name_invalid"
	NotSubscribed       Code = "not_subscribed"
	ChannelNotPrivate   Code = "channel_not_private"
	ClientEventTooLarge Code = "client_event_too_large"
	ClientEventRate     Code = "client_event_rate"
	WebhooksBehind      Code = "webhooks_behind"
	ClientEventBusy     Code = "client_event_busy"
	ClientMessagesUsed  Code = "client_messages_used_up"
	ClientDeliveryLimit Code = "client_delivery_limit"
	HistoryOff          Code = "history_off"
	HistoryEpoch        Code = "history_epoch"
	HistoryRate         Code = "history_rate"
	MessageMalformed    Code = "message_malformed"
	UnknownEvent        Code = "unknown_event"
	NotPossibleNow      Code = "not_possible_now"

	Published        Code = "published"
	EventTooLarge    Code = "event_too_large"
	PublishNames     Code = "publish_names"
	PublishRate      Code = "publish_rate"
	MessagesUsedUp   Code = "messages_used_up"
	DeliveryLimit    Code = "delivery_limit"
	ServerBusy       Code = "server_busy"
	BrokerAway       Code = "broker_away"
	RequestInvalid   Code = "request_invalid"
	RequestTooLarge  Code = "request_too_large"
	RequestNotFound  Code = "request_not_found"
	RequestMethod    Code = "request_method"
	ReadRate         Code = "read_rate"
	AppMismatch      Code = "app_mismatch"
	APIAppDisabled   Code = "api_app_disabled"
	APISuspended     Code = "api_tenant_suspended"
	SignatureWrong   Code = "signature_wrong"
	LookUpAway       Code = "look_up_away"
	InternalError    Code = "internal_error"
	WebhookDelivered Code = "webhook_delivered"
	WebhookFailed    Code = "webhook_failed"
	WebhookDead      Code = "webhook_dead"
	EndpointStopped  Code = "endpoint_stopped"
	Watching         Code = "watching"
)

const (
	noApp     = "Not shown in a console: the app is not known at that point."
	unsigned  = "Not shown in a console: nothing proves yet whose request it is."
	comesBack = "Clients come back by themselves after a pause. "
)

var table = []Info{
	{Code: ConnectionOpened, Kind: Connection, What: "A client connected."},
	{Code: ConnectionClosed, Kind: Connection, What: "A connection has ended and what it held was given back."},
	{Code: TLSRequired, Kind: Connection, Wire: 4000, What: "The app accepts encrypted connections only.", Remedy: "Connect with wss:// (pusher-js: forceTLS: true), or turn off force_tls in the app's settings. Behind a proxy, name it in trusted_proxies."},
	{Code: AppUnknown, Kind: Connection, Wire: 4001, What: "No app has the key in the path.", Remedy: "Copy the key from the app's page, and see that the client connects to this server.", Unseen: noApp},
	{Code: AppDeleted, Kind: Connection, Wire: 4001, What: "The app was deleted.", Remedy: "Nothing can be done: connect to another app."},
	{Code: KeyRevoked, Kind: Connection, Wire: 4001, What: "The key of this connection was revoked.", Remedy: "Give the clients a key that is active; rotating a key leaves both working until you revoke the old one."},
	{Code: AppDisabled, Kind: Connection, Wire: 4003, What: "The app is disabled.", Remedy: "Enable it under Settings."},
	{Code: TenantSuspended, Kind: Connection, Wire: 4003, What: "The account that owns the app is suspended or closing.", Remedy: "The banner on the dashboard says why; ask the operator of this installation."},
	{Code: ConnectionLimit, Kind: Connection, Wire: 4004, What: "The app has as many connections as it allows.", Remedy: "Raise max_connections under Limits, or close connections that are not needed."},
	{Code: TenantConnectionLimit, Kind: Connection, Wire: 4004, What: "All apps of the account together have as many connections as the plan allows.", Remedy: "Close connections of any of the account's apps, or ask for a larger plan."},
	{Code: PathNotFound, Kind: Connection, Wire: 4005, What: "The path is not one for clients.", Remedy: "Connect to /app/{key}; client libraries make the path from the key.", Unseen: noApp},
	{Code: ProtocolInvalid, Kind: Connection, Wire: 4006, What: "The protocol version is not a number.", Remedy: "Connect with ?protocol=7, as client libraries do."},
	{Code: ProtocolUnsupported, Kind: Connection, Wire: 4007, What: "The protocol version is one this server does not speak.", Remedy: "Connect with ?protocol=7; update the client library if it is older."},
	{Code: ProtocolMissing, Kind: Connection, Wire: 4008, What: "The protocol version is missing.", Remedy: "Add ?protocol=7 to the address; client libraries do that by themselves."},
	{Code: OriginRefused, Kind: Connection, Wire: 4009, What: "The page that connects is not from an allowed origin.", Remedy: "Add its origin to allowed_origins in the app's settings, or connect from a page that is listed."},
	{Code: AuthorizationTimeout, Kind: Connection, Wire: 4009, What: "The client did not prove in time who it is, which the app requires.", Remedy: "Subscribe to a private channel, sign in or send a token within authorization_timeout_seconds, or turn off require_authorization."},
	{Code: UserTerminated, Kind: Connection, Wire: 4009, What: "The user's connections were closed from your server or the dashboard.", Remedy: "Nothing, if that was meant. To keep the user out, refuse them in your auth endpoint as well."},
	{Code: TokenEnded, Kind: Connection, Wire: 4009, What: "The token of the connection ran out and was not replaced.", Remedy: "Give the client a function that fetches a new token, or send one by tidewire:auth before exp."},
	{Code: ChannelTokenEnded, Kind: Connection, Wire: 4200, What: "The token of a subscription ran out and was not replaced.", Remedy: "Clients reconnect and ask for a new one by themselves; see that your endpoint gives tokens with a later exp."},
	{Code: SlowConsumer, Kind: Connection, Wire: 4100, What: "The client reads more slowly than it is sent to, and was cut off.", Remedy: comesBack + "Subscribe it to fewer channels, send less, or look at its network."},
	{Code: Flood, Kind: Connection, Wire: 4100, What: "The client sends too many control frames or fragments, or a message that takes too long.", Remedy: "Use a client library; do not ping more often than the server asks for."},
	{Code: DependencyAway, Kind: Connection, Wire: 4100, What: "The database or Redis did not answer, so the client could not be let in.", Remedy: comesBack + "If it lasts, whoever runs this server should look at /readyz."},
	{Code: TooManyConnecting, Kind: Connection, Wire: 4100, What: "Too many clients connect to this server at once.", Remedy: comesBack + "If it lasts, whoever runs this server should add a node.", Unseen: noApp},
	{Code: SessionsFull, Kind: Connection, Wire: 4100, What: "The server has as many HTTP fallback sessions as it takes.", Remedy: comesBack + "Use WebSockets where they get through.", Unseen: noApp},
	{Code: NodeDraining, Kind: Connection, Wire: 4200, What: "This node is being stopped, and sends its clients to another.", Remedy: "Nothing: clients come back at once."},
	{Code: EventsMissed, Kind: Connection, Wire: 4200, What: "Events of a channel with history were lost on the way to this node and cannot be read any more.", Remedy: "Clients come back at once and are told of the gap: load the state anew in onGap."},
	{Code: PongMissing, Kind: Connection, Wire: 4201, What: "The client stopped answering.", Remedy: "Nothing: its network is gone, or the device sleeps. A client that is alive comes back by itself."},
	{Code: BinaryFrame, Kind: Connection, Wire: 1003, What: "The client sent a binary WebSocket frame.", Remedy: "Send messages as text frames."},
	{Code: NotUTF8, Kind: Connection, Wire: 1007, What: "The client sent a text message that is not UTF-8.", Remedy: "Encode messages as UTF-8."},

	{Code: SignedIn, Kind: Auth, What: "A user signed in on a connection."},
	{Code: TokenAccepted, Kind: Auth, What: "A connection showed a token that is good."},
	{Code: AuthMalformed, Kind: Auth, What: "The auth of a subscription or sign-in is not key:signature.", Remedy: "Answer from your auth endpoint with what the server library's authorize function returns, unchanged."},
	{Code: AuthKeyUnknown, Kind: Auth, What: "The key in the auth is not one of this app.", Remedy: "Sign with key and secret of the app the client connects to; the key may be another app's, or revoked."},
	{Code: AuthSignature, Kind: Auth, What: "The signature of a subscription or sign-in is wrong.", Remedy: "Check the secret in your auth endpoint, that it signs the socket_id of this very connection, and that channel_data is sent exactly as it was signed. “Explain a signature” shows the string to be signed."},
	{Code: SignedInAsAnother, Kind: Auth, What: "The connection is signed in as another user already.", Remedy: "Open a new connection for another user."},
	{Code: UserDataInvalid, Kind: Auth, What: "The user_data of a sign-in cannot be read, or has no usable id.", Remedy: "Send user_data as JSON with an id: 1 to 128 of A-Z a-z 0-9 _ - = @ , . ;"},
	{Code: WatchlistLimit, Kind: Auth, Wire: 4302, What: "The watchlist has more than 100 users; the first 100 are watched.", Remedy: "Send at most 100 user ids in watchlist."},
	{Code: TokenTwice, Kind: Auth, Wire: 4009, What: "The query has several tokens.", Remedy: "Send one."},
	{Code: OfToken("disabled"), Kind: Auth, Wire: 4009, What: "A token was sent, and the app accepts none.", Remedy: "Add whoever signs the tokens to jwt.issuers in the app's settings."},
	{Code: OfToken("malformed"), Kind: Auth, Wire: 4009, What: "What was sent is not a token this server reads.", Remedy: "Make it with a JWT library, signed, in compact form."},
	{Code: OfToken("header"), Kind: Auth, Wire: 4009, What: "A header of the token is missing or not accepted.", Remedy: "Leave the header to your JWT library: alg, typ and kid only."},
	{Code: OfToken("claims"), Kind: Auth, Wire: 4009, What: "A claim of the token is missing or has a form that is not read.", Remedy: "See the message; docs/auth-jwt.md lists the claims."},
	{Code: OfToken("issuer"), Kind: Auth, Wire: 4009, What: "The token's iss is nobody this app trusts.", Remedy: "Make iss equal to an issuer in jwt.issuers of the app's settings."},
	{Code: OfToken("algorithm"), Kind: Auth, Wire: 4009, What: "The token is signed with an algorithm its issuer may not use.", Remedy: "Sign with one of the algorithms that the settings list for the issuer, or add it there."},
	{Code: OfToken("unknown_key"), Kind: Auth, Wire: 4009, What: "The issuer has no key that fits the token.", Remedy: "Check kid against the issuer's JWKS; publish a new key half a minute before it signs."},
	{Code: OfToken("signature"), Kind: Auth, Wire: 4009, What: "The token's signature does not fit the issuer's key.", Remedy: "Sign with the key that is in the app's settings."},
	{Code: OfToken("expired"), Kind: Auth, Wire: 4009, What: "The token has expired.", Remedy: "Fetch a new one; check the clock of whoever made it."},
	{Code: OfToken("not_yet"), Kind: Auth, Wire: 4009, What: "The token's nbf or iat lies ahead.", Remedy: "Set the clock of whoever made it."},
	{Code: OfToken("lifetime"), Kind: Auth, Wire: 4009, What: "The token is valid for more than 24 hours.", Remedy: "Set exp nearer and refresh it."},
	{Code: OfToken("audience"), Kind: Auth, Wire: 4009, What: "The token is made for another audience.", Remedy: "Make aud equal to the audience that the settings give for the issuer."},
	{Code: OfToken("revoked"), Kind: Auth, Wire: 4009, What: "The token was taken back.", Remedy: "Fetch a new one; revocations are listed by /apps/{id}/revocations."},
	{Code: TokenNotForThis, Kind: Auth, Wire: 4009, What: "The token is for another purpose, channel or connection.", Remedy: "See the message: it says which claim does not fit."},
	{Code: TokenCapability, Kind: Auth, What: "The token does not allow this on that channel.", Remedy: "Add the capability to channels of the token."},
	{Code: TokenUserMismatch, Kind: Auth, What: "The user_id in channel_data is not the sub of the token.", Remedy: "Send the same id, or leave channel_data out."},

	{Code: Subscribed, Kind: Subscription, What: "A connection subscribed to a channel."},
	{Code: Unsubscribed, Kind: Subscription, What: "A connection unsubscribed."},
	{Code: ChannelNameInvalid, Kind: Subscription, What: "The channel name is empty, too long or has characters that are not allowed.", Remedy: "Use 1 to 164 of A-Z a-z 0-9 _ - = @ , . ;"},
	{Code: AlreadySubscribed, Kind: Subscription, What: "The connection is on that channel already.", Remedy: "Subscribe once for each connection; client libraries share a subscription."},
	{Code: ChannelLimit, Kind: Subscription, What: "The connection is on as many channels as the app allows.", Remedy: "Unsubscribe from channels that are not shown, or raise max_channels_per_connection under Limits."},
	{Code: AuthMissing, Kind: Subscription, What: "A private or presence channel was subscribed to without auth.", Remedy: "Configure an auth endpoint (or a token) in the client, and sign with the app's secret there."},
	{Code: NotThatUser, Kind: Subscription, What: "Only the signed-in user may subscribe to that server-to-user channel.", Remedy: "Sign in as that user first: client.user.signIn()."},
	{Code: ChannelDataMissing, Kind: Subscription, What: "A presence channel was subscribed to without saying who it is.", Remedy: "Let your auth endpoint answer with channel_data that has a user_id, and sign it."},
	{Code: ChannelDataInvalid, Kind: Subscription, What: "The channel_data cannot be read, or has no usable user_id.", Remedy: "Send JSON with a user_id: 1 to 128 of A-Z a-z 0-9 _ - = @ , . ;"},
	{Code: UserInfoTooLarge, Kind: Subscription, What: "The user_info of a member is larger than the app allows.", Remedy: "Keep what others must know, or raise max_presence_info_bytes under Limits."},
	{Code: PresenceFull, Kind: Subscription, What: "The presence channel has as many members as the app allows.", Remedy: "Spread members over several channels, or raise max_presence_members under Limits."},
	{Code: SerialsNeeded, Kind: Subscription, What: "Resuming, rewinding or history was asked for on a connection that is not told serials.", Remedy: "Connect with tidewire=1 in the query, as @tidewire/client does."},
	{Code: ResumeInvalid, Kind: Subscription, What: "The serial to resume from cannot be read.", Remedy: "Send the serial of the last event exactly as it came."},

	{Code: ClientEventSent, Kind: ClientEvent, What: "A client sent an event to the others on its channel."},
	{Code: ClientEventsOff, Kind: ClientEvent, What: "The app does not allow client events.", Remedy: "Turn on client_events in the app's settings."},
	{Code: ClientEventInvalid, Kind: ClientEvent, What: "A client event lacks channel or data.", Remedy: "Send event, channel and data."},
	{Code: EventNameInvalid, Kind: ClientEvent, What: "The name of a client event is too long or has control characters.", Remedy: "Use at most 200 bytes of text that begin with client-."},
	{Code: NotSubscribed, Kind: ClientEvent, What: "The connection is not on the channel it sends to or asks about.", Remedy: "Subscribe first and wait for subscription_succeeded."},
	{Code: ChannelNotPrivate, Kind: ClientEvent, What: "Client events are possible on private and presence channels only.", Remedy: "Use a channel whose name begins with private- or presence-, or publish from your server."},
	{Code: ClientEventTooLarge, Kind: ClientEvent, What: "The data of a client event is larger than the app allows.", Remedy: "Send less, or raise max_event_bytes under Limits."},
	{Code: ClientEventRate, Kind: ClientEvent, Wire: 4301, What: "The connection sends more client events a second than the app allows.", Remedy: "Send fewer (throttle typing and cursors), or raise max_client_events_per_second under Limits."},
	{Code: WebhooksBehind, Kind: ClientEvent, Wire: 4301, What: "Too many client events are still to be told to the app's webhooks.", Remedy: "See that the webhook endpoint answers quickly; leave client_event out of it if it is not needed."},
	{Code: ClientEventBusy, Kind: ClientEvent, Wire: 4301, What: "The server has too much to deliver right now.", Remedy: "Send it again in a moment; if it lasts, whoever runs this server should add a node."},
	{Code: ClientMessagesUsed, Kind: ClientEvent, Wire: 4301, What: "The messages of today are used up.", Remedy: "Wait for 00:00 UTC, raise max_messages_per_day, or ask for a larger plan."},
	{Code: ClientDeliveryLimit, Kind: ClientEvent, Wire: 4301, What: "The account's apps deliver more a second than the plan allows.", Remedy: "Send less often or to fewer subscribers, or ask for a larger plan."},

	{Code: HistoryOff, Kind: History, What: "The channel keeps no history.", Remedy: "Add a rule that covers it to history in the app's settings."},
	{Code: HistoryEpoch, Kind: History, What: "The serial is of an older epoch: events may have been lost.", Remedy: "Ask without a serial, and load the state anew."},
	{Code: HistoryRate, Kind: History, Wire: 4301, What: "The connection asks for history more than 10 times a second.", Remedy: "Ask for larger pages less often."},

	{Code: MessageMalformed, Kind: Message, What: "A message of a client cannot be read.", Remedy: "Use a client library; the message says what is wrong with the JSON."},
	{Code: UnknownEvent, Kind: Message, What: "A client sent an event that is none of the protocol.", Remedy: "Names of client events begin with client-."},
	{Code: NotPossibleNow, Kind: Message, Wire: 4100, What: "The server could not do what a client asked: Redis did not answer in time.", Remedy: "Clients try again. If it lasts, whoever runs this server should look at /readyz."},

	{Code: Published, Kind: Publish, What: "The server published an event."},
	{Code: EventTooLarge, Kind: Publish, Wire: 413, What: "The data of an event is larger than the app allows.", Remedy: "Send a reference instead of the thing, or raise max_event_bytes under Limits."},
	{Code: PublishNames, Kind: Publish, Wire: 400, What: "A channel or event name, or the number of channels, cannot be published to.", Remedy: "See the message: names have rules, and one event goes to at most 100 channels."},
	{Code: PublishRate, Kind: Publish, Wire: 429, What: "The app, or its account, publishes more events a second than it may.", Remedy: "Wait as long as Retry-After says; send batches of what belongs together, or raise max_publishes_per_second."},
	{Code: MessagesUsedUp, Kind: Publish, Wire: 403, What: "The messages of today are used up.", Remedy: "Wait for 00:00 UTC, raise max_messages_per_day, or ask for a larger plan."},
	{Code: DeliveryLimit, Kind: Publish, Wire: 429, What: "The account's apps deliver more a second than the plan allows.", Remedy: "Publish less often or to fewer subscribers, or ask for a larger plan."},
	{Code: ServerBusy, Kind: Publish, Wire: 503, What: "The node has as much to deliver as it can hold.", Remedy: "Try again; if it lasts, whoever runs this server should add a node."},
	{Code: BrokerAway, Kind: Publish, Wire: 503, What: "Redis did not take the event, or did not answer in time.", Remedy: "Try again. What did not answer in time may have been taken all the same, and then comes twice. If it lasts, look at /readyz."},

	{Code: RequestInvalid, Kind: Request, Wire: 400, What: "The query or body of a signed request is not what the path takes.", Remedy: "See the message: it names the parameter."},
	{Code: RequestTooLarge, Kind: Request, Wire: 413, What: "The body of a request is larger than the server reads.", Remedy: "Send several smaller requests.", Unseen: unsigned},
	{Code: RequestNotFound, Kind: Request, Wire: 404, What: "There is no such path in the HTTP API.", Remedy: "Check the path; server libraries need host and port only.", Unseen: unsigned},
	{Code: RequestMethod, Kind: Request, Wire: 405, What: "The path does not take that method.", Remedy: "Use the method that Allow names.", Unseen: unsigned},
	{Code: ReadRate, Kind: Request, Wire: 429, What: "The app asks about its channels more often a second than it may.", Remedy: "Wait as long as Retry-After says; use webhooks instead of polling, or raise max_reads_per_second."},
	{Code: AppMismatch, Kind: Request, Wire: 404, What: "The key belongs to another app than the one in the path.", Remedy: "Use app id, key and secret of one app."},
	{Code: APIAppDisabled, Kind: Request, Wire: 403, What: "The app is disabled.", Remedy: "Enable it under Settings."},
	{Code: APISuspended, Kind: Request, Wire: 403, What: "The account that owns the app is suspended or closing.", Remedy: "The banner on the dashboard says why; ask the operator of this installation."},
	{Code: OfSignature("malformed"), Kind: Request, Wire: 401, What: "The query or path of a signed request has a form that cannot be read.", Remedy: "Build the query with a library; names once, values without & and control characters."},
	{Code: OfSignature("missing"), Kind: Request, Wire: 401, What: "auth_key or auth_signature is missing.", Remedy: "Sign the request with a server library."},
	{Code: OfSignature("unknown_key"), Kind: Request, Wire: 401, What: "The auth_key of a request to this app does not exist.", Remedy: "Copy the key from the app's page; it may be revoked, or of another server."},
	{Code: OfSignature("version"), Kind: Request, Wire: 401, What: "auth_version is missing or not 1.0.", Remedy: "Send auth_version=1.0."},
	{Code: OfSignature("timestamp"), Kind: Request, Wire: 401, What: "auth_timestamp is missing, unreadable, or more than 600 s from the server's clock.", Remedy: "Set the clock of your server (NTP), and sign each request when it is sent."},
	{Code: OfSignature("body_md5"), Kind: Request, Wire: 401, What: "body_md5 is missing or not that of the body.", Remedy: "Hash the very bytes that are sent; a proxy or a JSON library may have changed them."},
	{Code: SignatureWrong, Kind: Request, Wire: 401, What: "The signature of a request is wrong.", Remedy: "Check the secret. “Explain a signature” shows the string to be signed, and where yours differs."},
	{Code: LookUpAway, Kind: Request, Wire: 503, What: "The app cannot be looked up right now.", Remedy: "Try again; whoever runs this server should look at the database.", Unseen: noApp},
	{Code: InternalError, Kind: Request, Wire: 500, What: "Something is wrong on the server.", Remedy: "Try again; whoever runs this server finds the reason in its log."},

	{Code: WebhookDelivered, Kind: Webhook, What: "A webhook call was taken by your server."},
	{Code: WebhookFailed, Kind: Webhook, What: "A webhook call failed, and will be made again.", Remedy: "See the reason; the endpoint must answer 2xx in time. The delivery's log has request and answer."},
	{Code: WebhookDead, Kind: Webhook, What: "A webhook delivery was given up.", Remedy: "Repair the endpoint, then replay the delivery from its page."},
	{Code: EndpointStopped, Kind: Webhook, What: "A webhook endpoint was paused or disabled, because its calls fail.", Remedy: "Repair it, then resume it on its page."},

	{Code: Watching, Kind: Console, What: "A node of the platform reports to this console from now on."},
}
