package wire_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/channels/wire"
)

func TestDecodeChannelData(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"user_id":"10"}`:     "10",
		`{"user_id":10}`:       "10",
		`{"user_id":-7}`:       "-7",
		`{"user_id":-0}`:       "0",
		`{"user_id":0}`:        "0",
		`{"user_id":"1e3"}`:    "1e3",
		`{"user_id":"\u0031"}`: "1",
		`{"user_id":"` + strings.Repeat("é", 128) + `"}`:        strings.Repeat("é", 128),
		`{"user_id":` + strings.Repeat("9", 128) + `,"more":1}`: strings.Repeat("9", 128),
	} {
		id, info, err := wire.DecodeChannelData(in)
		require.NoError(t, err, in)
		require.Equal(t, want, id)
		require.Nil(t, info)
	}
	_, info, err := wire.DecodeChannelData(`{"user_info" : { "n" : 1.0 } , "user_id":1}`)
	require.NoError(t, err)
	require.Equal(t, `{ "n" : 1.0 }`, string(info), "user_info keeps its bytes")
}

func TestDecodeChannelDataRefuses(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]error{
		`{}`:                wire.ErrUserID,
		`{"user_id":null}`:  wire.ErrUserID,
		`{"user_id":""}`:    wire.ErrUserID,
		`{"user_id":1.5}`:   wire.ErrUserID,
		`{"user_id":1e2}`:   wire.ErrUserID,
		`{"user_id":[]}`:    wire.ErrUserID,
		`{"user_id":false}`: wire.ErrUserID,
		`{"user_id":"` + strings.Repeat("é", 129) + `"}`: wire.ErrUserID,
		`{"user_id":` + strings.Repeat("9", 129) + `}`:   wire.ErrUserID,
		`{"user_id":"1","user_info":[]}`:                 wire.ErrUserInfo,
		`{"user_id":"1","user_info":"{}"}`:               wire.ErrUserInfo,
		`{"user_id":"1","user_info":false}`:              wire.ErrUserInfo,
	} {
		_, _, err := wire.DecodeChannelData(in)
		require.ErrorIs(t, err, want, in)
	}
}

func TestDecodeUserData(t *testing.T) {
	t.Parallel()
	id, info, watchlist, err := wire.DecodeUserData(`{"id":"a_b-c=d@e,f.g;1","user_info":{"n":1},"watchlist":["x",2,""]}`)
	require.NoError(t, err)
	require.Equal(t, "a_b-c=d@e,f.g;1", id)
	require.Equal(t, `{"n":1}`, string(info))
	require.Equal(t, []string{"x", "2", ""}, watchlist)

	for _, in := range []string{`{"id":"1"}`, `{"id":"1","user_info":null,"watchlist":null}`} {
		_, info, watchlist, err = wire.DecodeUserData(in)
		require.NoError(t, err)
		require.Nil(t, info)
		require.Nil(t, watchlist)
	}
	for in, want := range map[string]error{
		`{}`:                                wire.ErrSigninID,
		`{"id":""}`:                         wire.ErrSigninID,
		`{"id":12345}`:                      wire.ErrSigninID,
		`{"id":"a#b"}`:                      wire.ErrSigninID,
		`{"id":"1","user_info":[]}`:         wire.ErrSigninUserInfo,
		`{"id":"1","watchlist":{}}`:         wire.ErrWatchlist,
		`{"id":"1","watchlist":[null]}`:     wire.ErrWatchlist,
		`{"id":"1","watchlist":["1",1.5]}`:  wire.ErrWatchlist,
		`{"id":"1","watchlist":[["nest"]]}`: wire.ErrWatchlist,
	} {
		_, _, _, err := wire.DecodeUserData(in)
		require.ErrorIs(t, err, want, in)
	}
}

func TestValidUserID(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"1", "A-Z_=@,.;", strings.Repeat("x", wire.MaxUserIDBytes)} {
		require.True(t, wire.ValidUserID(id), id)
	}
	for _, id := range []string{"", " ", "a b", "é", "a/b", "a:b", "#1", "a\x00", "1\n", strings.Repeat("x", wire.MaxUserIDBytes+1)} {
		require.False(t, wire.ValidUserID(id), id)
	}
}
