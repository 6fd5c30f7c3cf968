package dashboard_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/dashboard"
)

const token = "one-run-token"

// sent is one event the playground wanted to publish.
type sent struct{ channel, event, data string }

// playground is a playground whose events go to a list; refusal is what
// publishing answers.
func playground(refusal error) (http.Handler, *[]sent) {
	var list []sent
	return dashboard.NewPlayground(dashboard.PlaygroundConfig{
		AppID: "1001", Key: "demo-key", Channel: "demo", Token: token,
		Snippets: []dashboard.Snippet{{ID: "x", Title: "X", Code: "</script><b>"}},
		Log:      slog.New(slog.DiscardHandler),
		Publish: func(_ context.Context, channel, event, data string) error {
			if refusal == nil {
				list = append(list, sent{channel, event, data})
			}
			return refusal
		},
	}), &list
}

func ask(h http.Handler, method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func send(h http.Handler, body string) *httptest.ResponseRecorder {
	return ask(h, http.MethodPost, "/playground/events", body, "X-Playground-Token", token, "Content-Type", "application/json")
}

func TestPlaygroundSends(t *testing.T) {
	t.Parallel()
	h, list := playground(nil)
	w := send(h, `{"channel":"demo","event":"hello","data":"{\"a\": 1}"}`)
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	require.Equal(t, []sent{{"demo", "hello", `{"a": 1}`}}, *list)
}

func TestPlaygroundRefuses(t *testing.T) {
	t.Parallel()
	const good = `{"channel":"demo","event":"hello","data":"x"}`
	for name, test := range map[string]struct {
		body   string
		header []string
		status int
	}{
		"no token":         {good, []string{"Content-Type", "application/json"}, http.StatusForbidden},
		"wrong token":      {good, []string{"Content-Type", "application/json", "X-Playground-Token", "one-run-tokem"}, http.StatusForbidden},
		"empty token":      {good, []string{"Content-Type", "application/json", "X-Playground-Token", ""}, http.StatusForbidden},
		"what a form can":  {good, []string{"Content-Type", "text/plain", "X-Playground-Token", token}, http.StatusUnsupportedMediaType},
		"no JSON":          {"hello", nil, http.StatusBadRequest},
		"unknown name":     {`{"channel":"demo","event":"e","data":"x","more":1}`, nil, http.StatusBadRequest},
		"two objects":      {good + good, nil, http.StatusBadRequest},
		"data as object":   {`{"channel":"demo","event":"e","data":{}}`, nil, http.StatusBadRequest},
		"far too much":     {`{"channel":"demo","event":"e","data":"` + strings.Repeat("x", 70<<10) + `"}`, nil, http.StatusBadRequest},
		"endless nonsense": {strings.Repeat("[", 70<<10), nil, http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, list := playground(nil)
			if test.header == nil {
				test.header = []string{"Content-Type", "application/json", "X-Playground-Token", token}
			}
			w := ask(h, http.MethodPost, "/playground/events", test.body, test.header...)
			require.Equal(t, test.status, w.Code, w.Body)
			var answer struct{ Error string }
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
			require.NotEmpty(t, answer.Error)
			require.Empty(t, *list)
		})
	}
}

func TestPlaygroundWithoutTokenSendsNothing(t *testing.T) {
	t.Parallel()
	h := dashboard.NewPlayground(dashboard.PlaygroundConfig{Log: slog.New(slog.DiscardHandler)})
	w := ask(h, http.MethodPost, "/playground/events", `{}`, "X-Playground-Token", "", "Content-Type", "application/json")
	require.Equal(t, http.StatusForbidden, w.Code)
}

func TestPlaygroundTellsRefusalsAndHidesFailures(t *testing.T) {
	t.Parallel()
	const body = `{"channel":"demo","event":"hello","data":"x"}`
	h, _ := playground(&dashboard.PlaygroundError{Message: "the name is bad"})
	w := send(h, body)
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.Contains(t, w.Body.String(), "the name is bad")

	h, _ = playground(errors.New("password of the broker"))
	w = send(h, body)
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.NotContains(t, w.Body.String(), "password")
}

// The page must not be able to load or run anything that is not ours, and must
// not carry the token: another site could read neither, but may show it.
func TestPlaygroundPageIsStrict(t *testing.T) {
	t.Parallel()
	h, _ := playground(nil)
	w := ask(h, http.MethodGet, "/?token="+token, "")
	require.Equal(t, http.StatusOK, w.Code)
	requireStrict(t, w)
	page := w.Body.String()
	require.NotContains(t, page, token)
	require.NotRegexp(t, `(?i)\son[a-z]+\s*=|style\s*=|<style|javascript:|https?://`, page)

	for _, m := range regexp.MustCompile(`(?:src|href)="(/playground/[^"]+)"`).FindAllStringSubmatch(page, -1) {
		asset := ask(h, http.MethodGet, m[1], "")
		require.Equal(t, http.StatusOK, asset.Code, m[1])
		requireStrict(t, asset)
	}
	script := ask(h, http.MethodGet, "/playground/app.js", "").Body.String()
	require.NotRegexp(t, `innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(`, script, "events are text")
	require.Contains(t, ask(h, http.MethodGet, "/playground/app.js", "").Header().Get("Content-Type"), "javascript")
}

func requireStrict(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	policy := w.Header().Get("Content-Security-Policy")
	require.Contains(t, policy, "default-src 'none'")
	require.Contains(t, policy, "script-src 'self'")
	require.Contains(t, policy, "frame-ancestors 'none'")
	require.NotContains(t, policy, "unsafe")
	require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
	require.Equal(t, "no-referrer", w.Header().Get("Referrer-Policy"), "the token is in the address")
}

func TestPlaygroundServesOnlyItsFiles(t *testing.T) {
	t.Parallel()
	h, _ := playground(nil)
	for _, path := range []string{"/playground/", "/playground/index.html", "/playground/../playground.go", "/other"} {
		require.NotEqual(t, http.StatusOK, ask(h, http.MethodGet, path, "").Code, path)
	}
	w := ask(h, http.MethodGet, "/playground/config.json", "")
	require.Equal(t, http.StatusOK, w.Code)
	var config struct {
		Key      string
		Snippets []dashboard.Snippet
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &config))
	require.Equal(t, "demo-key", config.Key)
	require.Equal(t, "</script><b>", config.Snippets[0].Code)
	require.NotContains(t, w.Body.String(), token)
}
