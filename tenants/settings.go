package tenants

// Settings are the switches of one app, under the names users write in JSON.
// The zero value is Pusher's default; [DefaultSettings] fills the rest.
type Settings struct {
	ClientEvents                bool          `json:"client_events"`
	SubscriptionCountEvents     bool          `json:"subscription_count_events"`
	WatchlistEvents             bool          `json:"watchlist_events"`
	RequireAuthorization        bool          `json:"require_authorization"`
	AuthorizationTimeoutSeconds int           `json:"authorization_timeout_seconds"`
	ForceTLS                    bool          `json:"force_tls"`
	AllowedOrigins              []string      `json:"allowed_origins"` // empty = any
	CacheTTLSeconds             int           `json:"cache_ttl_seconds"`
	WebhookBatching             bool          `json:"webhook_batching"`
	History                     []HistoryRule `json:"history"`
}

// HistoryRule keeps the last events of the channels its pattern matches.
type HistoryRule struct {
	Pattern     string `json:"pattern"`
	MaxMessages int    `json:"max_messages"`
	TTLSeconds  int    `json:"ttl_seconds"`
}

// Limits bound what one app may use. 0 means the server's hard ceiling.
type Limits struct {
	MaxConnections           int `json:"max_connections"`
	MaxEventBytes            int `json:"max_event_bytes"`
	MaxPublishesPerSecond    int `json:"max_publishes_per_second"`
	MaxReadsPerSecond        int `json:"max_reads_per_second"`
	MaxClientEventsPerSecond int `json:"max_client_events_per_second"` // per connection
	MaxChannelsPerConnection int `json:"max_channels_per_connection"`
	MaxPresenceMembers       int `json:"max_presence_members"`
	MaxPresenceInfoBytes     int `json:"max_presence_info_bytes"`
	MaxMessagesPerDay        int `json:"max_messages_per_day"`
}
