package tenants

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"
)

// AuditEntry is one change, told once and never altered: there is no way to
// update or delete an entry but the removal of its whole tenant, which makes it
// pseudonymous.
type AuditEntry struct {
	ID         string          `json:"id"` // grows with time
	TenantID   string          `json:"tenant_id,omitempty"`
	At         time.Time       `json:"at"`
	ActorKind  ActorKind       `json:"actor_kind"`
	ActorID    string          `json:"actor_id"`
	ActorName  string          `json:"actor_name,omitempty"` // the e-mail address, or the token's name, of that time
	IP         string          `json:"ip,omitempty"`
	Action     string          `json:"action"` // thing and what was done to it: "key.rotated"
	TargetKind string          `json:"target_kind"`
	TargetID   string          `json:"target_id"`
	Before     json.RawMessage `json:"before,omitempty"` // what changed, as it was; secrets redacted
	After      json.RawMessage `json:"after,omitempty"`  // the same, as it is since
	RequestID  string          `json:"request_id,omitempty"`
}

// AuditFilter chooses entries. Zero fields choose everything.
type AuditFilter struct {
	ActorID  string
	Action   string // exact, or a prefix that ends in ".": "key."
	TargetID string
	From     time.Time // inclusive
	To       time.Time // exclusive
	Cursor   string    // the id of the last entry already seen; empty = from the newest
	Limit    int       // entries at most; 0 = 50
}

// entry starts an audit entry of what c does to target.
func (c Caller) entry(tenantID, action, targetKind, targetID string, now time.Time) AuditEntry {
	e := AuditEntry{
		TenantID: tenantID, At: now, ActorKind: c.kind, ActorID: c.ID(), IP: c.IP, Action: action,
		TargetKind: targetKind, TargetID: targetID, RequestID: c.RequestID,
	}
	switch {
	case c.user != nil:
		e.ActorName = c.user.Email
	case c.token != nil:
		e.ActorName = c.token.Name
	}
	return e
}

// changed adds what differs between two values to the entry. Either may be nil.
func (e AuditEntry) changed(before, after any) AuditEntry {
	was, is := auditFields(before), auditFields(after)
	for name := range was {
		if value, ok := is[name]; ok && bytes.Equal(was[name], value) {
			delete(was, name)
			delete(is, name)
		}
	}
	e.Before, e.After = auditJSON(was), auditJSON(is)
	return e
}

func auditFields(v any) map[string]json.RawMessage {
	if v == nil {
		return nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return nil
	}
	for name, value := range fields {
		fields[name] = redactFields(name, value)
	}
	return fields
}

func auditJSON(fields map[string]json.RawMessage) json.RawMessage {
	if len(fields) == 0 {
		return nil
	}
	raw, err := json.Marshal(fields)
	if err != nil {
		return nil
	}
	return raw
}

// redactFields is the second line of defence: what is printed into the log is
// already without secrets, and should a new field carry one, its name gives it
// away.
func redactFields(name string, value json.RawMessage) json.RawMessage {
	if sensitiveName(name) && string(value) != "null" && string(value) != "true" && string(value) != "false" {
		return json.RawMessage(`"` + redacted + `"`)
	}
	var object map[string]json.RawMessage
	if len(value) > 0 && value[0] == '{' && json.Unmarshal(value, &object) == nil {
		for inner, v := range object {
			object[inner] = redactFields(inner, v)
		}
		return auditJSONOr(object, value)
	}
	var list []json.RawMessage
	if len(value) > 0 && value[0] == '[' && json.Unmarshal(value, &list) == nil {
		for i := range list {
			list[i] = redactFields("", list[i])
		}
		return auditJSONOr(list, value)
	}
	return value
}

func auditJSONOr(v any, otherwise json.RawMessage) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		return otherwise
	}
	return raw
}

func sensitiveName(name string) bool {
	name = strings.ToLower(name)
	for _, word := range []string{"secret", "password", "token_hash", "private"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}
