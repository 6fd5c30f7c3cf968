package main

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
)

// password is one that the rules accept.
const password = "violet-harbour-91-lamp"

// person is somebody who uses the admin API, or a program if there is a token.
type person struct {
	t      *testing.T
	base   string
	cookie string
	token  string
	ip     string // said to a trusted proxy; empty = its own
}

// call sends a request, its body encoded if there is one, and reads the answer
// into the value of that type; a status that is not wanted fails the test. Who
// asks too often waits, as a good program does.
func call[T any](p *person, want int, method, path string, body any) (v T) {
	p.t.Helper()
	status, header, text := p.do(method, path, body)
	for deadline := time.Now().Add(30 * time.Second); status == http.StatusTooManyRequests && want != status && time.Now().Before(deadline); {
		time.Sleep(100 * time.Millisecond)
		status, header, text = p.do(method, path, body)
	}
	require.Equal(p.t, want, status, "%s %s: %s", method, path, text)
	if set := header.Get("Set-Cookie"); set != "" {
		p.cookie, _, _ = strings.Cut(set, ";")
	}
	if text != "" {
		require.NoError(p.t, json.Unmarshal([]byte(text), &v), text)
	}
	return v
}

func (p *person) do(method, path string, body any) (int, http.Header, string) {
	p.t.Helper()
	header, text := http.Header{}, ""
	if body != nil {
		raw, err := json.Marshal(body)
		require.NoError(p.t, err)
		header.Set("Content-Type", "application/json")
		text = string(raw)
	}
	if p.cookie != "" {
		header.Set("Cookie", p.cookie)
	}
	if p.ip != "" {
		header.Set("X-Forwarded-For", p.ip)
	}
	if p.token != "" {
		header.Set("Authorization", "Bearer "+p.token)
	}
	return request(p.t, method, p.base+"/api/v1"+path, header, text)
}

// fields is a JSON object.
type fields = map[string]any

// problem is what a refusal says.
type problem struct{ Code, Detail string }

// code is the stable code of a refusal.
func (p *person) code(want int, method, path string, body any) string {
	p.t.Helper()
	return call[problem](p, want, method, path, body).Code
}

// signUp makes an account and signs in; invitation may be empty.
func signUp(t *testing.T, base, email, tenant, invitation string) *person {
	t.Helper()
	return (&person{t: t, base: base}).signUp(email, tenant, invitation)
}

func (p *person) signUp(email, tenant, invitation string) *person {
	p.t.Helper()
	body := fields{"email": email, "password": password}
	if tenant != "" {
		body["tenant_name"] = tenant
	}
	if invitation != "" {
		body["invitation"] = invitation
	}
	call[any](p, http.StatusAccepted, http.MethodPost, "/signup", body)
	p.logIn(email)
	return p
}

func (p *person) logIn(email string) {
	p.t.Helper()
	call[any](p, http.StatusCreated, http.MethodPost, "/sessions", fields{"email": email, "password": password})
}

var mailedLink = regexp.MustCompile(`token=([0-9a-f]{64})`)

// link waits for a mail to an address and returns the text of its link. Without
// a mail server, mails are in the log.
func (n *node) link(t *testing.T, email, subject string) (text string) {
	t.Helper()
	eventually(t, func() bool {
		for line := range strings.SplitSeq(n.log.String(), "\n") {
			if strings.Contains(line, `"to":"`+email+`"`) && strings.Contains(line, subject) {
				if found := mailedLink.FindStringSubmatch(line); found != nil {
					text = found[1]
				}
			}
		}
		return text != ""
	}, "no mail to "+email)
	return text
}

// apiApp is an app as the admin API shows it.
type apiApp struct {
	ID            tenants.AppID `json:"id"`
	Key           string        `json:"key"`
	Secret        string        `json:"secret"`
	Plan          string        `json:"plan"`
	ConfigVersion int64         `json:"config_version"`
}

func (a apiApp) printed() printedApp { return printedApp{ID: a.ID, Key: a.Key, Secret: a.Secret} }
