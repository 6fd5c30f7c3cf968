package tenants

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// MasterKeyFile is the name of the key's file in the data folder.
const MasterKeyFile = "master.key"

// LoadMasterKey returns the master key: the one in envValue (base64 of 32
// bytes, the value of TIDEWIRE_MASTER_KEY) or, when that is empty, the one in
// the file master.key of dataDir. A missing file is made, with a new key and
// for its owner only; processes that start at the same time agree on one key.
func LoadMasterKey(envValue, dataDir string) ([]byte, error) {
	if envValue != "" {
		key, err := decodeMasterKey(envValue)
		if err != nil {
			return nil, fmt.Errorf("TIDEWIRE_MASTER_KEY %w", err)
		}
		return key, nil
	}
	path := filepath.Join(dataDir, MasterKeyFile)
	key, err := readMasterKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := createMasterKey(path); err != nil {
		return nil, fmt.Errorf("create %s: %w; make the data folder writable or set TIDEWIRE_MASTER_KEY", path, err)
	}
	return readMasterKey(path)
}

func decodeMasterKey(text string) ([]byte, error) {
	text = strings.TrimRight(strings.TrimSpace(text), "=")
	key, err := base64.RawStdEncoding.Strict().DecodeString(text)
	if err != nil || len(key) != MasterKeyBytes {
		return nil, fmt.Errorf("must be %d bytes in base64; make one with: openssl rand -base64 %d",
			MasterKeyBytes, MasterKeyBytes)
	}
	return key, nil
}

func readMasterKey(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the master key: %w", err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("open the master key: %w", err)
	}
	// Windows keeps access in lists that these bits do not show.
	if mode := info.Mode(); runtime.GOOS != "windows" && mode.Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by others (mode %04o); run: chmod 600 %s", path, mode.Perm(), path)
	}
	raw, err := io.ReadAll(io.LimitReader(file, 1024))
	if err != nil {
		return nil, fmt.Errorf("read the master key: %w", err)
	}
	key, err := decodeMasterKey(string(raw))
	if err != nil {
		return nil, fmt.Errorf("%s: its content %w, or restore the file from a backup", path, err)
	}
	return key, nil
}

// createMasterKey writes a new key beside path and links it into place: the
// first of several processes wins, and nobody ever reads half a key.
func createMasterKey(path string) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	key := make([]byte, MasterKeyBytes)
	_, _ = rand.Read(key)                                // never fails: it ends the process instead
	draft, err := os.CreateTemp(dir, MasterKeyFile+".*") // O_EXCL, mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(draft.Name()) }()
	_, err = draft.WriteString(base64.StdEncoding.EncodeToString(key) + "\n")
	if err == nil {
		err = draft.Sync()
	}
	if closed := draft.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Link(draft.Name(), path)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(dir)
}

// syncFolder makes the new name survive a power cut: a lost key is every secret lost.
func syncFolder(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // a folder cannot be opened for that there
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = folder.Close() }()
	return folder.Sync()
}
