package pusher_test

import (
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/bench/internal/pusher"
)

// The documented example of the HTTP API's signature.
var documented = pusher.App{ID: "3", Key: "278d425bdf160c739803", Secret: "7ad3773142a6692b25b8"}

const (
	documentedBody = `{"name":"foo","channels":["project-3"],"data":"{\"some\":\"data\"}"}`
	documentedUnix = 1353088179
	documentedSign = "da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c"
)

func TestSignerKnownVector(t *testing.T) {
	t.Parallel()
	s := pusher.NewSigner(documented)
	want := "auth_key=278d425bdf160c739803&auth_timestamp=1353088179&auth_version=1.0" +
		"&body_md5=ec365a775a4cd0599faeb73354201b6f&auth_signature=" + documentedSign
	for range 2 { // the second call must not be touched by what the first left behind
		require.Equal(t, want, string(s.Query("POST", "/apps/3/events", documentedUnix, []byte(documentedBody))))
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	good := string(pusher.NewSigner(documented).Query("POST", "/apps/3/events", documentedUnix, []byte(documentedBody)))
	tests := []struct {
		name, path, query, body string
		at                      int64
		ok                      bool
	}{
		{"as signed", "/apps/3/events", good, documentedBody, documentedUnix, true},
		{"just inside the window", "/apps/3/events", good, documentedBody, documentedUnix + 599, true},
		{"too late", "/apps/3/events", good, documentedBody, documentedUnix + 600, false},
		{"too early", "/apps/3/events", good, documentedBody, documentedUnix - 600, false},
		{"another path", "/apps/4/events", good, documentedBody, documentedUnix, false},
		{"another body", "/apps/3/events", good, strings.Replace(documentedBody, "foo", "bar", 1), documentedUnix, false},
		{"another version", "/apps/3/events", strings.Replace(good, "1.0", "1.1", 1), documentedBody, documentedUnix, false},
		{"signature cut off", "/apps/3/events", good[:len(good)-1], documentedBody, documentedUnix, false},
		{"no query", "/apps/3/events", "", documentedBody, documentedUnix, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			q, err := url.ParseQuery(tt.query)
			require.NoError(t, err)
			err = pusher.Verify(documented, "POST", tt.path, q, []byte(tt.body), time.Unix(tt.at, 0))
			if tt.ok {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, pusher.ErrSignature)
			}
		})
	}
}

func TestChannelAuthKnownVector(t *testing.T) {
	t.Parallel()
	require.Equal(t,
		"278d425bdf160c739803:58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4",
		pusher.ChannelAuth(documented, "1234.1234", "private-foobar", ""))
}

func TestAppsAreDistinctAndKept(t *testing.T) {
	t.Parallel()
	apps := pusher.Apps(100)
	seen := map[string]bool{}
	for _, a := range apps {
		require.Regexp(t, `^[0-9]+$`, a.ID)
		require.Regexp(t, `^[0-9a-f]{20}$`, a.Key)
		require.Regexp(t, `^[0-9a-f]{20}$`, a.Secret)
		require.False(t, seen[a.ID] || seen[a.Key], "app %s appears twice", a.ID)
		seen[a.ID], seen[a.Key] = true, true
	}
	path := filepath.Join(t.TempDir(), "apps.json")
	require.NoError(t, pusher.WriteApps(path, apps))
	back, err := pusher.ReadApps(path)
	require.NoError(t, err)
	require.Equal(t, apps, back)
}

func TestParseEvents(t *testing.T) {
	t.Parallel()
	one, err := pusher.ParseEvents([]byte(documentedBody), false)
	require.NoError(t, err)
	require.Equal(t, []string{"project-3"}, one[0].Targets())
	frame, err := one[0].Frame("project-3")
	require.NoError(t, err)
	require.JSONEq(t, `{"event":"foo","channel":"project-3","data":"{\"some\":\"data\"}"}`, string(frame))

	two, err := pusher.ParseEvents([]byte(`{"batch":[{"name":"a","channel":"x","data":"1"},{"name":"b","channel":"y","data":"2"}]}`), true)
	require.NoError(t, err)
	require.Len(t, two, 2)
	require.Equal(t, []string{"y"}, two[1].Targets())

	for _, bad := range []string{``, `{`, `{"name":"a"}`, `{"channels":["x"]}`} {
		_, err := pusher.ParseEvents([]byte(bad), false)
		require.Error(t, err, bad)
	}
}
