package main

import (
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/lmittmann/tint"
)

// newLogger makes the logger of a server process. The format auto is text for
// a person at a terminal and JSON for a machine.
func newLogger(cfg Config, w io.Writer) *slog.Logger {
	terminal := isTerminal(w)
	if cfg.LogFormat == "json" || (cfg.LogFormat == "auto" && !terminal) {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: cfg.LogLevel}))
	}
	return slog.New(tint.NewTextHandler(w, &tint.Options{Level: cfg.LogLevel, TimeFormat: time.TimeOnly, NoColor: !terminal}))
}

// newQuietLogger is for commands that print a result: only what went wrong is
// worth a line beside it, unless somebody is looking for a fault.
func newQuietLogger(cfg Config, w io.Writer) *slog.Logger {
	if cfg.LogLevel == slog.LevelInfo {
		cfg.LogLevel = slog.LevelError
	}
	return newLogger(cfg, w)
}

// isTerminal reports whether w is a device a person looks at.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
