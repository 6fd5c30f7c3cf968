package tenants

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
)

// Explanation says what a signature should have been made of and everything that
// is wrong with one. It is for the owner of the app: it names keys, and never
// holds a secret or a digest that would do.
type Explanation struct {
	Expected string // the text to be signed; empty = it cannot be told
	Key      string // the key that is meant to have signed; empty = none is named
	Findings []Finding
}

// Finding is one thing that is wrong. Code is a [SignatureReason].
type Finding struct {
	Code   string
	Text   string
	Remedy string
}

func (e *Explanation) add(reason SignatureReason, text, remedy string) {
	e.Findings = append(e.Findings, Finding{string(reason), text, remedy})
}

// found adds a refusal, unless err is nil.
func (e *Explanation) found(err error, remedy string) {
	if refused, ok := errors.AsType[*SignatureError](err); ok {
		e.add(refused.Reason, refused.Text, remedy)
	}
}

// SignedAuth is the auth string of a subscription, or of a sign-in, which has no
// Channel, with what it is for.
type SignedAuth struct {
	SocketID    string
	Channel     string
	ChannelData string
	UserData    string
	Auth        string
}

// ExplainRequest explains the signature of a request to the HTTP API. Where
// [VerifyRequest] stops at what is wrong first, this looks at everything.
func ExplainRequest(app *App, r SignedRequest, now time.Time) Explanation {
	var e Explanation
	params, err := parseParams(strings.TrimPrefix(r.RawQuery, "?"))
	if err != nil {
		e.found(err, "Build the query with a library, and send each name once.")
		return e
	}
	e.found(checkPath(r.Path), "Send the path exactly as it is signed, escaped, without the query.")
	e.Expected = string(params.appendStringToSign(nil, r.Method, r.Path))
	e.found(params.checkVersion(), "Send auth_version=1.0.")
	e.found(params.checkTimestamp(now), "Set the sender's clock (NTP), in seconds, and sign each request when it is sent.")
	e.found(params.checkBody(r.Body), "Hash the very bytes that are sent: a proxy or a JSON library may have changed them.")
	key := e.key(app, params.value("auth_key"), "auth_key")
	sent := params.value("auth_signature")
	switch {
	case sent == "":
		e.add(ReasonMissing, "auth_signature is missing", "Add the HMAC-SHA256 of the text below, in hex.")
	case key != nil:
		e.compare(app, key, sent, e.Expected, requestGuesses(params, r))
	}
	return e
}

func (p Params) value(name string) string {
	v, _ := p.Get(name)
	return v
}

// ExplainAuth explains the auth string of a subscription or a sign-in.
func ExplainAuth(app *App, a SignedAuth) Explanation {
	var e Explanation
	text, err := userText(a.SocketID, a.UserData)
	guesses := userGuesses(a)
	if a.Channel != "" {
		text, err = channelText(a.SocketID, a.Channel, a.ChannelData)
		guesses = channelGuesses(a)
	}
	if err != nil {
		e.found(err, "Sign the socket_id and channel_name exactly as they come in the request to your auth endpoint.")
		return e
	}
	e.Expected = text
	name, sent, ok := strings.Cut(a.Auth, ":")
	if !ok || name == "" || sent == "" {
		e.add(ReasonMalformed, "auth must have the format key:signature", "Answer with the app's key, a colon, and the signature in hex.")
		return e
	}
	if strings.HasPrefix(a.Channel, "presence-") && a.ChannelData == "" {
		e.add(ReasonMissing, "channel_data is missing, and a presence channel needs it", `Answer with channel_data such as {"user_id":"7"}, sign it, and let the client send it on.`)
	}
	if key := e.key(app, name, "the key in auth"); key != nil {
		e.compare(app, key, sent, text, guesses)
	}
	return e
}

// key finds the key that is named, and says what is wrong with it.
func (e *Explanation) key(app *App, name, what string) *Key {
	e.Key = shorten(name, 128)
	if name == "" {
		e.add(ReasonMissing, what+" is missing", "Name the app's key.")
		return nil
	}
	if key := app.Key(name); key != nil {
		return key
	}
	for i := range app.Keys {
		switch {
		case app.Keys[i].Key == name:
			e.add(ReasonUnknownKey, what+" was revoked", "Use a key that is active.")
			return nil
		case app.Keys[i].Secret.Reveal() == name:
			e.Key, e.Expected = "", "" // it must not be shown
			e.add(ReasonUnknownKey, what+" is the secret of this app, not its key", "Swap the two, and rotate the key: its secret was sent where keys go.")
			return nil
		}
	}
	e.add(ReasonUnknownKey, what+" is none of this app", "Copy the key from the app's page; it may be another app's.")
	return nil
}

// guess is another text somebody may have signed, and what the mistake is then.
type guess struct {
	text, mistake, remedy string
}

// compare says whether sent is the signature of text, and if not, what it is.
func (e *Explanation) compare(app *App, key *Key, sent, text string, guesses []guess) {
	if signs(key.Secret.Reveal(), text, sent) {
		return
	}
	if found := guessSecret(app, key, sent, text); found != nil {
		e.add(ReasonSignature, found.mistake, found.remedy)
		return
	}
	for _, g := range guesses {
		if g.text != text && signs(key.Secret.Reveal(), g.text, sent) {
			e.add(ReasonSignature, g.mistake, g.remedy)
			return
		}
	}
	if raw, err := hex.DecodeString(sent); err != nil || len(raw) != sha256.Size {
		e.add(ReasonSignature, "the signature is not 64 hexadecimal digits", "Write the HMAC-SHA256 in hex, not in base64 or as raw bytes.")
		return
	}
	e.add(ReasonSignature, "the signature is not that of the text below with the secret of this key", "Sign exactly that text, byte for byte, with the secret that belongs to the key; if the text is what you sign, the secret is wrong.")
}

