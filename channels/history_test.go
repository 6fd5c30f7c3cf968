package channels_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/channels"
)

// FuzzParsePosition checks that a position has exactly one text: what is read is
// written as it was.
func FuzzParsePosition(f *testing.F) {
	for _, s := range []string{
		"d3adb33f:42", "a:0", "a:9007199254740991", "a:9007199254740992", "a:01", "a:+1", "a:-1", "a:1e3", "a:", ":1", ":", "",
		"a:1:2", "A:1", "a b:1", "a:1\n", "a:\x001", "ä:1", "0123456789abcdef0123456789abcdef:1", "0123456789abcdef0123456789abcdef0:1",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := channels.ParsePosition(s)
		if err != nil {
			require.ErrorIs(t, err, channels.ErrPosition)
			require.Zero(t, p)
			return
		}
		require.Equal(t, s, p.String())
		require.Regexp(t, `^[0-9a-z]{1,32}$`, p.Epoch)
		require.LessOrEqual(t, p.Offset, uint64(1<<53-1))
	})
}
