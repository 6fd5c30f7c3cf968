package sqlstore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/migrations/dbtest"
	"tidewire/tenants"
	"tidewire/tenants/sqlstore"
	"tidewire/tenants/tenantstest"
)

const (
	scaleTenants = 1_000
	scaleApps    = 10 // of each
)

func scaleKey(i int) string { return fmt.Sprintf("scale-key-%06d", i) }

// BenchmarkThousandTenants measures an installation of 1,000 tenants with 10,000
// apps. Postgres is measured where TEST_DATABASE_URL names a server.
func BenchmarkThousandTenants(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) {
		path := filepath.Join(b.TempDir(), "tidewire.db")
		benchScale(b, func(ctx context.Context, o sqlstore.Options) (*sqlstore.Store, error) {
			return sqlstore.OpenSQLite(ctx, path, o)
		})
	})
	b.Run("postgres", func(b *testing.B) {
		if os.Getenv("TEST_DATABASE_URL") == "" {
			b.Skip("TEST_DATABASE_URL is not set")
		}
		dsn := dbtest.Postgres(b)
		benchScale(b, func(ctx context.Context, o sqlstore.Options) (*sqlstore.Store, error) {
			return sqlstore.OpenPostgres(ctx, dsn, o)
		})
	})
}

func benchScale(b *testing.B, open opener) {
	ctx := b.Context()
	options := sqlstore.Options{Sealer: scaleSealer(b), AutoMigrate: true}
	store, err := open(ctx, options)
	require.NoError(b, err)
	for i := range scaleTenants * scaleApps {
		_, _, err := store.CreateApp(ctx, tenants.NewApp{TenantSlug: fmt.Sprintf("tenant-%04d", i/scaleApps), Name: "App", Key: scaleKey(i)})
		require.NoError(b, err)
	}
	require.NoError(b, store.Close())

	b.Run("ready", func(b *testing.B) {
		for b.Loop() {
			store, err := open(ctx, options)
			require.NoError(b, err)
			stop := runDirectory(b, tenants.NewDirectory(store, nil, tenants.DirectoryOptions{}))
			b.StopTimer()
			stop()
			require.NoError(b, store.Close())
			b.StartTimer()
		}
	})
	store, err = open(ctx, options)
	require.NoError(b, err)
	defer func() { require.NoError(b, store.Close()) }()
	benchLookups(b, store)
	accounts := tenants.NewAccounts(store.Accounts(), &tenantstest.Hasher{}, tenants.AccountOptions{})
	b.Run("list 100 of 1,000 tenants", func(b *testing.B) {
		for b.Loop() {
			list, _, err := accounts.Tenants(ctx, tenants.CLI(), tenants.TenantFilter{Limit: 100})
			require.NoError(b, err)
			require.Len(b, list, 100)
		}
	})
	b.Run("list the apps of a tenant", func(b *testing.B) {
		for b.Loop() {
			list, _, err := accounts.Apps(ctx, tenants.CLI(), "tenant-0500", "", 50)
			require.NoError(b, err)
			require.Len(b, list, scaleApps)
		}
	})
}

func scaleSealer(b *testing.B) *tenants.Sealer {
	b.Helper()
	s, err := tenants.NewSealer(make([]byte, tenants.MasterKeyBytes))
	require.NoError(b, err)
	return s
}

// runDirectory runs a directory and waits until it knows where it stands.
func runDirectory(b *testing.B, d *tenants.Directory) (stop func()) {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = d.Run(ctx) }()
	for d.Ready() != nil {
		time.Sleep(100 * time.Microsecond)
	}
	return func() { cancel(); <-done }
}

func benchLookups(b *testing.B, store *sqlstore.Store) {
	b.Helper()
	ctx := b.Context()
	b.Run("cold look-up of a key", func(b *testing.B) {
		directory := tenants.NewDirectory(store, nil, tenants.DirectoryOptions{})
		defer runDirectory(b, directory)()
		for i := 0; b.Loop(); i++ {
			if i > 0 && i%(scaleTenants*scaleApps) == 0 {
				b.Skip("every key was asked for")
			}
			_, err := directory.ByKey(ctx, scaleKey(i))
			require.NoError(b, err)
		}
	})
	b.Run("warm look-up of a key", func(b *testing.B) {
		directory := tenants.NewDirectory(store, nil, tenants.DirectoryOptions{})
		defer runDirectory(b, directory)()
		for i := range 2_000 {
			_, err := directory.ByKey(ctx, scaleKey(i))
			require.NoError(b, err)
		}
		b.ReportAllocs()
		key := scaleKey(1_000)
		for b.Loop() {
			if _, err := directory.ByKey(ctx, key); err != nil {
				b.Fatal(err)
			}
		}
	})
}
