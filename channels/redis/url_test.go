package redis_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/channels/redis"
)

func TestParseURL(t *testing.T) {
	t.Parallel()
	type u = redis.ParsedURL
	for raw, want := range map[string]u{
		"redis://localhost":                 {Mode: "single", Addrs: []string{"localhost:6379"}},
		"redis://localhost/":                {Mode: "single", Addrs: []string{"localhost:6379"}},
		"redis://10.0.0.1:7000/3":           {Mode: "single", Addrs: []string{"10.0.0.1:7000"}, DB: 3},
		"redis://[::1]:7000":                {Mode: "single", Addrs: []string{"[::1]:7000"}},
		"redis://[::1]":                     {Mode: "single", Addrs: []string{"[::1]:6379"}},
		"rediss://u:p@h":                    {Mode: "single", User: "u", Password: "p", Addrs: []string{"h:6379"}, TLS: true},
		"redis://:p%40%2f%3A%25@h":          {Mode: "single", Password: "p@/:%", Addrs: []string{"h:6379"}},
		"redis://u:a:b@c@h":                 {Mode: "single", User: "u", Password: "a:b@c", Addrs: []string{"h:6379"}},
		"redis+sentinel://a,b:1,c/main":     {Mode: "sentinel", Addrs: []string{"a:26379", "b:1", "c:26379"}, Master: "main"},
		"redis+sentinel://u:p@a/main/2":     {Mode: "sentinel", User: "u", Password: "p", Addrs: []string{"a:26379"}, Master: "main", DB: 2},
		"redis+sentinel://a/main?tls=true":  {Mode: "sentinel", Addrs: []string{"a:26379"}, Master: "main", TLS: true},
		"redis+cluster://a,b":               {Mode: "cluster", Addrs: []string{"a:6379", "b:6379"}},
		"redis+cluster://u:p@a,b?tls=true":  {Mode: "cluster", User: "u", Password: "p", Addrs: []string{"a:6379", "b:6379"}, TLS: true},
		"redis+cluster://a:7000/?tls=false": {Mode: "cluster", Addrs: []string{"a:7000"}},
	} {
		got, err := redis.ParseURL(raw)
		require.NoError(t, err, raw)
		require.Equal(t, want, got, raw)
	}
}

func TestParseURLRefuses(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"":                                 "no scheme",
		"localhost:6379":                   "no scheme",
		"http://localhost":                 "unknown scheme",
		"REDIS://localhost":                "unknown scheme",
		"redis://":                         "host is empty",
		"redis://:6379":                    "host is empty",
		"redis://h:":                       "port",
		"redis://h:0":                      "port",
		"redis://h:65536":                  "port",
		"redis://h:x":                      "port",
		"redis://a b":                      "character",
		"redis://h:1:2":                    "a host is not of the form",
		"redis://a,b":                      "several hosts",
		"redis://h/one":                    "not a number",
		"redis://h/-1":                     "not a number",
		"redis://h/1/2":                    "too many parts",
		"redis://h?tls=true":               "rediss://",
		"redis://h?timeout=1":              "unknown option",
		"redis+cluster://h/1":              "no database numbers",
		"redis+cluster://h?tls=perhaps":    "true or false",
		"redis+cluster://h?tls=true&x=1":   "unknown option",
		"redis+cluster://a,,b":             "host is empty",
		"redis+sentinel://h":               "master's name is missing",
		"redis+sentinel://h/":              "master's name is missing",
		"redis+sentinel://h/main/x":        "not a number",
		"redis://hunter2@h":                "without a password",
		"redis://u:hunter2%zz@h":           "%25",
		"redis://u:hunter2/x@h":            "%2F",
		"redis://u:hunter2?x@h":            "%3F",
		"redis://u:6379?hunter2@h":         "%3F",
		"redis://u:hunter2#x@h":            "%23",
		"redis://u:6379/hunter2@h":         "not a number",
		"redis+sentinel://u:hunter2@h/%zz": "master's name",
		"redis+cluster://u:6379/hunter2@h": "no database numbers",
	} {
		_, err := redis.ParseURL(raw)
		require.ErrorContains(t, err, want, raw)
		require.NotContains(t, err.Error(), "hunter2", raw)
		require.NotContains(t, err.Error(), "\n", raw)
	}
}

func FuzzParseURL(f *testing.F) {
	for _, s := range []string{"p", "p@q", "p/q", "p?q", "%", "%41", "p#q", "a,b", ":", "[", "\n"} {
		f.Add("redis", s, "h/0")
		f.Add("redis+sentinel", s, "h,i/main/0?tls=true")
		f.Add("redis+cluster", s, "h,i")
	}
	f.Fuzz(func(t *testing.T, scheme, password, rest string) {
		const secret = "Zq7secretZq7"
		got, err := redis.ParseURL(scheme + "://user:" + secret + password + "@" + rest)
		if err != nil {
			if strings.Contains(err.Error(), secret) {
				t.Fatalf("the error shows the password: %v", err)
			}
			return
		}
		if len(got.Addrs) == 0 {
			t.Fatal("accepted without a host")
		}
		for _, addr := range got.Addrs {
			if strings.Contains(addr, secret) {
				t.Fatalf("the password became a host: %q", addr)
			}
		}
	})
}
