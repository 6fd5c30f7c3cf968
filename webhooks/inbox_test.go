package webhooks_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"

	"tidewire/tenants"
	"tidewire/webhooks"
)

// letter is a request that came to an inbox.
type letter struct {
	id     string
	header http.Header
	body   []byte
	timeMS int64
	events []told
}

// told is an event in it, as far as it tells events apart.
type told struct {
	Name, Channel, Event string
	Seq                  uint64
}

func (e told) String() string { return strings.TrimSpace(e.Name + " " + e.Channel + " " + e.Event) }

// signedBy reports whether one of the signatures of Standard Webhooks is by that secret.
func (l *letter) signedBy(secret tenants.Secret) bool {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret.Reveal(), "whsec_"))
	if err != nil || len(key) == 0 {
		return false
	}
	m := hmac.New(sha256.New, key)
	m.Write([]byte(l.id + "." + l.header.Get("Webhook-Timestamp") + "."))
	m.Write(l.body)
	return slices.Contains(strings.Fields(l.header.Get("Webhook-Signature")), "v1,"+base64.StdEncoding.EncodeToString(m.Sum(nil)))
}

// inbox is the receiver at every address there is: it takes what comes, but for
// the addresses that are down.
type inbox struct {
	mu             sync.Mutex
	gone           bool // answers 410 everywhere
	down           map[string]bool
	taken, refused map[string][]letter // by address
}

func newInbox() *inbox {
	return &inbox{down: make(map[string]bool), taken: make(map[string][]letter), refused: make(map[string][]letter)}
}

var _ webhooks.Sender = (*inbox)(nil)

func (in *inbox) Check(context.Context, string) error { return nil }

func (in *inbox) Send(_ context.Context, url string, header http.Header, body []byte) webhooks.Answer {
	l := letter{id: header.Get("Webhook-Id"), header: header, body: body}
	var envelope struct {
		TimeMS int64 `json:"time_ms"`
		Events []told
	}
	err := json.Unmarshal(body, &envelope)
	l.timeMS, l.events = envelope.TimeMS, envelope.Events
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.gone {
		return webhooks.Answer{Status: http.StatusGone, Reason: "answered 410"}
	}
	if err != nil || in.down[url] {
		in.refused[url] = append(in.refused[url], l)
		return webhooks.Answer{Status: http.StatusServiceUnavailable, Reason: "answered 503"}
	}
	in.taken[url] = append(in.taken[url], l)
	return webhooks.Answer{Status: http.StatusOK}
}

func (in *inbox) setDown(url string, down bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.down[url] = down
}

// letters are the requests that an address has taken, in their order.
func (in *inbox) letters(url string) []letter {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.Clone(in.taken[url])
}

func (in *inbox) rejected(url string) []letter {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.Clone(in.refused[url])
}

// events are the names of those that an address has taken, in their order.
func (in *inbox) events(url string) []string { return eventsIn(in.letters(url)) }

func eventsIn(letters []letter) (names []string) {
	for _, l := range letters {
		for _, e := range l.events {
			names = append(names, e.String())
		}
	}
	return names
}
