package argon2id_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/tenants/argon2id"
)

// cheap keeps the tests quick; its numbers are far too low to protect anything.
var cheap = argon2id.Hasher{MemoryKiB: 64, Passes: 1}

func TestHashAndVerify(t *testing.T) {
	t.Parallel()
	hash, err := cheap.Hash("correct horse")
	require.NoError(t, err)
	require.Regexp(t, `^\$argon2id\$v=19\$m=64,t=1,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$`, hash)
	again, err := cheap.Hash("correct horse")
	require.NoError(t, err)
	require.NotEqual(t, hash, again, "each hash has a salt of its own")

	ok, outdated, err := cheap.Verify("correct horse", hash)
	require.NoError(t, err)
	require.True(t, ok)
	require.False(t, outdated)
	ok, _, err = cheap.Verify("correct horsf", hash)
	require.NoError(t, err)
	require.False(t, ok)

	ok, outdated, err = argon2id.Hasher{MemoryKiB: 128, Passes: 1}.Verify("correct horse", hash)
	require.NoError(t, err)
	require.True(t, ok)
	require.True(t, outdated, "made with another cost")
}

// A vector made by the reference command line tool: argon2 somesalt -id -t 2 -k 65536 -p 1 -l 24.
func TestKnownVector(t *testing.T) {
	t.Parallel()
	const hash = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	ok, outdated, err := argon2id.Hasher{}.Verify("password", hash)
	require.NoError(t, err)
	require.True(t, ok)
	require.True(t, outdated)
}

func TestDefaultCost(t *testing.T) {
	t.Parallel()
	hash, err := argon2id.Hasher{}.Hash("x")
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$"))
}

func TestMalformedHashes(t *testing.T) {
	t.Parallel()
	good, err := cheap.Hash("x")
	require.NoError(t, err)
	for name, hash := range map[string]string{
		"empty":         "",
		"other kind":    strings.Replace(good, "argon2id", "argon2i", 1),
		"version":       strings.Replace(good, "v=19", "v=16", 1),
		"memory bomb":   strings.Replace(good, "m=64", "m=4294967295", 1),
		"no memory":     strings.Replace(good, "m=64", "m=0", 1),
		"many passes":   strings.Replace(good, "t=1", "t=4294967295", 1),
		"no passes":     strings.Replace(good, "t=1", "t=0", 1),
		"no lanes":      strings.Replace(good, "p=1", "p=0", 1),
		"number format": strings.Replace(good, "m=64", "m=+64", 1),
		"trailing text": strings.Replace(good, "p=1", "p=1x", 1),
		"short key":     good[:len(good)-30],
		"not base64":    good[:len(good)-1] + "!",
		"extra part":    good + "$x",
	} {
		ok, _, err := cheap.Verify("x", hash)
		require.ErrorContains(t, err, "malformed", name)
		require.False(t, ok, name)
	}
}

func FuzzVerify(f *testing.F) {
	f.Add("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	f.Add("$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA")
	f.Add("$2a$10$abcdefghijklmnopqrstuv")
	f.Fuzz(func(t *testing.T, hash string) {
		if strings.Contains(hash, "m=") && !strings.Contains(hash, "m=64,t=1,p=1$") {
			t.Skip("the cost is bounded, but not for thousands of runs")
		}
		if ok, _, err := cheap.Verify("a password nobody has", hash); ok && err == nil {
			t.Fatal("verified")
		}
	})
}
