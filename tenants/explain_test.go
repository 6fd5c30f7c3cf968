package tenants_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
)

func explainedApp() *tenants.App {
	return &tenants.App{ID: "1", TenantStatus: tenants.TenantActive, Keys: []tenants.Key{
		{Key: "one", Secret: tenants.NewSecret("secret-one"), Status: tenants.KeyActive},
		{Key: "two", Secret: tenants.NewSecret("secret-two"), Status: tenants.KeyActive},
		{Key: "old", Secret: tenants.NewSecret("secret-old"), Status: tenants.KeyRevoked},
	}}
}

func mac(secret, text string) string {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(text))
	return hex.EncodeToString(m.Sum(nil))
}

// requireExplained asserts one finding with these words, and that nothing that
// could sign is told.
func requireExplained(t *testing.T, e tenants.Explanation, want string) {
	t.Helper()
	if want == "" {
		require.Empty(t, e.Findings)
		return
	}
	require.NotEmpty(t, e.Findings)
	said := e.Expected + e.Key
	found := false
	for _, f := range e.Findings {
		said += f.Text + f.Remedy
		found = found || strings.Contains(f.Text, want)
		require.NotEmpty(t, f.Remedy)
	}
	require.True(t, found, "%q is not in %+v", want, e.Findings)
	for _, secret := range []string{"secret-one", "secret-two", "secret-old", mac("secret-one", e.Expected)} {
		require.NotContains(t, said, secret)
	}
}

