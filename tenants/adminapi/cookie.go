package adminapi

import (
	"net/http"
	"time"
)

// cookieName names the session cookie. Over TLS it has the prefix that keeps
// other hosts of the same domain from setting it.
func cookieName(secure bool) string {
	if secure {
		return "__Host-tidewire"
	}
	return "tidewire"
}

// sessionCookie hands a session to a browser, out of the reach of its scripts.
func sessionCookie(token string, expires time.Time, secure bool) *http.Cookie {
	return &http.Cookie{
		Name: cookieName(secure), Value: token, Path: "/", Expires: expires,
		HttpOnly: true, Secure: secure, SameSite: http.SameSiteStrictMode,
	}
}

func noSessionCookie(secure bool) *http.Cookie {
	c := sessionCookie("", time.Unix(0, 0), secure)
	c.MaxAge = -1
	return c
}
