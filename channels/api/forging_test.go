package api_test

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
)

// set changes one parameter of a signed query without signing it again.
func set(name, value string) func(*request) {
	return func(r *request) {
		q, _ := url.ParseQuery(r.query)
		if value == "" {
			q.Del(name)
		} else {
			q.Set(name, value)
		}
		r.query = q.Encode()
	}
}

func appendQuery(raw string) func(*request) {
	return func(r *request) { r.query += raw }
}

// resign replaces the signature with the hexadecimal MAC of text.
func resign(secret, text string) func(*request) {
	return func(r *request) {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(text))
		set("auth_signature", hex.EncodeToString(mac.Sum(nil)))(r)
	}
}

// honest signs r again, whatever its parameters are, as the owner of the secret would.
func honest(r *request) {
	q, _ := url.ParseQuery(r.query)
	q.Del("auth_signature")
	var text []string
	for _, pair := range strings.Split(q.Encode(), "&") {
		name, value, _ := strings.Cut(pair, "=")
		name, _ = url.QueryUnescape(name)
		value, _ = url.QueryUnescape(value)
		text = append(text, strings.ToLower(name)+"="+value)
	}
	resign(secret, r.method+"\n"+r.path+"\n"+strings.Join(text, "&"))(r)
}

func then(steps ...func(*request)) func(*request) {
	return func(r *request) {
		for _, s := range steps {
			s(r)
		}
	}
}

func at(offset time.Duration) func(*request) {
	return func(r *request) {
		q := tenants.SignRequest(tenants.NewSecret(secret), key, r.method, r.path, nil, r.body, now.Add(offset))
		r.query = q.Encode()
	}
}

