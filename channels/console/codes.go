package console

import "strings"

// Code says in one stable word what happened. Programs may rely on it.
type Code string

// Kind groups codes by what they are about.
type Kind string

// The kinds.
const (
	Connection   Kind = "connection"
	Auth         Kind = "auth"
	Subscription Kind = "subscription"
	ClientEvent  Kind = "client_event"
	History      Kind = "history"
	Message      Kind = "message"
	Publish      Kind = "publish"
	Request      Kind = "request"
	Webhook      Kind = "webhook"
	Console      Kind = "console"
)

// Kinds lists every kind.
func Kinds() []Kind {
	return []Kind{Connection, Auth, Subscription, ClientEvent, History, Message, Publish, Request, Webhook, Console}
}

// Info is what the table knows of a code.
type Info struct {
	Code Code
	Kind Kind
	// Wire is the number that goes with it: a close code (4000 to 4299, 1003,
	// 1007), the code of an error frame (4301, 4302), or an HTTP status. 0 is
	// none, or an error frame with "code":null.
	Wire int
	What string // one sentence: what it means
	// Remedy says what to do about it. It is empty exactly when nothing was refused
	// and nothing is wrong.
	Remedy string
	// Unseen says why no console shows it; empty for nearly all.
	Unseen string
}

// Refused reports whether the code stands for something that is wrong.
func (i *Info) Refused() bool { return i.Remedy != "" }

// Denied reports whether somebody was denied something, for good or for now: not
// so with close codes 4200 to 4299, after which clients come back at once.
func (i *Info) Denied() bool { return i.Refused() && (i.Wire < 4200 || i.Wire > 4299) }

// Find returns the row of a code, nil if there is none.
func Find(c Code) *Info { return byCode[c] }

// Table lists every code, grouped by kind.
func Table() []Info { return append([]Info(nil), table...) }

var byCode = func() map[Code]*Info {
	m := make(map[Code]*Info, len(table))
	for i := range table {
		if m[table[i].Code] != nil {
			panic("console: code " + string(table[i].Code) + " is there twice")
		}
		m[table[i].Code] = &table[i]
	}
	return m
}()

// OfToken makes the code of a refused token of the reason it was refused for.
func OfToken(reason string) Code { return Code("token_" + reason) }

// OfSignature is the same for a refused signature of a request.
func OfSignature(reason string) Code {
	if reason == "signature" {
		return SignatureWrong
	}
	return Code("signature_" + reason)
}

// OfAuth is the same for the auth string of a subscription or a sign-in.
func OfAuth(reason string) Code { return Code("auth_" + reason) }

// ByClose is the usual code of a close code, where it says all there is to say.
func ByClose(wire int) Code {
	switch wire {
	case 4000:
		return TLSRequired
	case 4001:
		return AppUnknown
	case 4003:
		return AppDisabled
	case 4004:
		return ConnectionLimit
	case 4005:
		return PathNotFound
	case 4006:
		return ProtocolInvalid
	case 4007:
		return ProtocolUnsupported
	case 4008:
		return ProtocolMissing
	case 4200:
		return NodeDraining
	case 4201:
		return PongMissing
	}
	return DependencyAway
}

// Page is the table as a page of the documentation.
func Page() string {
	var b strings.Builder
	for _, kind := range Kinds() {
		b.WriteString("\n## " + string(kind) + "\n\n| Code | On the wire | What it means | What to do |\n|---|---|---|---|\n")
		for i := range table {
			in := &table[i]
			if in.Kind != kind {
				continue
			}
			remedy := in.Remedy
			if in.Unseen != "" {
				remedy += " *" + in.Unseen + "*"
			}
			b.WriteString("| `" + string(in.Code) + "` | " + onWire(in.Wire) + " | " + cell(in.What) + " | " + cell(remedy) + " |\n")
		}
	}
	return b.String()
}

func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }
