package ws

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tidewire/channels"
	"tidewire/tenants"
)

// lookupTime bounds how long a handshake waits for an app that is not in memory.
const lookupTime = 5 * time.Second

// entry is who is coming in, and whether they may.
type entry struct {
	app     *tenants.App
	key     string
	claims  *tenants.JWTClaims // of the token it came with; nil for none
	refusal *channels.Refusal
}

// check finds the app, and the reason to refuse if there is one.
func (d *Door) check(r *http.Request) *entry {
	key, ok := strings.CutPrefix(r.URL.Path, "/app/")
	if !ok || key == "" || strings.Contains(key, "/") {
		return &entry{refusal: channels.Refuse(channels.CodePathNotFound, "Path not found. Connect to /app/{key}.")}
	}
	ctx, cancel := context.WithTimeout(r.Context(), lookupTime)
	defer cancel()
	app, err := d.cfg.Apps.ByKey(ctx, key)
	e := &entry{app: app, key: key}
	switch {
	case errors.Is(err, tenants.ErrNotFound):
		e.refusal = channels.Refuse(channels.CodeAppUnknown, "App key %.64s does not exist. Check the key, and that the app was created on this server.", key)
	case err != nil:
		d.cfg.Log.WarnContext(ctx, "app look-up", "error", err)
		e.refusal = channels.Unknown()
	default:
		if e.refusal = d.admissible(app, key, r); e.refusal == nil {
			e.checkToken(ctx, d.hub, r)
		}
	}
	return e
}

// checkToken verifies the token in the query, if there is one: the last thing
// that is looked at, since it costs the most.
func (e *entry) checkToken(ctx context.Context, hub *channels.Hub, r *http.Request) {
	switch given := r.URL.Query()["token"]; len(given) {
	case 0:
	case 1:
		e.claims, e.refusal = hub.VerifyConnectToken(ctx, e.app, given[0])
	default:
		e.refusal = channels.Refuse(channels.CodeUnauthorized, "Invalid token: it is given several times in the query. Send one.")
	}
}

func (d *Door) admissible(app *tenants.App, key string, r *http.Request) *channels.Refusal {
	if refusal := channels.Servable(app, key); refusal != nil {
		return refusal
	}
	if app.Settings.ForceTLS && !d.cfg.IsTLS(r) {
		return channels.Refuse(channels.CodeTLSOnly, "Application only accepts SSL connections, reconnect using wss://")
	}
	if refusal := checkProtocol(r.URL.Query().Get("protocol")); refusal != nil {
		return refusal
	}
	if origin := r.Header.Get("Origin"); !app.Settings.OriginAllowed(origin) {
		return channels.Refuse(channels.CodeUnauthorized, "Origin %.100q is not in this app's allowed_origins", origin)
	}
	return nil
}

func checkProtocol(version string) *channels.Refusal {
	if version == "" {
		return channels.Refuse(channels.CodeProtocolMissing, "No protocol version supplied. Add ?protocol=7.")
	}
	n, err := strconv.Atoi(version)
	if err != nil {
		return channels.Refuse(channels.CodeProtocolInvalid, "Invalid protocol version %.20q. Use ?protocol=7.", version)
	}
	if n < 5 || n > 7 {
		return channels.Refuse(channels.CodeProtocolUnsupport, "Unsupported protocol version %d. This server speaks 5, 6 and 7.", n)
	}
	return nil
}
