package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// dashboardEnviron makes a platform as a person would meet it: open to sign up,
// with mails, and with webhooks to this machine. It returns where mails go.
func dashboardEnviron(t *testing.T, environ []string) (all []string, mails string) {
	t.Helper()
	mails = freePort(t)
	return append(environ[:len(environ):len(environ)],
		"TIDEWIRE_SIGNUP=open", "TIDEWIRE_SMTP_URL=smtp://"+mails+"?tls=off", "TIDEWIRE_MAIL_FROM=noreply@example.com",
		"TIDEWIRE_WEBHOOK_ALLOW_PRIVATE=127.0.0.0/8", "TIDEWIRE_USAGE_INTERVAL=500ms",
	), mails
}

// dashboardConfig is what the parts of the dashboard's script get to know; the
// browser opens the first node.
func dashboardConfig(t *testing.T, parts []string, mails string, nodes ...*serverProcess) map[string]any {
	t.Helper()
	operator := printed[printedUser](t, nodes[0].environ, "users", "create", "operator@example.com", "--operator")
	sockets := make([]string, len(nodes))
	for i, n := range nodes {
		sockets[i] = n.url
	}
	return map[string]any{
		"parts": parts, "api": nodes[0].url, "sockets": sockets, "apps": map[string]any{}, "smtp": mails, "chromium": needChromium(t),
		"operator": map[string]string{"email": operator.Email, "link": operator.PasswordLink},
	}
}

// devConfig is dashboardConfig for a platform dev of its own, with the link that
// it prints.
func devConfig(t *testing.T, parts ...string) (map[string]any, devInfo) {
	t.Helper()
	environ, mails := dashboardEnviron(t, dataDir(t))
	n := startProcess(t, environ, "dev", "--json")
	var info devInfo
	eventually(t, func() bool { return json.Unmarshal([]byte(n.stdout.String()), &info) == nil }, "dev printed no JSON")
	cfg := dashboardConfig(t, parts, mails, n)
	cfg["signIn"] = info.SignIn
	return cfg, info
}

// Everything that a browser is asked to show, on one node over SQLite and
// memory: the link that dev prints, the life of a customer, every page read by
// axe and as wide as a phone, numbers that change, and hostile texts in all places.
func TestDashboardEmbedded(t *testing.T) {
	t.Parallel()
	needClients(t)
	cfg, _ := devConfig(t, "dev", "life", "figures", "forms", "readable", "hostile")
	startScript(t, "dashboard/run.mjs", cfg).succeed(t)
}

// The life of a customer on two nodes over Postgres and Redis: the browser opens
// one, what it sets up is used on the other too.
func TestDashboardTwoNodes(t *testing.T) {
	t.Parallel()
	needClients(t)
	environ, mails := dashboardEnviron(t, inOwnRedis(t, twoNodes(t), 11))
	a, b := startProcess(t, environ), startProcess(t, environ)
	require.NotEqual(t, a.url, b.url)
	startScript(t, "dashboard/run.mjs", dashboardConfig(t, []string{"life"}, mails, a, b)).succeed(t)
}
