package tenants_test

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
)

func sealer(t *testing.T, fill byte) *tenants.Sealer {
	t.Helper()
	s, err := tenants.NewSealer(bytes.Repeat([]byte{fill}, tenants.MasterKeyBytes))
	require.NoError(t, err)
	return s
}

func TestSealAndOpen(t *testing.T) {
	t.Parallel()
	s := sealer(t, 1)
	place := tenants.SealedPlace("app_keys", "key_1", "sealed_secret")
	for _, plaintext := range []string{"", "secret", strings.Repeat("ü", 1000)} {
		sealed, err := s.Seal(plaintext, place)
		require.NoError(t, err)
		require.Regexp(t, `^v1:[0-9a-f]{8}:[A-Za-z0-9+/]+$`, sealed)
		opened, err := s.Open(sealed, place)
		require.NoError(t, err)
		require.Equal(t, plaintext, opened)
		again, err := s.Seal(plaintext, place)
		require.NoError(t, err)
		require.NotEqual(t, sealed, again, "equal secrets must not look equal")
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	s := sealer(t, 1)
	sealed, err := s.Seal("secret", "here")
	require.NoError(t, err)

	_, err = s.Open(sealed, "elsewhere")
	require.ErrorContains(t, err, "moved from another place")
	_, err = sealer(t, 2).Open(sealed, "here")
	require.ErrorIs(t, err, tenants.ErrWrongMasterKey)

	header := strings.LastIndex(sealed, ":") + 1
	raw, err := base64.RawStdEncoding.DecodeString(sealed[header:])
	require.NoError(t, err)
	for i := range raw {
		damaged := bytes.Clone(raw)
		damaged[i] ^= 1
		_, err := s.Open(sealed[:header]+base64.RawStdEncoding.EncodeToString(damaged), "here")
		require.Error(t, err, "byte %d", i)
	}
	for _, bad := range []string{"", "secret", "v1", "v1:", "v2" + sealed[2:], sealed[:header], sealed[:header] + "AAAA", sealed + "!"} {
		_, err := s.Open(bad, "here")
		require.Error(t, err, bad)
		require.NotContains(t, err.Error(), "secret")
	}
	for _, n := range []int{0, 16, 31, 33} {
		_, err := tenants.NewSealer(make([]byte, n))
		require.Error(t, err)
	}
}

// sealedOnce was sealed with a master key of zeros. It must open in every
// version to come.
const sealedOnce = "v1:aa7f7719:mtV5eQLcaDPixynKWZ3EgLeyuSvWghWRADAxfQARB5SFyw"

// Nothing opens but what was sealed, to the last character.
func FuzzOpen(f *testing.F) {
	s, err := tenants.NewSealer(make([]byte, tenants.MasterKeyBytes))
	require.NoError(f, err)
	opened, err := s.Open(sealedOnce, "here")
	require.NoError(f, err)
	require.Equal(f, "secret", opened)
	f.Add(sealedOnce)
	f.Add(sealedOnce + "\n")
	f.Add("v1:" + s.KeyID() + ":")
	f.Fuzz(func(t *testing.T, value string) {
		if _, err := s.Open(value, "here"); err == nil {
			require.Equal(t, sealedOnce, value)
		}
	})
}

func TestLoadMasterKeyFromEnvironment(t *testing.T) {
	t.Parallel()
	want := bytes.Repeat([]byte{7}, tenants.MasterKeyBytes)
	for _, text := range []string{
		base64.StdEncoding.EncodeToString(want), base64.RawStdEncoding.EncodeToString(want),
		" " + base64.StdEncoding.EncodeToString(want) + "\n",
	} {
		key, err := tenants.LoadMasterKey(text, "/nonexistent")
		require.NoError(t, err)
		require.Equal(t, want, key)
	}
	for _, text := range []string{"hunter2", base64.StdEncoding.EncodeToString(want[:16]), strings.Repeat("!", 44)} {
		_, err := tenants.LoadMasterKey(text, t.TempDir())
		require.ErrorContains(t, err, "TIDEWIRE_MASTER_KEY must be 32 bytes in base64")
		require.NotContains(t, err.Error(), text)
	}
}

func TestLoadMasterKeyMakesAFile(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "data")
	const callers = 16
	keys := make([][]byte, callers)
	errs := make([]error, callers)
	var running sync.WaitGroup
	for i := range callers {
		running.Go(func() { keys[i], errs[i] = tenants.LoadMasterKey("", dir) })
	}
	running.Wait()
	for i := range callers {
		require.NoError(t, errs[i])
		require.Len(t, keys[i], tenants.MasterKeyBytes)
		require.Equal(t, keys[0], keys[i], "all agree on one key")
	}
	require.NotEqual(t, make([]byte, tenants.MasterKeyBytes), keys[0])
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, files, 1, "no drafts are left behind")
	info, err := files[0].Info()
	require.NoError(t, err)
	require.Equal(t, tenants.MasterKeyFile, info.Name())
	require.EqualValues(t, 0o600, info.Mode().Perm())
}

func TestLoadMasterKeyRefusesAFile(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("permission bits mean nothing there")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, tenants.MasterKeyFile)
	good := base64.StdEncoding.EncodeToString(make([]byte, tenants.MasterKeyBytes))
	require.NoError(t, os.WriteFile(path, []byte(good), 0o600))
	require.NoError(t, os.Chmod(path, 0o640))
	_, err := tenants.LoadMasterKey("", dir)
	require.ErrorContains(t, err, "can be read by others (mode 0640); run: chmod 600 "+path)

	require.NoError(t, os.Chmod(path, 0o600))
	_, err = tenants.LoadMasterKey("", dir)
	require.NoError(t, err)

	require.NoError(t, os.WriteFile(path, []byte("truncat"), 0o600))
	_, err = tenants.LoadMasterKey("", dir)
	require.ErrorContains(t, err, path+": its content must be 32 bytes in base64")

	notAFolder := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(notAFolder, nil, 0o600))
	_, err = tenants.LoadMasterKey("", filepath.Join(notAFolder, "data"))
	require.Error(t, err)
}
