package tenants_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
)

// printed shows v in every ordinary way there is.
func printed(v any) string {
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb, v)
	}
	raw, _ := json.Marshal(v)
	out.Write(raw)
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "v", v)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "v", v)
	return out.String()
}

func TestSecretRedacts(t *testing.T) {
	t.Parallel()
	secret := tenants.NewSecret("hunter2")
	key := tenants.Key{Key: "k1", Secret: secret}
	for _, v := range []any{secret, &secret, key, &key, []tenants.Key{key}, tenants.App{Keys: []tenants.Key{key}}} {
		require.NotContains(t, printed(v), "hunter2")
		require.NotContains(t, printed(v), fmt.Sprintf("%x", "hunter2"))
	}
	require.Equal(t, "hunter2", secret.Reveal())
	require.False(t, secret.IsZero())
	require.True(t, tenants.Secret{}.IsZero())
	require.Equal(t, `"[redacted]"`, string(must(json.Marshal(secret))))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
