package jwks_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
	"tidewire/tenants/jwks"
)

const docsSecret = "a secret of the docs, of 32 bytes or more"

// snippet writes the block of the docs page that begins with the name of its
// file into an empty folder, and returns its path.
func snippet(t *testing.T, name string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/auth-jwt.md")
	require.NoError(t, err)
	found := regexp.MustCompile("(?s)```[a-z]+\n(// " + regexp.QuoteMeta(name) + "\n.*?)```").FindSubmatch(page)
	require.NotNil(t, found, "docs/auth-jwt.md has no snippet %s", name)
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, found[1], 0o600))
	return path
}

func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

// docsApp trusts the issuer of the docs by one of its keys.
func docsApp(t *testing.T, issuer tenants.JWTIssuer) *tenants.App {
	t.Helper()
	app := &tenants.App{ID: "7", Settings: tenants.DefaultSettings()}
	issuer.Issuer, issuer.Audience = "https://shop.example.com", "chat"
	app.Settings.JWT.Issuers = []tenants.JWTIssuer{issuer}
	require.NoError(t, app.Settings.Validate())
	return app
}

// The snippets of the docs make tokens that are good for what the docs say.
func TestDocsConnectionTokens(t *testing.T) {
	t.Parallel()
	for name, command := range map[string][]string{
		"connection-token.mjs": {"node"},
		"connection_token.go":  {"go", "run"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			path := snippet(t, name)
			cmd := exec.CommandContext(ctx, program(t, command[0]), append(command[1:], path)...)
			cmd.Dir = filepath.Dir(path)
			cmd.Env = append(os.Environ(), "JWT_SECRET="+docsSecret, "GOFLAGS=", "GOWORK=off")
			out, err := cmd.Output()
			require.NoError(t, err)

			app := docsApp(t, tenants.JWTIssuer{Algorithms: []string{"HS256"}, Secret: tenants.NewSecret(docsSecret)})
			claims, err := tenants.NewJWTVerifier(nil, nil, tenants.JWTOptions{}).Verify(ctx, app, strings.TrimSpace(string(out)))
			require.NoError(t, err)
			require.Equal(t, "alice", claims.Subject)
			require.JSONEq(t, `{"name":"Alice"}`, string(claims.Info))
			require.True(t, claims.Allows("private-orders-17", tenants.CapSubscribe|tenants.CapPublish))
			require.True(t, claims.Allows("presence-room-1", tenants.CapSubscribe|tenants.CapPresence))
			require.False(t, claims.Allows("private-orders-18", tenants.CapSubscribe))
		})
	}
}

func TestDocsAuthEndpoint(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), program(t, "node"), snippet(t, "auth-endpoint.mjs"))
	cmd.Env = append(os.Environ(), "PORT=0")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan(), "the endpoint did not start")
	base := lines.Text()

	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.PostForm(base+"/pusher/auth", url.Values{"socket_id": {"1.2"}, "channel_name": {"presence-room"}})
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	var answer struct {
		Auth        string
		ChannelData string `json:"channel_data"`
	}
	require.NoError(t, json.NewDecoder(res.Body).Decode(&answer))
	require.JSONEq(t, `{"user_id":"alice"}`, answer.ChannelData)
	require.True(t, tenants.LooksLikeJWT(answer.Auth))

	app := docsApp(t, tenants.JWTIssuer{Algorithms: []string{"RS256"}, JWKSURL: base + "/jwks.json"})
	keys := jwks.New(jwks.Options{Allow: loopback})
	claims, err := tenants.NewJWTVerifier(keys, nil, tenants.JWTOptions{}).Verify(t.Context(), app, answer.Auth)
	require.NoError(t, err)
	require.Equal(t, "1.2", claims.SocketID)
	require.True(t, claims.Allows("presence-room", tenants.CapSubscribe|tenants.CapPresence|tenants.CapPublish))
}
