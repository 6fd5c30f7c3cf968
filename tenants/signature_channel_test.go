package tenants_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
)

func docsApp() *tenants.App {
	return &tenants.App{ID: "3", Keys: []tenants.Key{
		{Key: "old", Secret: tenants.NewSecret("gone"), Status: tenants.KeyRevoked},
		{Key: "empty", Status: tenants.KeyActive},
		{Key: docsKey, Secret: tenants.NewSecret(docsSecret), Status: tenants.KeyActive},
	}}
}

func TestChannelAuthVectors(t *testing.T) {
	t.Parallel()
	cases := []struct{ channel, data, digest string }{
		{"private-foobar", "", "58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4"},
		{"private-foobar", `{"user_id":"10","user_info":{"name":"Mr. Pusher"}}`, "300c65e60159f3a3872e75024f217d79aa7a25a81e9e92eb21c4340d51506b60"},
		{"presence-foobar", `{"user_id":10,"user_info":{"name":"Mr. Pusher"}}`, "afaed3695da2ffd16931f457e338e6c9f2921fa133ce7dac49f529792be6304c"},
		{"presence-foobar", `{"user_id":"10","user_info":{"name":"Mr. Pusher"}}`, "48dac51d2d7569e1e9c0f48c227d4b26f238fa68e5c0bb04222c966909c4f7c4"},
		{"presence-foobar", `{"user_id":10,"user_info":{"name":"Mr. Channels"}}`, "31935e7d86dba64c2a90aed31fdc61869f9b22ba9d8863bba239c03ca481bc80"},
	}
	app := docsApp()
	for _, c := range cases {
		auth, err := tenants.ChannelAuth(app.Keys[2], "1234.1234", c.channel, c.data)
		require.NoError(t, err)
		require.Equal(t, docsKey+":"+c.digest, auth)
		require.NoError(t, tenants.VerifyChannelAuth(app, auth, "1234.1234", c.channel, c.data))
		require.Error(t, tenants.VerifyChannelAuth(app, auth, "1234.1235", c.channel, c.data))
		require.Error(t, tenants.VerifyChannelAuth(app, auth, "1234.1234", c.channel+"x", c.data))
		require.Error(t, tenants.VerifyChannelAuth(app, auth, "1234.1234", c.channel, c.data+" "))
	}
	auth, err := tenants.UserAuth(app.Keys[2], "1234.1234", `{"id":"12345"}`)
	require.NoError(t, err)
	require.Equal(t, docsKey+":4708d583dada6a56435fb8bc611c77c359a31eebde13337c16ab43aa6de336ba", auth)
	require.NoError(t, tenants.VerifyUserAuth(app, auth, "1234.1234", `{"id":"12345"}`))
	require.Error(t, tenants.VerifyUserAuth(app, auth, "1234.1234", `{"id":"12346"}`))
}

func TestVerifyChannelAuthRefusals(t *testing.T) {
	t.Parallel()
	good := strings.Repeat("0", 64)
	cases := []struct{ name, auth, socket, channel, want string }{
		{"no colon", docsKey, "1.2", "private-a", "Invalid format: auth must have the format key:signature"},
		{"no key", ":" + good, "1.2", "private-a", "Invalid format: auth must have the format key:signature"},
		{"no signature", docsKey + ":", "1.2", "private-a", "Invalid format: auth must have the format key:signature"},
		{"foreign key", "nope:" + good, "1.2", "private-a", "Invalid key in subscription auth data: 'nope'"},
		{"revoked key", "old:" + good, "1.2", "private-a", "Invalid key in subscription auth data: 'old'"},
		{"key without secret", "empty:" + good, "1.2", "private-a", "Invalid key in subscription auth data: 'empty'"},
		{"wrong digest", docsKey + ":" + good, "1.2", "private-a", "Invalid signature: Expected HMAC SHA256 hex digest of 1.2:private-a, but got " + good},
		{"digest not hex", docsKey + ":zz", "1.2", "private-a", "Invalid signature: Expected HMAC SHA256 hex digest of 1.2:private-a, but got zz"},
		{"channel smuggled into the socket id", docsKey + ":" + good, "1.2:presence-vip", "private-mine", `Invalid socket_id: "1.2:presence-vip" is not two numbers with a dot between`},
		{"data smuggled into the channel", docsKey + ":" + good, "1.2", "private-a:b", `Invalid channel name: "private-a:b"`},
		{"line break after the socket id", docsKey + ":" + good, "1.2\n", "private-a", `Invalid socket_id: "1.2\n" is not two numbers with a dot between`},
		{"line break after the channel", docsKey + ":" + good, "1.2", "private-a\n", `Invalid channel name: "private-a\n"`},
		{"empty channel", docsKey + ":" + good, "1.2", "", `Invalid channel name: ""`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			require.EqualError(t, tenants.VerifyChannelAuth(docsApp(), c.auth, c.socket, c.channel, ""), c.want)
		})
	}
	_, err := tenants.ChannelAuth(docsApp().Keys[2], "1.2:presence-vip", "private-mine", "")
	require.Error(t, err, "we must not sign what we would not verify")
	_, err = tenants.UserAuth(docsApp().Keys[2], "1.2:", "{}")
	require.Error(t, err)
}

func TestValidSocketID(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("9", 20)
	for _, ok := range []string{"1.2", "123.456", long + "." + long} {
		require.True(t, tenants.ValidSocketID(ok), ok)
	}
	for _, bad := range []string{"", ".", "1", "1.", ".2", "1.2.3", "1.2 ", " 1.2", "1.2\n", "a.b", "-1.2", "1,2", "1.2:x", "１.２", long + "9.1", "1." + long + "9"} {
		require.False(t, tenants.ValidSocketID(bad), bad)
	}
}

// No two different triples may share an auth string, nor a channel's and a sign-in's.
func FuzzChannelAuth(f *testing.F) {
	f.Add("1.2", "private-mine", "", "1.2", "private-mine", "x")
	f.Add("1.2:presence-vip", "private-mine", "", "1.2", "presence-vip", "private-mine")
	f.Add("1.2", "private-a:b", "", "1.2", "private-a", "b")
	f.Add("1.2", "user", "", "1.2", ":user:", "")
	key := docsApp().Keys[2]
	f.Fuzz(func(t *testing.T, s1, c1, d1, s2, c2, d2 string) {
		one, err1 := tenants.ChannelAuth(key, s1, c1, d1)
		two, err2 := tenants.ChannelAuth(key, s2, c2, d2)
		if err1 == nil {
			require.NoError(t, tenants.VerifyChannelAuth(docsApp(), one, s1, c1, d1))
		}
		if err1 == nil && err2 == nil && (s1 != s2 || c1 != c2 || d1 != d2) {
			require.NotEqual(t, one, two)
		}
		if user, err := tenants.UserAuth(key, s2, d2); err == nil && err1 == nil {
			require.NotEqual(t, one, user)
		}
	})
}
