package dashboard

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
)

// PlaygroundPath is the folder of everything the playground needs beside its
// page at "/".
const PlaygroundPath = "/playground/"

// maxPlaygroundBody bounds what the send form may post, in bytes.
const maxPlaygroundBody = 64 << 10

// Snippet is one piece of code that talks to the demo app, complete enough to
// run from an empty folder.
type Snippet struct {
	ID       string `json:"id"`      // stable, for programs: "pusher-js"
	Title    string `json:"title"`   // for people
	Install  string `json:"install"` // the command that brings its packages; empty = none
	File     string `json:"file"`    // what to save it as; empty = it is a command to paste
	Run      string `json:"run"`     // the command that runs the saved file; empty = see Code
	Code     string `json:"code"`
	Language string `json:"language"`
}

// PlaygroundConfig is what the playground shows and is allowed to do.
type PlaygroundConfig struct {
	AppID   string
	Key     string
	Channel string // the channel the page subscribes to
	// Token must come with every event sent from the page, so that a page of
	// another site cannot send. Empty refuses them all.
	Token    string
	Snippets []Snippet
	// Publish sends an event to the demo app. A [*PlaygroundError] is shown to
	// the sender; any other error is logged and shown as unavailable.
	Publish func(ctx context.Context, channel, event, data string) error
	Log     *slog.Logger
}

// PlaygroundError is a refusal in words meant for the sender.
type PlaygroundError struct{ Message string }

// Error implements error.
func (e *PlaygroundError) Error() string { return e.Message }

// NewPlayground serves the page at "/" and what it needs below
// [PlaygroundPath]. It is for one machine and one developer: the page shows
// the demo app's public key, and its snippets the demo secret.
func NewPlayground(cfg PlaygroundConfig) http.Handler {
	p := &playground{cfg: cfg}
	files := http.FileServerFS(playgroundFiles)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.page)
	mux.HandleFunc("GET "+PlaygroundPath+"config.json", p.config)
	mux.HandleFunc("POST "+PlaygroundPath+"events", p.send)
	for _, name := range []string{"app.js", "style.css", "icon.svg"} {
		mux.Handle("GET "+PlaygroundPath+name, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			secure(w.Header())
			w.Header().Set("Cache-Control", "no-cache")
			files.ServeHTTP(w, r)
		}))
	}
	return mux
}

type playground struct{ cfg PlaygroundConfig }

func (p *playground) page(w http.ResponseWriter, _ *http.Request) {
	page, err := playgroundFiles.ReadFile("playground/index.html")
	if err != nil {
		http.Error(w, "page not found", http.StatusNotFound)
		return
	}
	servePage(w, page)
}

func (p *playground) config(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{
		"app_id":   p.cfg.AppID,
		"key":      p.cfg.Key,
		"channel":  p.cfg.Channel,
		"snippets": p.cfg.Snippets,
	})
}

// playgroundEvent is what the send form posts.
type playgroundEvent struct {
	Channel string `json:"channel"`
	Event   string `json:"event"`
	Data    string `json:"data"` // sent as it is
}

func (p *playground) send(w http.ResponseWriter, r *http.Request) {
	if !p.tokenValid(r.Header.Get("X-Playground-Token")) {
		refuse(w, http.StatusForbidden, "sending needs the link that `platform dev` printed: open the address with ?token= from the terminal")
		return
	}
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		refuse(w, http.StatusUnsupportedMediaType, "send JSON, with Content-Type application/json")
		return
	}
	var ev playgroundEvent
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxPlaygroundBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&ev); err != nil {
		refuse(w, http.StatusBadRequest, `want {"channel":"…","event":"…","data":"…"} of at most 64 kB`)
		return
	}
	if _, err := dec.Token(); err != io.EOF {
		refuse(w, http.StatusBadRequest, "want one JSON object and nothing after it")
		return
	}
	p.publish(w, r, ev)
}

func (p *playground) publish(w http.ResponseWriter, r *http.Request, ev playgroundEvent) {
	err := p.cfg.Publish(r.Context(), ev.Channel, ev.Event, ev.Data)
	if err == nil {
		answer(w, http.StatusOK, map[string]any{"ok": true})
		return
	}
	var refusal *PlaygroundError
	if errors.As(err, &refusal) {
		refuse(w, http.StatusBadRequest, refusal.Message)
		return
	}
	p.cfg.Log.Warn("playground event not published", "error", err)
	refuse(w, http.StatusServiceUnavailable, "not published: the server cannot take it right now; its log says why")
}

func (p *playground) tokenValid(got string) bool {
	return p.cfg.Token != "" && subtle.ConstantTimeCompare([]byte(got), []byte(p.cfg.Token)) == 1
}

func refuse(w http.ResponseWriter, status int, message string) {
	answer(w, status, map[string]any{"error": message})
}

func answer(w http.ResponseWriter, status int, body any) {
	secure(w.Header())
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
