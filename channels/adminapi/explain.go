package adminapi

import (
	"strings"
	"time"

	"tidewire/tenants"
	"tidewire/tenants/adminapi"
)

// explainBody is a call of the HTTP API, with path, or an auth string.
type explainBody struct {
	Method string `json:"method"`
	Path   string `json:"path"`  // as it was sent; the query may stand behind it
	Query  string `json:"query"` // as it was sent, without the question mark
	Body   string `json:"body"`

	Auth        string `json:"auth"` // key:signature
	SocketID    string `json:"socket_id"`
	Channel     string `json:"channel"` // of a subscription; empty = a sign-in
	ChannelData string `json:"channel_data"`
	UserData    string `json:"user_data"`
}

type explainView struct {
	OK       bool          `json:"ok"`
	Expected string        `json:"expected"` // the text whose HMAC-SHA256 in hex the signature must be; empty = it cannot be told
	Key      string        `json:"key"`      // that is meant to have signed
	Findings []findingView `json:"findings"`
}

type findingView struct {
	Code   string `json:"code"`
	Text   string `json:"text"`
	Remedy string `json:"remedy"`
}

func (c *Consoles) explain(r *adminapi.Request) (*adminapi.Reply, error) {
	var in explainBody
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	app, err := c.Apps.ByID(r.Context(), r.App())
	if err != nil {
		return nil, err
	}
	var e tenants.Explanation
	switch {
	case (in.Path == "") == (in.Auth == ""):
		return nil, &tenants.InvalidError{Field: "path", Reason: "give the path of a request, or the auth of a subscription or sign-in"}
	case in.Path != "":
		path, query, _ := strings.Cut(in.Path, "?")
		if query == "" {
			query = in.Query
		}
		method := in.Method
		if method == "" {
			method = "POST"
		}
		e = tenants.ExplainRequest(app, tenants.SignedRequest{Method: method, Path: path, RawQuery: query, Body: []byte(in.Body)}, time.Now())
	default:
		e = tenants.ExplainAuth(app, tenants.SignedAuth{
			SocketID: in.SocketID, Channel: in.Channel, ChannelData: in.ChannelData, UserData: in.UserData, Auth: in.Auth,
		})
	}
	v := explainView{OK: len(e.Findings) == 0, Expected: e.Expected, Key: e.Key, Findings: make([]findingView, len(e.Findings))}
	for i, f := range e.Findings {
		v.Findings[i] = findingView(f)
	}
	return &adminapi.Reply{Body: v}, nil
}
