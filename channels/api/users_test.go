package api_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
	"tidewire/tenants"
)

func TestTerminate(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/apps/3/users/", "/users/"} {
		for _, id := range []string{"12345", "a_b-c=d@e,f.g;h", strings.Repeat("x", 200)} {
			for _, body := range []string{"", "{}", "anything"} {
				f := setup(t)
				got := f.do(signed(path+id+"/terminate_connections", body))
				require.Equal(t, 200, got.status, got.body)
				require.Equal(t, "{}", got.body)
				require.Equal(t, []string{"3/" + id}, f.hub.terminated)
			}
		}
	}
}

func TestTerminateRefusals(t *testing.T) {
	t.Parallel()
	const bad = "Invalid user id: it must be 1 to 200 of the characters A-Z a-z 0-9 _ - = @ , . ;\n"
	f := setup(t)
	for _, root := range []string{"/apps/3/users/", "/users/"} {
		for _, id := range []string{"a%20b", "a:b", "%C3%A9", "%23", strings.Repeat("x", 201)} {
			requireRefused(t, f, f.do(signed(root+id+"/terminate_connections", "{}")), 400, bad)
		}
		path := root + "1/terminate_connections"
		requireRefused(t, f, f.do(signedBy(key, "guess", path, "{}")), 401, "Invalid signature: you should have sent HmacSHA256Hex(")
		requireRefused(t, f, f.do(signedBy("nokey", "guess", path, "{}")), 401, "Unknown auth_key\n")
		q := tenants.SignRequest(tenants.NewSecret(secret), key, "POST", path, url.Values{"user_id": {"2"}}, nil, now)
		requireRefused(t, f, f.do(request{"POST", path, q.Encode(), nil}), 400, "The following query string parameters are extraneous: user_id\n")
	}
	requireRefused(t, f, f.do(signedBy("otherkey", "other", "/apps/3/users/1/terminate_connections", "{}")), 404,
		"App not found: auth_key does not belong to the app id in the path\n")
	requireRefused(t, f, f.do(signedBy("disabledkey", "s4", "/users/1/terminate_connections", "{}")), 403, "App disabled: enable it before using it\n")
	requireRefused(t, f, f.do(signedBy("suspendedkey", "s5", "/users/1/terminate_connections", "{}")), 403, "Account suspended: its apps cannot be used\n")
	// The signature of one of the two paths is not one of the other.
	r := signed("/users/1/terminate_connections", "{}")
	r.path = "/apps/3" + r.path
	requireRefused(t, f, f.do(r), 401, "Invalid signature")
	require.Empty(t, f.hub.terminated)

	require.Equal(t, 200, f.do(signedBy("otherkey", "other", "/users/1/terminate_connections", "{}")).status)
	require.Equal(t, []string{"8/1"}, f.hub.terminated, "without an app in the path it is the key's own")

	f.hub.away = &channels.PublishError{Failed: []int{0}, Err: fmt.Errorf("spublish: secret detail")}
	requireRefused(t, f, f.do(signed("/users/1/terminate_connections", "{}")), 503,
		"Temporarily unavailable: the user's connections cannot be reached right now, try again\n")
}
