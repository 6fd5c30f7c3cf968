package tenants

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Settings are the switches of one app, under the names users write in JSON.
// The zero value is not valid: start from [DefaultSettings] or [ParseSettings].
type Settings struct {
	ClientEvents                bool          `json:"client_events"`
	SubscriptionCountEvents     bool          `json:"subscription_count_events"`
	WatchlistEvents             bool          `json:"watchlist_events"`
	RequireAuthorization        bool          `json:"require_authorization"`
	AuthorizationTimeoutSeconds int           `json:"authorization_timeout_seconds"`
	ForceTLS                    bool          `json:"force_tls"`
	AllowedOrigins              []string      `json:"allowed_origins"` // empty = any; see [Settings.OriginAllowed]
	CacheTTLSeconds             int           `json:"cache_ttl_seconds"`
	WebhookBatching             bool          `json:"webhook_batching"`
	JWT                         JWTSettings   `json:"jwt"`
	History                     []HistoryRule `json:"history"`
}

// HistoryRule keeps the last events of the channels its pattern matches. The
// first rule that matches a channel counts.
type HistoryRule struct {
	Pattern     string `json:"pattern"` // a channel name; a * stands for any characters
	MaxMessages int    `json:"max_messages"`
	TTLSeconds  int    `json:"ttl_seconds"`
}

// The bounds of settings. Each lower bound is 1.
const (
	MaxAuthorizationTimeoutSeconds = 300
	MaxCacheTTLSeconds             = 1800 // what Pusher keeps a cache channel's event for
	MaxAllowedOrigins              = 100
	MaxHistoryRules                = 32
	MaxHistoryMessages             = 10_000 // per channel
	MaxHistoryTTLSeconds           = 7 * 24 * 3600
)

// maxPatternBytes is the longest channel name there can be.
const maxPatternBytes = 200

// DefaultSettings are those of an app that was given none.
func DefaultSettings() Settings {
	return Settings{
		AuthorizationTimeoutSeconds: 30,
		AllowedOrigins:              []string{},
		CacheTTLSeconds:             1800,
		WebhookBatching:             true,
		JWT:                         JWTSettings{Issuers: []JWTIssuer{}},
		History:                     []HistoryRule{},
	}
}

// ParseSettings reads settings from a JSON object and lays them over the
// defaults. It is strict: a name that is unknown, doubled or in another case,
// or a value out of range, gives an [*InvalidError].
func ParseSettings(raw []byte) (Settings, error) {
	s := DefaultSettings()
	err := readObject("settings", raw, s.readers())
	if err == nil {
		err = s.Validate()
	}
	if err != nil {
		return Settings{}, err
	}
	return s, nil
}

// readers are the names of the settings and what reads each of them.
func (s *Settings) readers() map[string]reader {
	return map[string]reader{
		"client_events":                 boolInto(&s.ClientEvents),
		"subscription_count_events":     boolInto(&s.SubscriptionCountEvents),
		"watchlist_events":              boolInto(&s.WatchlistEvents),
		"require_authorization":         boolInto(&s.RequireAuthorization),
		"authorization_timeout_seconds": intInto(&s.AuthorizationTimeoutSeconds),
		"force_tls":                     boolInto(&s.ForceTLS),
		"allowed_origins":               listInto(&s.AllowedOrigins, stringInto),
		"cache_ttl_seconds":             intInto(&s.CacheTTLSeconds),
		"webhook_batching":              boolInto(&s.WebhookBatching),
		"jwt":                           jwtInto(&s.JWT),
		"history":                       listInto(&s.History, historyRuleInto),
	}
}

func historyRuleInto(rule *HistoryRule) reader {
	return func(path string, raw json.RawMessage) error {
		return readObject(path, raw, map[string]reader{
			"pattern":      stringInto(&rule.Pattern),
			"max_messages": intInto(&rule.MaxMessages),
			"ttl_seconds":  intInto(&rule.TTLSeconds),
		})
	}
}

// Validate checks every value; the error is an [*InvalidError].
func (s Settings) Validate() error {
	if err := inRange("settings.authorization_timeout_seconds", s.AuthorizationTimeoutSeconds,
		1, MaxAuthorizationTimeoutSeconds); err != nil {
		return err
	}
	if err := inRange("settings.cache_ttl_seconds", s.CacheTTLSeconds, 1, MaxCacheTTLSeconds); err != nil {
		return err
	}
	if len(s.AllowedOrigins) > MaxAllowedOrigins {
		return &InvalidError{"settings.allowed_origins", fmt.Sprintf("must have at most %d entries", MaxAllowedOrigins)}
	}
	for i, entry := range s.AllowedOrigins {
		if _, reason := parseOriginPattern(entry); reason != "" {
			return &InvalidError{fmt.Sprintf("settings.allowed_origins[%d]", i), quote(entry) + " " + reason}
		}
	}
	if err := s.JWT.validate("settings.jwt"); err != nil {
		return err
	}
	if len(s.History) > MaxHistoryRules {
		return &InvalidError{"settings.history", fmt.Sprintf("must have at most %d rules", MaxHistoryRules)}
	}
	for i, rule := range s.History {
		if err := rule.validate(fmt.Sprintf("settings.history[%d]", i)); err != nil {
			return err
		}
	}
	return nil
}

func (r HistoryRule) validate(path string) error {
	if r.Pattern == "" || len(r.Pattern) > maxPatternBytes {
		return &InvalidError{path + ".pattern", fmt.Sprintf("must be 1 to %d characters, such as \"orders-*\"", maxPatternBytes)}
	}
	for _, c := range []byte(r.Pattern) {
		if !isAlphanumeric(c) && !strings.ContainsRune("_-=@,.;*", rune(c)) {
			return &InvalidError{path + ".pattern", "may hold letters, digits, * and _-=@,.; only"}
		}
	}
	if err := inRange(path+".max_messages", r.MaxMessages, 1, MaxHistoryMessages); err != nil {
		return err
	}
	return inRange(path+".ttl_seconds", r.TTLSeconds, 1, MaxHistoryTTLSeconds)
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
