package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"tidewire/migrations"
)

// ErrNotEmbedded says that something works on the embedded database only.
var ErrNotEmbedded = errors.New("works on the embedded SQLite database only; use pg_dump and pg_restore for Postgres")

// BackupTo writes a consistent copy of an SQLite database to path, which must
// not exist, while others read and write. The copy is one file, readable by its
// owner only, and complete or not there at all.
func (d *Database) BackupTo(ctx context.Context, path string) (err error) {
	if d.dialect != migrations.SQLite {
		return fmt.Errorf("backup %w", ErrNotEmbedded)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s exists already; choose another name", path)
	}
	// In a folder of its own, which nobody else may enter: SQLite makes the
	// file with the usual mode.
	dir, err := os.MkdirTemp(filepath.Dir(path), ".backup-*")
	if err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	draft := filepath.Join(dir, "copy.db")
	if _, err := d.sql.ExecContext(ctx, "VACUUM INTO ?", draft); err != nil {
		return fmt.Errorf("copy the database: %w", err)
	}
	if err := os.Chmod(draft, 0o600); err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	if err := syncFile(draft); err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	// Link, not rename: it never replaces a file that came up meanwhile.
	if err := os.Link(draft, path); err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	return nil
}

// CheckIntegrity reads the whole SQLite file and checks its structure and that
// every reference in it leads somewhere.
func (d *Database) CheckIntegrity(ctx context.Context) error {
	var verdict string
	if err := d.sql.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&verdict); err != nil {
		return fmt.Errorf("check the database: %w", err)
	}
	if verdict != "ok" {
		return fmt.Errorf("the database is damaged: %s", verdict)
	}
	rows, err := d.sql.QueryContext(ctx, "PRAGMA foreign_key_check")
	if err != nil {
		return fmt.Errorf("check the database: %w", err)
	}
	defer func() { _ = rows.Close() }()
	if rows.Next() {
		return errors.New("the database is damaged: a row refers to one that is not there")
	}
	return rows.Err()
}

func syncFile(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}
