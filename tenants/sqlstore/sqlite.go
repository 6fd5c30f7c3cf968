package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/glebarez/sqlite"
	"gorm.io/gorm"

	"tidewire/migrations"
)

// sqlitePragmas: wait for a writer instead of failing, readers beside a writer,
// and transactions that take the write lock at their start, because one that
// takes it later cannot wait for it. The log is put into the file every 4,000
// pages (16 MB), not 1,000: under a steady flow of webhooks that saves a tenth.
const sqlitePragmas = "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)" +
	"&_pragma=foreign_keys(1)&_pragma=synchronous(NORMAL)&_pragma=wal_autocheckpoint(4000)&_txlock=immediate"

// sqliteConnections bounds the pool: one writer and a few readers.
const sqliteConnections = 8

// OpenSQLite opens the database file at path, making it and its folder when
// they are absent, and brings it into order as opts say.
func OpenSQLite(ctx context.Context, path string, opts Options) (*Store, error) {
	d, err := ConnectSQLite(ctx, path, opts)
	if err != nil {
		return nil, err
	}
	return openStore(ctx, d, opts)
}

// ConnectSQLite opens the database file at path without a look at its schema.
func ConnectSQLite(ctx context.Context, path string, opts Options) (*Database, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("find the database file: %w", err)
	}
	lock := path + ".lock"
	// Under the lock, because the first process to come turns the new file to
	// write-ahead logging, and SQLite does not let others wait for that.
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, folderError(path, err)
	}
	unlock, err := migrations.LockFile(ctx, lock)
	if err != nil {
		return nil, folderError(path, err)
	}
	defer unlock()
	if err := touch(path); err != nil {
		return nil, folderError(path, err)
	}
	pool, err := sql.Open(sqlite.DriverName, sqliteDSN(path))
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	pool.SetMaxOpenConns(sqliteConnections)
	pool.SetMaxIdleConns(sqliteConnections)
	db, err := gorm.Open(&sqlite.Dialector{Conn: pool}, gormConfig(opts.Log))
	if err == nil {
		// Only a read of the file itself tells whether it is a database.
		err = db.WithContext(ctx).Exec("SELECT COUNT(*) FROM sqlite_master").Error
	}
	if err != nil {
		_ = pool.Close()
		return nil, fileError(path, err)
	}
	return &Database{gorm: db, sql: pool, dialect: migrations.SQLite, lock: lock, sealer: opts.Sealer}, nil
}

// touch makes the file, for its owner only, and proves that it can be written.
func touch(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return file.Close()
}

func sqliteDSN(path string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") { // a Windows drive
		path = "/" + path
	}
	return "file://" + (&url.URL{Path: path}).EscapedPath() + sqlitePragmas
}

func folderError(path string, err error) error {
	if cause := (*fs.PathError)(nil); errors.As(err, &cause) {
		return fmt.Errorf("cannot write to the data folder %s (%w); make it writable for this user or set TIDEWIRE_DATA_DIR to another",
			filepath.Dir(path), cause.Err)
	}
	return fmt.Errorf("open database %s: %w", path, err)
}

func fileError(path string, err error) error {
	if strings.Contains(err.Error(), "file is not a database") {
		return fmt.Errorf("%s is not a SQLite database; move it away or set TIDEWIRE_DATA_DIR to another folder", path)
	}
	return fmt.Errorf("open database %s: %w", path, err)
}
