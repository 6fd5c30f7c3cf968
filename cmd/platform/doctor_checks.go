package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"tidewire/migrations"
	"tidewire/tenants"
	"tidewire/tenants/sqlstore"
)

// doctorTimeout bounds each check that talks to another machine.
const doctorTimeout = 10 * time.Second

// examineDatabase checks the data folder, the master key, the database, its
// schema and its clock. It stops at the first that makes the next meaningless.
func examineDatabase(ctx context.Context, cfg Config, log *slog.Logger) []finding {
	ctx, cancel := context.WithTimeout(ctx, doctorTimeout)
	defer cancel()
	door, err := databaseFor(cfg)
	if err != nil {
		return []finding{broken("database", err)}
	}
	findings := []finding{examineDataDir(cfg)}
	if findings[0].Status == statusFail {
		return findings
	}
	sealer, key := examineMasterKey(cfg)
	findings = append(findings, key)
	if key.Status == statusFail {
		return findings
	}
	if door.file != "" && !exists(door.file) {
		return append(findings, ok("database", "%s, not there yet: the server makes it", door.engine))
	}
	db, err := door.connect(ctx, sqlstore.Options{Sealer: sealer, Log: log})
	if err != nil {
		return append(findings, broken("database", err))
	}
	defer closePart(log, "database", db.Close)
	findings = append(findings, ok("database", "%s answers", door.engine), examineSchema(ctx, cfg, door, db, log, sealer))
	return append(findings, examineClock(ctx, door, db))
}

// examineDataDir must not make the folder: a doctor changes nothing.
func examineDataDir(cfg Config) finding {
	const check = "data folder"
	info, err := os.Stat(cfg.DataDir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ok(check, "%s, not there yet: the server makes it", cfg.DataDir)
	case err != nil:
		return broken(check, dataDirError(cfg.DataDir, err))
	case !info.IsDir():
		return broken(check, fmt.Errorf("%s is not a folder: choose another with --data-dir", cfg.DataDir))
	}
	if err := prepareDataDir(cfg); err != nil {
		return broken(check, err)
	}
	return ok(check, "%s can be written", cfg.DataDir)
}

// examineMasterKey reads the key; a nil Sealer means that there is none yet.
func examineMasterKey(cfg Config) (*tenants.Sealer, finding) {
	const check = "master key"
	file := filepath.Join(cfg.DataDir, tenants.MasterKeyFile)
	if cfg.MasterKey.IsZero() && !exists(file) {
		return nil, ok(check, "%s, not there yet: the server makes it; keep a copy of it with your backups", file)
	}
	sealer, err := openSealer(cfg)
	if err != nil {
		return nil, broken(check, err)
	}
	if cfg.MasterKey.IsZero() {
		return sealer, ok(check, "from %s", file)
	}
	return sealer, ok(check, "from the configuration")
}

func examineSchema(ctx context.Context, cfg Config, door databaseDoor, db *sqlstore.Database, log *slog.Logger, sealer *tenants.Sealer) finding {
	const check = "schema"
	err := migrations.Check(ctx, migrations.Dialect(db.Dialect()), db.DB())
	if pending := (*migrations.PendingError)(nil); errors.As(err, &pending) {
		f := finding{Check: check, Status: statusWarn, Detail: fmt.Sprintf("at version %d, this binary needs %d", pending.Database, pending.Known)}
		f.Fix = "the server brings it up when it starts"
		if !cfg.AutoMigrate {
			f.Status, f.Fix = statusFail, "run `platform migrate up`"
		}
		return f
	}
	if err != nil {
		return broken(check, err)
	}
	if sealer == nil {
		return finding{
			check, statusFail, "up to date, but the master key it was made with is missing",
			"set TIDEWIRE_MASTER_KEY, or put " + tenants.MasterKeyFile + " back into " + cfg.DataDir,
		}
	}
	// Opening compares the master key with the one the database was made with.
	store, err := door.open(ctx, sqlstore.Options{Sealer: sealer, Log: log})
	if err != nil {
		return broken(check, err)
	}
	defer closePart(log, "database", store.Close)
	return ok(check, "up to date, the master key fits")
}