func TestExplainAuth(t *testing.T) {
	t.Parallel()
	const data = `{"user_id":"7","user_info":{"name":"Ada"}}`
	const text = "1.2:presence-a:" + data
	for name, c := range map[string]struct{ auth, want string }{
		"right":           {"one:" + mac("secret-one", text), ""},
		"no colon":        {"one", "key:signature"},
		"unknown key":     {"nobody:" + mac("secret-one", text), "none of this app"},
		"revoked key":     {"old:" + mac("secret-old", text), "was revoked"},
		"secret as key":   {"secret-one:" + mac("one", text), "is the secret of this app"},
		"other's secret":  {"one:" + mac("secret-two", text), "secret of the key two"},
		"line feed":       {"one:" + mac("secret-one\n", text), "white space behind it"},
		"key as secret":   {"one:" + mac("one", text), "key instead of the secret"},
		"base64":          {"one:" + base64.StdEncoding.EncodeToString(unhex(mac("secret-one", text))), "in base64"},
		"without data":    {"one:" + mac("secret-one", "1.2:presence-a"), "channel_data was not signed"},
		"rewritten":       {"one:" + mac("secret-one", `1.2:presence-a:{"user_id": "7", "user_info": {"name": "Ada"}}`), "another spelling"},
		"other way round": {"one:" + mac("secret-one", "presence-a:1.2"), "other way round"},
		"nonsense":        {"one:zz", "64 hexadecimal"},
		"wrong secret":    {"one:" + mac("guessed", text), "not that of the text"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := tenants.ExplainAuth(explainedApp(), tenants.SignedAuth{SocketID: "1.2", Channel: "presence-a", ChannelData: data, Auth: c.auth})
			requireExplained(t, e, c.want)
			if name != "secret as key" { // what was sent is not shown then
				require.Equal(t, text, e.Expected)
			}
		})
	}
	e := tenants.ExplainAuth(explainedApp(), tenants.SignedAuth{SocketID: "1.2", Channel: "presence-a", Auth: "one:" + mac("secret-one", "1.2:presence-a")})
	requireExplained(t, e, "channel_data is missing")
	e = tenants.ExplainAuth(explainedApp(), tenants.SignedAuth{SocketID: "1.2", UserData: `{"id":"7"}`, Auth: "one:" + mac("secret-one", `1.2:{"id":"7"}`)})
	requireExplained(t, e, "::user:: is missing")
	e = tenants.ExplainAuth(explainedApp(), tenants.SignedAuth{SocketID: "x", Auth: "one:1"})
	requireExplained(t, e, "Invalid socket_id")
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func TestExplainRequest(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	const path, body = "/apps/1/events", `{"name":"e","channel":"c","data":"d"}`
	signed := func(change func(q url.Values)) url.Values {
		q := tenants.SignRequest(tenants.NewSecret("secret-one"), "one", "POST", path, nil, []byte(body), now)
		if change != nil {
			change(q)
		}
		return q
	}
	sign := func(q url.Values, secret, text string) { q.Set("auth_signature", mac(secret, text)) }
	plain := signed(nil)
	query := "auth_key=one&auth_timestamp=" + plain.Get("auth_timestamp") + "&auth_version=1.0&body_md5=" + plain.Get("body_md5")
	for name, c := range map[string]struct {
		change func(q url.Values)
		want   string
	}{
		"right":          {nil, ""},
		"other key":      {func(q url.Values) { q.Set("auth_key", "x") }, "none of this app"},
		"no key":         {func(q url.Values) { q.Del("auth_key") }, "auth_key is missing"},
		"old":            {func(q url.Values) { q.Set("auth_timestamp", "1700000000") }, "behind the server"},
		"version":        {func(q url.Values) { q.Set("auth_version", "2") }, "auth_version must be 1.0"},
		"body":           {func(q url.Values) { q.Set("body_md5", "00") }, "the body received has the MD5"},
		"unsigned":       {func(q url.Values) { q.Del("auth_signature") }, "auth_signature is missing"},
		"other's secret": {func(q url.Values) { sign(q, "secret-two", "POST\n"+path+"\n"+query) }, "secret of the key two"},
		"other method":   {func(q url.Values) { sign(q, "secret-one", "GET\n"+path+"\n"+query) }, "method GET"},
		"other path":     {func(q url.Values) { sign(q, "secret-one", "POST\n"+path+"/\n"+query) }, "path " + path + "/"},
		"body not in it": {func(q url.Values) {
			sign(q, "secret-one", "POST\n"+path+"\n"+query[:strings.Index(query, "&body_md5")])
		}, "body_md5 was sent, but not signed"},
		"line feed": {func(q url.Values) { sign(q, "secret-one", "POST\n"+path+"\n"+query+"\n") }, "line feed was signed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := tenants.SignedRequest{Method: "POST", Path: path, RawQuery: signed(c.change).Encode(), Body: []byte(body)}
			requireExplained(t, tenants.ExplainRequest(explainedApp(), r, now), c.want)
		})
	}
	leaked := tenants.ExplainRequest(explainedApp(), tenants.SignedRequest{Method: "GET", Path: path, RawQuery: "auth_key=secret-one&auth_signature=00"}, now)
	requireExplained(t, leaked, "is the secret of this app")
}

// FuzzExplain holds that an explanation and the verifier agree, and that no
// secret is in one.
func FuzzExplain(f *testing.F) {
	f.Add("GET", "/apps/1/channels", "auth_key=one&auth_signature=00", []byte(nil), "1.2", "private-a", "", "one:00")
	f.Add("POST", "/", "a=b;c", []byte("{"), "", "presence-a", `{"user_id":1}`, ":")
	f.Fuzz(func(t *testing.T, method, path, query string, body []byte, socket, channel, data, auth string) {
		app, now := explainedApp(), time.Unix(1_800_000_000, 0)
		e := tenants.ExplainRequest(app, tenants.SignedRequest{Method: method, Path: path, RawQuery: query, Body: body}, now)
		require.NotEmpty(t, e.Findings, "nothing here is signed by anybody who knows a secret")
		a := tenants.ExplainAuth(app, tenants.SignedAuth{SocketID: socket, Channel: channel, ChannelData: data, UserData: data, Auth: auth})
		if channel != "" {
			require.Equal(t, tenants.VerifyChannelAuth(app, auth, socket, channel, data) == nil && len(a.Findings) == 0, len(a.Findings) == 0)
		}
	})
}
