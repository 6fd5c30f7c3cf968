package wire

import (
	"fmt"
	"unicode/utf8"
)

// Bounds of user ids.
const (
	// MaxPresenceIDChars is the longest user_id of a presence channel, in characters.
	MaxPresenceIDChars = 128
	// MaxUserIDBytes is the longest id of a signed-in user; the server libraries
	// send no longer ones.
	MaxUserIDBytes = 200
)

// IsNameByte reports whether c may stand in a channel name and in the id of a
// signed-in user.
func IsNameByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', isDigit(c):
		return true
	}
	switch c {
	case '_', '-', '=', '@', ',', '.', ';':
		return true
	}
	return false
}

// ValidUserID reports whether id can be that of a signed-in user: 1 to
// [MaxUserIDBytes] bytes for which [IsNameByte] holds. It then fits into a
// channel name after #server-to-user-.
func ValidUserID(id string) bool {
	if id == "" || len(id) > MaxUserIDBytes {
		return false
	}
	for i := range len(id) {
		if !IsNameByte(id[i]) {
			return false
		}
	}
	return true
}

// DecodeChannelData reads the channel_data of a presence subscription, decoded
// once. An integer user_id comes out as its decimal text, so that 10 and "10"
// are one user. info is the raw user_info object, nil if absent or null; its
// size is for the caller to check. The error wraps a [*SyntaxError] or is a
// [FormatError].
func DecodeChannelData(s string) (userID string, info []byte, err error) {
	var room [fieldRoom]Field
	fields, err := ParseObject([]byte(s), room[:0])
	if err != nil {
		return "", nil, fmt.Errorf("channel_data: %w", err)
	}
	raw, _ := Get(fields, "user_id")
	userID, ok := idText(raw)
	if !ok || userID == "" || utf8.RuneCountInString(userID) > MaxPresenceIDChars {
		return "", nil, ErrUserID
	}
	if info, ok = optionalObject(fields, "user_info"); !ok {
		return "", nil, ErrUserInfo
	}
	return userID, info, nil
}

// DecodeUserData reads the user_data of a pusher:signin, decoded once. info is
// the raw user_info object, nil if absent or null; watchlist is all that was
// sent, in order, for the caller to shorten. The error wraps a [*SyntaxError] or
// is a [FormatError].
func DecodeUserData(s string) (id string, info []byte, watchlist []string, err error) {
	var room [fieldRoom]Field
	fields, err := ParseObject([]byte(s), room[:0])
	if err != nil {
		return "", nil, nil, fmt.Errorf("user_data: %w", err)
	}
	raw, _ := Get(fields, "id")
	id, ok := String(raw)
	if !ok || !ValidUserID(id) {
		return "", nil, nil, ErrSigninID
	}
	if info, ok = optionalObject(fields, "user_info"); !ok {
		return "", nil, nil, ErrSigninUserInfo
	}
	if watchlist, err = watchlistOf(fields); err != nil {
		return "", nil, nil, err
	}
	return id, info, watchlist, nil
}

func watchlistOf(fields []Field) ([]string, error) {
	raw, ok := Get(fields, "watchlist")
	if !ok || IsNull(raw) {
		return nil, nil
	}
	if !IsArray(raw) {
		return nil, ErrWatchlist
	}
	elements, err := ParseArray(raw, nil)
	if err != nil {
		return nil, fmt.Errorf("watchlist: %w", err)
	}
	ids := make([]string, 0, len(elements))
	for _, e := range elements {
		id, ok := idText(e)
		if !ok {
			return nil, ErrWatchlist
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// idText reads an id: a string, or an integer as its decimal text. A number is
// never made a float, which would merge neighbours above 2^53.
func idText(raw []byte) (string, bool) {
	if IsString(raw) {
		return String(raw)
	}
	if len(raw) == 0 {
		return "", false
	}
	for i, c := range raw {
		if !isDigit(c) && (i > 0 || c != '-') {
			return "", false
		}
	}
	if string(raw) == "-0" {
		return "0", true
	}
	return string(raw), true
}

// optionalObject reads an object that may be absent or null, which is nil. It
// is false for any other value.
func optionalObject(fields []Field, key string) ([]byte, bool) {
	raw, ok := Get(fields, key)
	if !ok || IsNull(raw) {
		return nil, true
	}
	return raw, IsObject(raw)
}