func TestForgedRequests(t *testing.T) {
	t.Parallel()
	const (
		wrong     = "Invalid signature: you should have sent HmacSHA256Hex("
		malformed = "Invalid query"
		stamp     = "1353088179"
	)
	zeros := strings.Repeat("0", 64)
	body := `{"name":"foo","channels":["project-3"],"data":"{\"some\":\"data\"}"}`
	other := `{"name":"foo","channels":["project-4"],"data":"{\"some\":\"data\"}"}`
	sum := func(b string) string { s := md5.Sum([]byte(b)); return hex.EncodeToString(s[:]) }
	base := "auth_key=" + key + "&auth_timestamp=" + stamp + "&auth_version=1.0&body_md5=" + sum(body)
	text := "POST\n/apps/3/events\n" + base

	cases := []struct {
		name  string
		forge func(*request)
		want  string
	}{
		// The key.
		{"no query at all", func(r *request) { r.query = "" }, "Missing parameter: auth_key\n"},
		{"no key", set("auth_key", ""), "Missing parameter: auth_key\n"},
		{"unknown key", set("auth_key", "00000000000000000000"), "Unknown auth_key\n"},
		{"unknown key, its own secret", func(r *request) { *r = signedBy("nokey", "nosecret", r.path, body) }, "Unknown auth_key\n"},
		{"key in upper case", set("auth_key", strings.ToUpper(key)), "Unknown auth_key\n"},
		{"key with a space", set("auth_key", key+" "), "Unknown auth_key\n"},
		{"key with a NUL", set("auth_key", key+"\x00"), malformed},
		{"revoked key", func(r *request) { *r = signedBy("revokedkey", "revoked", "/apps/6/events", body) }, "Unknown auth_key\n"},
		{"another tenant's key", set("auth_key", "otherkey"), wrong},
		{"another tenant's secret", func(r *request) { *r = signedBy(key, "other", r.path, body) }, wrong},
		{"the key as secret", func(r *request) { *r = signedBy(key, key, r.path, body) }, wrong},
		{"the empty secret", func(r *request) { *r = signedBy(key, "", r.path, body) }, wrong},
		{"the redacted secret", func(r *request) { *r = signedBy(key, "[redacted]", r.path, body) }, wrong},
		{"key as an array", func(r *request) { r.query = strings.Replace(r.query, "auth_key=", "auth_key[]=", 1) }, "Missing parameter: auth_key\n"},

		// The version.
		{"no version", then(set("auth_version", ""), honest), "Version required\n"},
		{"version 2.0", then(set("auth_version", "2.0"), honest), "Version not supported"},
		{"version 1", then(set("auth_version", "1"), honest), "Version not supported"},
		{"version 1.0 with a space", then(set("auth_version", "1.0 "), honest), "Version not supported"},

		// The timestamp.
		{"no timestamp", then(set("auth_timestamp", ""), honest), "Timestamp required\n"},
		{"timestamp a word", then(set("auth_timestamp", "now"), honest), "Timestamp invalid"},
		{"timestamp a fraction", then(set("auth_timestamp", stamp+".0"), honest), "Timestamp invalid"},
		{"timestamp in hex", then(set("auth_timestamp", "0x50A69B33"), honest), "Timestamp invalid"},
		{"timestamp with a sign", then(set("auth_timestamp", "+"+stamp), honest), "Timestamp invalid"},
		{"timestamp negative", then(set("auth_timestamp", "-1"), honest), "Timestamp invalid"},
		{"timestamp in milliseconds", then(set("auth_timestamp", stamp+"000"), honest), "Timestamp invalid"},
		{"timestamp overflows", then(set("auth_timestamp", "18446744075062639795"), honest), "Timestamp invalid"},
		{"timestamp in other digits", then(set("auth_timestamp", "１３５３０８８１７９"), honest), "Timestamp invalid"},
		{"600 s old", at(-600 * time.Second), "it is 600 s behind the server"},
		{"600 s early", at(600 * time.Second), "it is 600 s ahead of the server"},
		{"a year old", at(-365 * 24 * time.Hour), "Timestamp expired: Given timestamp (2011-11-17T17:49:39Z) not within 600s of server time (2012-11-16T17:49:39Z)"},
		{"timestamp moved, not signed again", set("auth_timestamp", "1353088180"), wrong},

		// The body.
		{"no body_md5", then(set("body_md5", ""), honest), "Missing parameter: body_md5"},
		{"body_md5 of another body", then(set("body_md5", sum(other)), honest), "Invalid body_md5: the body received has the MD5 ec365a775a4cd0599faeb73354201b6f"},
		{"body_md5 of no body", then(set("body_md5", sum("")), honest), "Invalid body_md5"},
		{"body_md5 cut", then(set("body_md5", sum(body)[:31]), honest), "Invalid body_md5"},
		{"body_md5 not hex", then(set("body_md5", strings.Repeat("z", 32)), honest), "Invalid body_md5"},
		{"body exchanged", func(r *request) { r.body = []byte(other) }, "Invalid body_md5"},
		{"body exchanged, body_md5 too", then(func(r *request) { r.body = []byte(other) }, set("body_md5", sum(other))), wrong},
		{"body with a line feed more", func(r *request) { r.body = append(r.body, '\n') }, "Invalid body_md5"},
		{"body removed", func(r *request) { r.body = nil }, "Invalid body_md5"},
		{"body_md5 removed, not signed again", set("body_md5", ""), "Missing parameter: body_md5"},

		// The signature itself.
		{"no signature", set("auth_signature", ""), "Missing parameter: auth_signature\n"},
		{"signature empty", func(r *request) { set("auth_signature", "")(r); r.query += "&auth_signature=" }, wrong},
		{"signature zero", set("auth_signature", zeros), wrong},
		{"signature one digit off", func(r *request) {
			q, _ := url.ParseQuery(r.query)
			s := q.Get("auth_signature")
			set("auth_signature", s[:63]+string("10"[s[63]&1]))(r)
		}, wrong},
		{"signature cut", func(r *request) {
			q, _ := url.ParseQuery(r.query)
			set("auth_signature", q.Get("auth_signature")[:62])(r)
		}, wrong},
		{"signature with a tail", func(r *request) {
			q, _ := url.ParseQuery(r.query)
			set("auth_signature", q.Get("auth_signature")+"00")(r)
		}, wrong},
		{"signature with 0x", func(r *request) {
			q, _ := url.ParseQuery(r.query)
			set("auth_signature", "0x"+q.Get("auth_signature"))(r)
		}, wrong},
		{"signature in base64", func(r *request) {
			mac := hmac.New(sha256.New, []byte(secret))
			mac.Write([]byte(text))
			set("auth_signature", base64.StdEncoding.EncodeToString(mac.Sum(nil)))(r)
		}, wrong},
		{"SHA-1", func(r *request) {
			mac := hmac.New(sha1.New, []byte(secret))
			mac.Write([]byte(text))
			set("auth_signature", hex.EncodeToString(mac.Sum(nil)))(r)
		}, wrong},
		{"a plain hash of secret and text", func(r *request) {
			s := sha256.Sum256([]byte(secret + text))
			set("auth_signature", hex.EncodeToString(s[:]))(r)
		}, wrong},
		{"MAC of nothing", resign(secret, ""), wrong},
		{"MAC of the query alone", resign(secret, base), wrong},
		{"MAC without the method", resign(secret, "/apps/3/events\n"+base), wrong},
		{"MAC with another method", resign(secret, strings.Replace(text, "POST", "GET", 1)), wrong},
		{"MAC with the method in lower case", resign(secret, strings.Replace(text, "POST", "post", 1)), wrong},
		{"MAC with CR LF", resign(secret, strings.ReplaceAll(text, "\n", "\r\n")), wrong},
		{"MAC over a host", resign(secret, strings.Replace(text, "/apps", "//tidewire.test/apps", 1)), wrong},
		{"MAC of another path", resign(secret, strings.Replace(text, "events", "batch_events", 1)), wrong},
		{"MAC of another app's path", resign(secret, strings.Replace(text, "/apps/3", "/apps/8", 1)), wrong},
		{"MAC of a channel authorization", resign(secret, "1.2:private-c"), wrong},
		{"signature of the batch endpoint", func(r *request) { r.query = signed("/apps/3/batch_events", body).query }, wrong},
		{"the private MAC text in unsorted order", resign(secret, "POST\n/apps/3/events\nbody_md5="+sum(body)+"&auth_key="+key+"&auth_timestamp="+stamp+"&auth_version=1.0"), wrong},

		// The query.
		{"a parameter added", appendQuery("&info=user_count"), wrong},
		{"the key twice", appendQuery("&auth_key=" + key), "Duplicate parameter: auth_key may be sent only once\n"},
		{"the key twice, another first", func(r *request) { r.query = "auth_key=otherkey&" + r.query }, "Duplicate parameter: auth_key"},
		{"the key twice in another case", appendQuery("&AUTH_KEY=" + key), "Duplicate parameter: auth_key"},
		{"the key twice, one escaped", appendQuery("&%61uth_key=" + key), "Duplicate parameter: auth_key"},
		{"two signatures", appendQuery("&auth_signature=" + zeros), "Duplicate parameter: auth_signature"},
		{"a signature and an array of it", appendQuery("&auth_signature[]=" + zeros), "Duplicate parameter: auth_signature"},
		{"two timestamps", appendQuery("&auth_timestamp=" + stamp), "Duplicate parameter: auth_timestamp"},
		{"two body_md5", appendQuery("&Body_MD5=" + sum(body)), "Duplicate parameter: body_md5"},
		{"several parameters folded into one value", func(r *request) {
			signature := strings.SplitN(r.query, "auth_signature=", 2)[1][:64]
			r.query = "auth_key=" + key + url.QueryEscape("&auth_timestamp="+stamp+"&auth_version=1.0&body_md5="+sum(body)) + "&auth_signature=" + signature
		}, "Invalid query: the value of auth_key must be UTF-8 without '&' and control characters\n"},
		{"a parameter folded into a name", appendQuery("&" + url.QueryEscape("a=b&c") + "=d"), malformed},
		{"a line break in a value", appendQuery("&a=%0ab"), malformed},
		{"a broken escape", appendQuery("&a=%zz"), malformed},
		{"a name without a value", appendQuery("&a"), malformed},
		{"an empty pair", appendQuery("&"), malformed},
		{"invalid UTF-8", appendQuery("&a=%ff"), malformed},
		{"a thousand parameters", appendQuery(strings.Repeat("&a[]=1", 1000)), malformed},
		{"a very long query", appendQuery("&a=" + strings.Repeat("x", 9000)), malformed},
	}
	require.GreaterOrEqual(t, len(cases), 40)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			r := signed("/apps/3/events", body)
			c.forge(&r)
			got := f.do(r)
			require.Equal(t, 401, got.status, got.body)
			require.True(t, strings.HasPrefix(got.body, c.want) || strings.Contains(got.body, c.want), got.body)
			require.Equal(t, 1, strings.Count(got.body, "\n"))
			require.NotContains(t, got.body, secret)
			require.Empty(t, f.hub.taken())
		})
	}
}