// examineClock compares this machine's clock with the database server's:
// signed requests are refused when clocks are ten minutes apart.
func examineClock(ctx context.Context, door databaseDoor, db *sqlstore.Database) finding {
	const check = "clock"
	here := time.Now().UTC()
	if door.clockSQL == "" {
		return ok(check, "%s; nothing to compare it with", here.Format(time.DateTime+" UTC"))
	}
	var there time.Time
	if err := db.DB().QueryRowContext(ctx, door.clockSQL).Scan(&there); err != nil {
		return broken(check, fmt.Errorf("ask the database for its time: %w", err))
	}
	apart := there.Sub(here).Abs().Round(time.Millisecond)
	f := ok(check, "%s apart from the database server", apart)
	if apart > 5*time.Second {
		f.Status, f.Fix = statusWarn, "synchronise both machines with NTP, for example with chrony"
	}
	if apart > time.Minute {
		f.Status = statusFail
	}
	return f
}

func examineRealtime(ctx context.Context, cfg Config, log *slog.Logger) finding {
	const check = "realtime"
	if cfg.RedisURL == "" {
		return ok(check, "%s, for one node", engineMemory)
	}
	ctx, cancel := context.WithTimeout(ctx, doctorTimeout)
	defer cancel()
	live, err := openRealtime(ctx, cfg, nodeName(), log)
	if err != nil {
		return broken(check, err)
	}
	defer closePart(log, "realtime engine", live.close)
	start := time.Now()
	if err := live.ping(ctx); err != nil {
		return broken(check, err)
	}
	return ok(check, "%s answers in %s", live.engine, time.Since(start).Round(10*time.Microsecond))
}

func examineTLS(cfg Config) finding {
	const check = "tls"
	if cfg.TLSCert == "" {
		return ok(check, "not here")
	}
	pair, err := loadCertificate(cfg)
	if err != nil {
		return broken(check, err)
	}
	return examineExpiry(pair, time.Now())
}

func examineExpiry(pair tls.Certificate, now time.Time) finding {
	const check = "tls"
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return broken(check, fmt.Errorf("read the certificate: %w", err))
	}
	until := leaf.NotAfter.UTC().Format(time.DateOnly)
	switch left := leaf.NotAfter.Sub(now); {
	case left <= 0:
		return finding{check, statusFail, "the certificate ended on " + until, "renew it and restart"}
	case left < 14*24*time.Hour:
		return finding{check, statusWarn, "the certificate ends on " + until, "renew it and restart"}
	}
	return ok(check, "certificate good until %s", until)
}

// examineFiles checks how many connections this process may hold.
func examineFiles() finding {
	const check, enough = "open files", 10_000
	limit, known := openFileLimit()
	if !known {
		return ok(check, "no limit known on this system")
	}
	f := ok(check, "%d, each connection needs one", limit)
	if limit < enough {
		f.Status, f.Fix = statusWarn, "raise it: ulimit -n 65536, or LimitNOFILE=65536 in the systemd unit"
	}
	return f
}

// examineMemory says whether clients are turned away before memory is short.
func examineMemory() finding {
	const check = "memory"
	limit := debug.SetMemoryLimit(-1) // asks only
	if limit == math.MaxInt64 {
		return ok(check, "no limit; GOMEMLIMIT, such as 1600MiB, turns new clients away before the kernel ends the server")
	}
	return ok(check, "GOMEMLIMIT is %d MiB; above %.0f%% of it new clients are turned away", limit>>20, memoryShare*100)
}

func examinePort(ctx context.Context, cfg Config, setting, address string) finding {
	check := "port " + setting
	l, err := bind(ctx, setting, address)
	if err == nil {
		_ = l.Close()
		return ok(check, "%s is free", address)
	}
	if setting == "listen" {
		// Ready or not does not matter here, only whether it speaks like one of us.
		if told, _ := askReady(ctx, cfg.localURL(address), true, false); told.Status != "" {
			return finding{
				check, statusWarn, address + " is taken by a server that answers like Tidewire",
				"nothing, if that is the one you mean",
			}
		}
	}
	return broken(check, err)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
