package adminapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"time"
)

// keepTimeout bounds noting what became of a request.
const keepTimeout = 5 * time.Second

// answerOnce serves a POST under a key of the caller's choice. What is kept is
// the whole answer, so that who lost it, and with it a secret that is shown
// once, can ask again for a day.
func (a *API) answerOnce(w http.ResponseWriter, r *Request, key string) (*Reply, error) {
	tenant := ""
	if r.Tenant != nil {
		tenant = r.Tenant.ID
	}
	known, err := a.cfg.Accounts.BeginIdempotent(r.Context(), r.Caller, tenant, key, requestHash(r))
	if err != nil {
		return nil, err
	}
	if known != nil {
		w.Header().Set("Idempotent-Replayed", "true")
		return replay(known.Header, known.Body), nil
	}
	reply, err := r.route.Serve(r)
	// Whoever asked may have gone; what became of it is kept all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), keepTimeout)
	defer cancel()
	if err != nil {
		// After a fault of ours nobody knows whether it took effect: the key stays
		// taken for a while, and a repetition is refused instead of done twice.
		if _, _, fault := problemOf(err); !fault {
			a.keep(a.cfg.Accounts.DropIdempotent(ctx, r.Caller, key))
		}
		return nil, err
	}
	header, body := record(reply)
	a.keep(a.cfg.Accounts.EndIdempotent(ctx, r.Caller, key, r.route.Status, header, body))
	return reply, nil
}

// keep logs that an answer could not be kept; the request itself is done.
func (a *API) keep(err error) {
	if err != nil {
		a.log.Warn("the outcome of a request with an idempotency key is not kept", "error", err)
	}
}

// requestHash stands for what was asked.
func requestHash(r *Request) string {
	h := sha256.New()
	for _, part := range []string{r.http.Method, r.http.URL.EscapedPath(), r.http.URL.RawQuery} {
		h.Write([]byte(part + "\n"))
	}
	h.Write(r.body)
	return hex.EncodeToString(h.Sum(nil))
}

// keptHeader is what is kept of an answer beside its body.
type keptHeader struct {
	Location string `json:"location,omitempty"`
	Revision int64  `json:"revision,omitempty"`
}

func record(reply *Reply) (header json.RawMessage, body []byte) {
	if reply == nil {
		reply = &Reply{}
	}
	header, _ = json.Marshal(keptHeader{reply.Location, reply.Revision})
	if reply.Body != nil {
		body, _ = json.Marshal(reply.Body)
	}
	return header, body
}

func replay(header json.RawMessage, body []byte) *Reply {
	var kept keptHeader
	_ = json.Unmarshal(header, &kept)
	reply := &Reply{Location: kept.Location, Revision: kept.Revision}
	if body = bytes.TrimSpace(body); len(body) > 0 {
		reply.Body = json.RawMessage(body)
	}
	return reply
}