// What a library may well send differently is no forgery.
func TestHonestVariants(t *testing.T) {
	t.Parallel()
	body := `{"name":"foo","channels":["project-3"],"data":"{\"some\":\"data\"}"}`
	cases := map[string]func(*request){
		"as the documentation has it": func(r *request) {
			r.query = "auth_key=278d425bdf160c739803&auth_timestamp=1353088179&auth_version=1.0&body_md5=ec365a775a4cd0599faeb73354201b6f" +
				"&auth_signature=da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c"
		},
		"the query in another order": func(r *request) {
			parts := strings.Split(r.query, "&")
			for i, j := 0, len(parts)-1; i < j; i, j = i+1, j-1 {
				parts[i], parts[j] = parts[j], parts[i]
			}
			r.query = strings.Join(parts, "&")
		},
		"names in upper case":             func(r *request) { r.query = strings.ReplaceAll(r.query, "auth_", "AUTH_") },
		"values escaped":                  func(r *request) { r.query = strings.ReplaceAll(r.query, "1.0", "%31%2E%30") },
		"the signature in upper case hex": func(r *request) { upper(r, "auth_signature") },
		"599 s old":                       at(-599 * time.Second),
		"599 s early":                     at(599 * time.Second),
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			r := signed("/apps/3/events", body)
			change(&r)
			got := f.do(r)
			require.Equal(t, 200, got.status, got.body)
			require.Len(t, f.hub.taken(), 1)
		})
	}
}

