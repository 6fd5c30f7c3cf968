package wire_test

import (
	"encoding/json"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/channels/wire"
)

// FuzzDecodeHistory checks that what is accepted keeps its bounds, means the same
// to encoding/json, and does not depend on what was read before.
func FuzzDecodeHistory(f *testing.F) {
	addSeeds(f)
	for _, s := range []string{
		`{"channel":"a","id":"1"}`, `{"channel":"a","id":"1","limit":100,"before":"e:1"}`, `{"channel":"a","id":"1","after":"e:0"}`,
		`{"channel":"a","id":"1","limit":101}`, `{"channel":"a","id":"1","limit":0}`, `{"channel":"a","id":"1","limit":1.0}`,
		`{"channel":"a","id":"1","before":"e:1","after":"e:1"}`, `{"channel":"a","id":""}`, `{"channel":"a","id":1}`,
		`{"channel":"a","id":"1","limit":null,"before":null,"after":null}`, `{"channel":"a","id":"1","limit":"5"}`,
		`"{\"channel\":\"a\",\"id\":\"1\"}"`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := wire.HistoryRequest{Channel: "other", ID: "other", Limit: 7, Before: "x:1", After: "x:2"}
		if wire.DecodeHistory(b, &r) != nil {
			return
		}
		require.NotEmpty(t, r.ID)
		require.LessOrEqual(t, len(r.ID), wire.MaxHistoryID)
		require.True(t, r.Limit >= 0 && r.Limit <= wire.MaxHistoryLimit)
		require.True(t, r.Before == "" || r.After == "", "both bounds")

		var text string // data may be an object, or a string that holds one
		if json.Unmarshal(b, &text) == nil {
			b = []byte(text)
		}
		var want map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(b, &want))
		for name, got := range map[string]string{"channel": r.Channel, "id": r.ID, "before": r.Before, "after": r.After} {
			var s string
			if raw := want[name]; raw != nil {
				require.NoError(t, json.Unmarshal(raw, &s))
			}
			require.Equal(t, s, got, name)
		}
		if r.Limit > 0 {
			require.Equal(t, strconv.Itoa(r.Limit), string(want["limit"]))
		}
	})
}