// guessSecret looks whether the right text was signed with something else.
func guessSecret(app *App, key *Key, sent, text string) *guess {
	secret := key.Secret.Reveal()
	if mac := digest(secret, text); sent == base64.StdEncoding.EncodeToString(mac) || sent == base64.RawURLEncoding.EncodeToString(mac) {
		return &guess{"", "the signature is right, but in base64", "Write it in hex."}
	}
	for i := range app.Keys {
		if other := &app.Keys[i]; other.Key != key.Key && !other.Secret.IsZero() && signs(other.Secret.Reveal(), text, sent) {
			return &guess{"", "it was signed with the secret of the key " + other.Key, "Use key and secret of one pair."}
		}
	}
	for _, end := range []string{"\n", "\r\n", " "} {
		if signs(secret+end, text, sent) {
			return &guess{"", "it was signed with the secret and white space behind it", "Trim the secret; a line feed often comes along from a file or a variable."}
		}
	}
	if signs(key.Key, text, sent) {
		return &guess{"", "it was signed with the key instead of the secret", "Sign with the secret."}
	}
	return nil
}

func requestGuesses(p Params, r SignedRequest) []guess {
	with := func(method, path string, params Params) string {
		return string(params.appendStringToSign(nil, method, path))
	}
	list := []guess{}
	for _, method := range []string{"GET", "POST", "DELETE", "PUT", strings.ToLower(r.Method)} {
		list = append(list, guess{with(method, r.Path, p), "it was signed for the method " + method, "Sign the method that is sent, in capitals."})
	}
	for _, path := range []string{r.Path + "/", strings.TrimSuffix(r.Path, "/"), strings.TrimPrefix(r.Path, "/")} {
		list = append(list, guess{with(r.Method, path, p), "it was signed for the path " + path, "Sign the path that is sent, byte for byte."})
	}
	without := Params{slices.DeleteFunc(slices.Clone(p.list), func(q param) bool { return q.name == "body_md5" })}
	list = append(list, guess{with(r.Method, r.Path, without), "body_md5 was sent, but not signed", "Add body_md5 to the parameters before signing."})
	unsorted := slices.DeleteFunc(strings.Split(r.RawQuery, "&"), func(s string) bool { return strings.HasPrefix(s, "auth_signature=") })
	query := strings.Join(unsorted, "&")
	return append(list,
		guess{r.Method + "\n" + r.Path + "\n" + query, "the parameters were signed in the order they were sent, or escaped", "Sort them by name, in lower case, and sign their values unescaped."},
		guess{r.Method + r.Path + query, "the lines of the text were joined without line feeds", "Put a line feed after the method and after the path."},
		guess{with(r.Method, r.Path, p) + "\n", "a line feed was signed behind the text", "The text ends with the last parameter."},
	)
}

func channelGuesses(a SignedAuth) []guess {
	list := []guess{
		{a.SocketID + ":" + a.Channel, "channel_data was not signed", "Sign socket_id:channel:channel_data, all three."},
		{a.Channel + ":" + a.SocketID, "channel and socket_id were signed the other way round", "Sign socket_id first."},
		{a.SocketID + "::user::" + a.ChannelData, "it is the signature of a sign-in", "Use the function that authorizes channels."},
	}
	return append(list, rewritten(a.ChannelData, "channel_data", func(data string) string { return a.SocketID + ":" + a.Channel + ":" + data })...)
}

func userGuesses(a SignedAuth) []guess {
	list := []guess{
		{a.SocketID + ":" + a.UserData, "::user:: is missing between socket_id and user_data", "Sign socket_id::user::user_data."},
		{a.SocketID + "::user::", "user_data was not signed", "Sign socket_id::user::user_data."},
	}
	return append(list, rewritten(a.UserData, "user_data", func(data string) string { return a.SocketID + "::user::" + data })...)
}

// rewritten guesses that JSON was written anew between signing and sending.
func rewritten(data, name string, text func(string) string) []guess {
	var list []guess
	add := func(data string) {
		list = append(list, guess{text(data), name + " was signed in another spelling than it was sent: " + shorten(data, 200), "Send the very text that was signed; do not parse and write it anew."})
	}
	var compact bytes.Buffer
	if json.Compact(&compact, []byte(data)) != nil {
		return nil
	}
	add(compact.String())
	add(strings.NewReplacer(`":`, `": `, `,"`, `, "`).Replace(compact.String()))
	var indented bytes.Buffer
	if json.Indent(&indented, []byte(data), "", "  ") == nil {
		add(indented.String())
	}
	if again, err := json.Marshal(data); err == nil {
		add(string(again))
	}
	return list
}

func digest(secret, text string) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write([]byte(text))
	return mac.Sum(nil)
}

func signs(secret, text, sent string) bool {
	return secret != "" && equalHex(sent, digest(secret, text))
}
