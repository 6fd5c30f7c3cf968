package tenants

import (
	"crypto/hmac"
	"crypto/sha256"
	"strings"
)

// ValidSocketID reports whether s has the form of a socket id: two decimal
// numbers of at most 20 digits with a dot between, and nothing else. No text is
// signed or verified before this holds: with a looser rule the parts of the
// signed text could move into each other.
func ValidSocketID(s string) bool {
	a, b, ok := strings.Cut(s, ".")
	return ok && len(a) <= 20 && len(b) <= 20 && allDigits(a) && allDigits(b)
}

// signableChannel is the character rule of channel names. What kind of channel
// a name means is not this package's business; that it has no colon is.
func signableChannel(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("_-=@,.;", c) >= 0) {
			return false
		}
	}
	return s != "" && len(s) <= 200
}

// ChannelAuth returns the auth string "key:signature" that lets the connection
// socketID subscribe to channel. channelData is the exact text the client will
// send as channel_data, empty for none. It fails with a [*SignatureError] on a
// malformed socket id or channel name.
func ChannelAuth(k Key, socketID, channel, channelData string) (string, error) {
	text, err := channelText(socketID, channel, channelData)
	if err != nil {
		return "", err
	}
	return k.Key + ":" + hexHMAC(k.Secret, text), nil
}

// VerifyChannelAuth checks the auth string of a subscription against the keys
// of app. It returns nil or a [*SignatureError].
func VerifyChannelAuth(app *App, auth, socketID, channel, channelData string) error {
	text, err := channelText(socketID, channel, channelData)
	if err != nil {
		return err
	}
	return verifyAuth(app, auth, text)
}

// UserAuth returns the auth string "key:signature" that signs the connection
// socketID in as the user described by userData, the exact text the client will
// send as user_data. It fails with a [*SignatureError] on a malformed socket id.
func UserAuth(k Key, socketID, userData string) (string, error) {
	text, err := userText(socketID, userData)
	if err != nil {
		return "", err
	}
	return k.Key + ":" + hexHMAC(k.Secret, text), nil
}

// VerifyUserAuth checks the auth string of a sign-in against the keys of app.
// It returns nil or a [*SignatureError].
func VerifyUserAuth(app *App, auth, socketID, userData string) error {
	text, err := userText(socketID, userData)
	if err != nil {
		return err
	}
	return verifyAuth(app, auth, text)
}

func channelText(socketID, channel, channelData string) (string, error) {
	if !ValidSocketID(socketID) {
		return "", refuse(ReasonMalformed, "Invalid socket_id: "+quoteShort(socketID)+" is not two numbers with a dot between")
	}
	if !signableChannel(channel) {
		return "", refuse(ReasonMalformed, "Invalid channel name: "+quoteShort(channel))
	}
	if channelData == "" {
		return socketID + ":" + channel, nil
	}
	return socketID + ":" + channel + ":" + channelData, nil
}

func userText(socketID, userData string) (string, error) {
	if !ValidSocketID(socketID) {
		return "", refuse(ReasonMalformed, "Invalid socket_id: "+quoteShort(socketID)+" is not two numbers with a dot between")
	}
	return socketID + "::user::" + userData, nil
}

// verifyAuth checks "key:signature" over text. The refusal shows the text that
// should have been signed: what the sender gave, put together our way.
func verifyAuth(app *App, auth, text string) error {
	name, sent, ok := strings.Cut(auth, ":")
	if !ok || name == "" || sent == "" {
		return refuse(ReasonMalformed, "Invalid format: auth must have the format key:signature")
	}
	key := app.Key(name)
	if key == nil || key.Secret.IsZero() {
		return refuse(ReasonUnknownKey, "Invalid key in subscription auth data: '"+shorten(name, 128)+"'")
	}
	mac := hmac.New(sha256.New, []byte(key.Secret.Reveal()))
	_, _ = mac.Write([]byte(text))
	if !equalHex(sent, mac.Sum(nil)) {
		return refuse(ReasonSignature, "Invalid signature: Expected HMAC SHA256 hex digest of "+shorten(text, 512)+", but got "+shorten(sent, 128))
	}
	return nil
}