func upper(r *request, name string) {
	q, _ := url.ParseQuery(r.query)
	set(name, strings.ToUpper(q.Get(name)))(r)
}

// A signed parameter the endpoint does not know is the sender's mistake, not a forgery.
func TestExtraneousParameters(t *testing.T) {
	t.Parallel()
	f := setup(t)
	q := tenants.SignRequest(tenants.NewSecret(secret), key, "POST", "/apps/3/events", url.Values{"info": {"user_count"}, "Also": {"x"}}, []byte(event), now)
	got := f.do(request{"POST", "/apps/3/events", q.Encode(), []byte(event)})
	requireRefused(t, f, got, 400, "The following query string parameters are extraneous: also, info\n")
}

// The body is not read as JSON before its signature is proven.
func TestNothingIsParsedBeforeTheSignature(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, body := range []string{"", "{", strings.Repeat("[", 10000), "\xff"} {
		requireRefused(t, f, f.do(signedBy(key, "guess", "/apps/3/events", body)), 401, "Invalid signature")
		requireRefused(t, f, f.do(signedBy("nokey", "guess", "/apps/3/events", body)), 401, "Unknown auth_key\n")
	}
}

func FuzzTrigger(f *testing.F) {
	for _, body := range []string{
		event, `{"name":"e","channels":["presence-a","b"],"data":"x","info":"user_count,subscription_count"}`,
		`{"batch":[{"name":"e","channel":"b","data":"x","info":"user_count"}]}`, `{"name":"foo","channels":["a","b"],"data":"\ud83d\ude00"}`, `{"batch":[` + event + `]}`, `{"name":"x","channel":"c","data":"\ud800"}`, "", "[]", "\xff",
	} {
		f.Add(body, false)
		f.Add(body, true)
	}
	f.Fuzz(func(t *testing.T, body string, batch bool) {
		fx := setup(t)
		path := "/apps/3/events"
		if batch {
			path = "/apps/3/batch_events"
		}
		got := fx.do(signed(path, body))
		switch got.status {
		case 200:
			require.True(t, json.Valid([]byte(got.body)) && got.body[0] == '{', got.body)
		case 400, 413:
			require.Equal(t, 1, strings.Count(got.body, "\n"))
			require.Empty(t, fx.hub.taken())
		default:
			t.Fatalf("%d %s", got.status, got.body)
		}
		for _, ev := range fx.hub.taken() {
			require.NoError(t, plain(ev.Data), "data must be a literal any parser reads")
			require.False(t, strings.HasPrefix(ev.Name, "pusher"))
			require.LessOrEqual(t, len(ev.Topic.Channel), 200)
		}
	})
}

// plain reads a JSON string literal the slow way.
func plain(literal []byte) error {
	var s string
	if err := json.Unmarshal(literal, &s); err != nil {
		return err
	}
	if strings.ContainsRune(s, '\uFFFD') && !strings.Contains(strings.ToLower(string(literal)), `\ufffd`) && !strings.Contains(string(literal), "\uFFFD") {
		return fmt.Errorf("a lone surrogate in %q", literal)
	}
	return nil
}
