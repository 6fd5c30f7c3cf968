// Package dbtest gives each test a Postgres database of its own. It is for
// tests only and starts no server: TEST_DATABASE_URL names one.
package dbtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Postgres makes an empty database on the server of TEST_DATABASE_URL, where
// the test may create databases, and returns its URL. The database is dropped
// when the test ends. Without that variable the test fails, or is skipped under
// -short.
func Postgres(t testing.TB) string {
	t.Helper()
	admin := os.Getenv("TEST_DATABASE_URL")
	if admin == "" {
		if testing.Short() {
			t.Skip("TEST_DATABASE_URL is not set")
		}
		t.Fatal("TEST_DATABASE_URL is not set: run make test, which provides a Postgres")
	}
	u, err := url.Parse(admin)
	if err != nil {
		t.Fatal("TEST_DATABASE_URL is not a URL: want postgres://user:password@host:port/database")
	}
	suffix := make([]byte, 8)
	_, _ = rand.Read(suffix)
	name := "tidewire_test_" + hex.EncodeToString(suffix)
	execute(t, admin, "CREATE DATABASE "+name)
	t.Cleanup(func() { execute(t, admin, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)") })
	u.Path = "/" + name
	return u.String()
}

func execute(t testing.TB, dsn, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatalf("connect to the test Postgres: %v", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}
