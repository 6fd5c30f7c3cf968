package main

import (
	"testing"
)

// The published libraries that customers check requests with accept ours.
func TestWebhooksAreVerifiedByPublishedLibraries(t *testing.T) {
	t.Parallel()
	needClients(t)
	n := startProcess(t, append(dataDir(t), "TIDEWIRE_WEBHOOK_ALLOW_PRIVATE=127.0.0.0/8"))
	cfg := struct {
		scriptConfig
		Token string `json:"token"`
	}{scriptConfig: n.config(t, n, nil)}
	cfg.Token = printed[printedToken](t, n.environ, "tokens", "create", "--tenant", "main", "--name", "hooks",
		"--scopes", "webhooks:write,keys:write").Text
	startScript(t, "verify.mjs", cfg).succeed(t)
}
