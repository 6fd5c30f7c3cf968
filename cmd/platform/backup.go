package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"tidewire/tenants"
	"tidewire/tenants/sqlstore"
)

func (c *cli) backupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the embedded database to one file, also while a server runs",
		Long: "Copy the embedded database to one file, consistent as of one moment, also while a server runs. The master key is\n" +
			"not in it, on purpose: keep that in another place, because without it no secret in the backup can be opened.\n" +
			"For Postgres use pg_dump.",
		Example: "  platform backup tidewire-$(date +%F).db\n  platform backup backup.db --json",
		Args:    arguments(1, 1, "one file, which does not exist yet"),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, err := c.load(cmd)
		if err != nil {
			return err
		}
		return c.withStore(cmd, func(ctx context.Context, store *sqlstore.Store) error {
			if err := store.BackupTo(ctx, args[0]); err != nil {
				return err
			}
			info, err := os.Stat(args[0])
			if err != nil {
				return fmt.Errorf("look at the backup: %w", err)
			}
			key := "TIDEWIRE_MASTER_KEY"
			if cfg.MasterKey.IsZero() {
				key = filepath.Join(cfg.DataDir, tenants.MasterKeyFile)
			}
			if *asJSON {
				return c.printJSON(map[string]any{"file": args[0], "bytes": info.Size(), "master_key_kept_in": key})
			}
			_, err = fmt.Fprintf(c.stdout, "Backup written to %s (%d bytes).\n"+
				"It does not hold the master key. Keep that too, in another place: %s\n", args[0], info.Size(), key)
			return err
		})
	}
	return cmd
}

func (c *cli) restoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup of the embedded database in place",
		Long: "Put a backup of the embedded database into the data folder, which must not have one. The backup is checked first,\n" +
			"and so is the master key: the one it was made with has to be in TIDEWIRE_MASTER_KEY, in the data folder, or in\n" +
			"the file that --master-key-file names, which is then copied.",
		Example: "  platform restore backup.db --data-dir ./data --master-key-file /safe/master.key\n  platform restore backup.db --json",
		Args:    arguments(1, 1, "one file made by `platform backup`"),
	}
	keyFile := cmd.Flags().String("master-key-file", "", "file with the master key, copied into the data folder")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, err := c.load(cmd)
		if err != nil {
			return err
		}
		tenantCount, err := restore(cmd.Context(), cfg, args[0], *keyFile)
		if err != nil {
			return fmt.Errorf("nothing was restored: %w", err)
		}
		if *asJSON {
			return c.printJSON(map[string]any{"data_dir": cfg.DataDir, "apps": tenantCount})
		}
		_, err = fmt.Fprintf(c.stdout, "Restored to %s: %d apps. Start it with `platform serve`.\n", cfg.DataDir, tenantCount)
		return err
	}
	return cmd
}

// restore checks everything on a copy under another name, and only then gives
// the copy its name.
func restore(ctx context.Context, cfg Config, backup, keyFile string) (apps int, err error) {
	place, err := embeddedFile(cfg)
	if err != nil {
		return 0, err
	}
	if _, err := os.Lstat(place); !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("%s exists already: move it away, or name another folder with --data-dir", place)
	}
	if err := prepareDataDir(cfg); err != nil {
		return 0, err
	}
	placed, err := placeMasterKey(cfg, keyFile)
	if err != nil {
		return 0, err
	}
	draft, err := os.MkdirTemp(cfg.DataDir, ".restore-*")
	if err != nil {
		return 0, dataDirError(cfg.DataDir, err)
	}
	defer func() {
		_ = os.RemoveAll(draft)
		if err != nil && placed != "" {
			_ = os.Remove(placed)
		}
	}()
	copied := filepath.Join(draft, databaseFile)
	if err := copyFile(backup, copied); err != nil {
		return 0, fmt.Errorf("read the backup: %w", innermost(err))
	}
	if apps, err = checkBackup(ctx, cfg, copied); err != nil {
		return 0, err
	}
	return apps, os.Link(copied, place)
}

// placeMasterKey makes sure there is a key, and never makes one: a new one would
// open nothing. It returns the file it wrote.
func placeMasterKey(cfg Config, keyFile string) (placed string, err error) {
	if !cfg.MasterKey.IsZero() {
		return "", nil
	}
	place := filepath.Join(cfg.DataDir, tenants.MasterKeyFile)
	_, err = os.Lstat(place)
	switch {
	case err == nil && keyFile != "":
		return "", fmt.Errorf("%s exists already: leave --master-key-file out, or move that file away", place)
	case err == nil:
		return "", nil
	case keyFile == "":
		return "", fmt.Errorf("the master key is missing: set TIDEWIRE_MASTER_KEY, put %s into %s, or name it with --master-key-file",
			tenants.MasterKeyFile, cfg.DataDir)
	}
	if err := copyFile(keyFile, place); err != nil {
		return "", fmt.Errorf("read the master key: %w", innermost(err))
	}
	return place, nil
}

func checkBackup(ctx context.Context, cfg Config, path string) (apps int, err error) {
	store, err := openFile(ctx, cfg, path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if err := store.CheckIntegrity(ctx); err != nil {
		return 0, err
	}
	list, err := store.ListApps(ctx, "") // opens every secret
	return len(list), err
}

// copyFile makes to, for its owner only.
func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}
