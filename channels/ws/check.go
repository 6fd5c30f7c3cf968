package ws

import (
	"net/http"
	"strings"

	"tidewire/channels"
)

// check finds the app, and the reason to refuse if there is one.
func (d *Door) check(r *http.Request) *channels.Entry {
	key, ok := strings.CutPrefix(r.URL.Path, "/app/")
	if !ok || key == "" || strings.Contains(key, "/") {
		return &channels.Entry{Refusal: channels.Refuse(channels.CodePathNotFound, "Path not found. Connect to /app/{key}.")}
	}
	return d.gate.Check(r, key)
}
