package migrations

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// lockRetry is how often a waiting process asks for the lock file again.
const lockRetry = 25 * time.Millisecond

// errLocked is what tryLock returns while another process has the file.
var errLocked = errors.New("locked")

// LockFile takes the exclusive lock on the file at path, creating the file when
// it is absent, and waits for it at most five minutes. The kernel gives the lock
// back when the process ends, however it ends; the file itself stays.
func LockFile(ctx context.Context, path string) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	retry := time.NewTicker(lockRetry)
	defer retry.Stop()
	for {
		file, err := tryLock(path)
		if err == nil {
			return func() { release(file) }, nil
		}
		if !errors.Is(err, errLocked) {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("lock %s, which another tidewire process holds: %w", path, ctx.Err())
		case <-retry.C:
		}
	}
}

func release(file *os.File) { _ = file.Close() }
