package wire

import "strconv"

// SyntaxError says where and why a text is not acceptable JSON. It never
// carries any of the input, so it can be logged and sent back.
type SyntaxError struct {
	Offset int    // bytes before the offending one
	Reason string // what is wrong, lower case, without the position
}

// Error implements error.
func (e *SyntaxError) Error() string {
	return "invalid JSON at byte " + strconv.Itoa(e.Offset) + ": " + e.Reason
}

// FormatError is a well-formed JSON text that is not the message it should be.
// The text says what is expected and is safe to send back.
type FormatError string

// Error implements error.
func (e FormatError) Error() string { return string(e) }

// The ways in which a message can have the wrong shape.
const (
	ErrEvent          FormatError = `event is missing or not a string: send {"event":"...","data":...}`
	ErrChannel        FormatError = "channel must be a string"
	ErrNoChannel      FormatError = `channel is missing or not a string: send it inside data, {"channel":"..."}`
	ErrNotObject      FormatError = "data must be an object"
	ErrAuth           FormatError = "auth must be a string"
	ErrChannelData    FormatError = "channel_data must be a string holding a JSON object, exactly as it was signed"
	ErrSigninAuth     FormatError = "pusher:signin needs auth, a string"
	ErrSigninUserData FormatError = "pusher:signin needs user_data, a string holding a JSON object, exactly as it was signed"
	ErrUserID         FormatError = "user_id must be a string of 1 to 128 characters, or an integer"
	ErrUserInfo       FormatError = "user_info supplied to presence subscription is invalid - if supplied it must be a type of hash"
	ErrSigninID       FormatError = "user_data must hold id, a string of 1 to 200 of the characters A-Z a-z 0-9 _ - = @ , . ;"
	ErrSigninUserInfo FormatError = "user_info in user_data must be an object"
	ErrWatchlist      FormatError = "watchlist in user_data must be an array of user ids"
)
