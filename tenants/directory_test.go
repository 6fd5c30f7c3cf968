package tenants_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
	"tidewire/tenants/tenantstest"
)

func testApp(id tenants.AppID, keys ...string) tenants.App {
	app := tenants.App{
		ID: id, TenantID: "tn_1", TenantStatus: tenants.TenantActive,
		Settings: tenants.DefaultSettings(), Limits: tenants.DefaultLimits(),
	}
	for _, key := range keys {
		app.Keys = append(app.Keys, tenants.Key{ID: key, Key: key, Secret: tenants.NewSecret("secret-of-" + key), Status: tenants.KeyActive})
	}
	return app
}

// follow runs d inside a synctest bubble until the test ends.
func follow(t *testing.T, d *tenants.Directory) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	synctest.Wait()
}

// nextPoll lets the directory look for changes once more.
func nextPoll() {
	time.Sleep(300 * time.Millisecond) // bubble time, not real
	synctest.Wait()
}

func bubble(t *testing.T, test func(t *testing.T, src *tenantstest.Source, d *tenants.Directory)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := &tenantstest.Source{}
		test(t, src, tenants.NewDirectory(src, nil, tenants.DirectoryOptions{}))
	})
}

func TestDirectoryAnswersFromMemory(t *testing.T) {
	bubble(t, func(t *testing.T, src *tenantstest.Source, d *tenants.Directory) {
		src.Put(testApp("1", "k1", "k2"))
		for range 3 {
			app, err := d.ByKey(t.Context(), "k1")
			require.NoError(t, err)
			require.EqualValues(t, "1", app.ID)
			_, err = d.ByKey(t.Context(), "k2")
			require.NoError(t, err)
			_, err = d.ByID(t.Context(), "1")
			require.NoError(t, err)
		}
		require.Equal(t, 1, src.Asked(), "one answer serves every key of the app")
	})
}

func TestDirectoryWarmLookupAllocatesNothing(t *testing.T) {
	src := &tenantstest.Source{}
	src.Put(testApp("1", "k1"))
	d := tenants.NewDirectory(src, nil, tenants.DirectoryOptions{})
	ctx := t.Context()
	_, err := d.ByKey(ctx, "k1")
	require.NoError(t, err)
	require.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = d.ByKey(ctx, "k1") }))
	require.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = d.ByID(ctx, "1") }))
}

func TestDirectoryFollowsChanges(t *testing.T) {
	bubble(t, func(t *testing.T, src *tenantstest.Source, d *tenants.Directory) {
		src.Put(testApp("1", "k1"))
		src.Put(testApp("2", "k2"))
		var told []string
		d.OnChange(func(before, after *tenants.App) {
			if after == nil {
				told = append(told, fmt.Sprintf("%s deleted", before.ID))
				return
			}
			told = append(told, fmt.Sprintf("%s serving %v to %v", before.ID, before.Serving(), after.Serving()))
		})
		require.ErrorIs(t, d.Ready(), tenants.ErrUnavailable)
		follow(t, d)
		require.NoError(t, d.Ready())
		_, err := d.ByKey(t.Context(), "k1")
		require.NoError(t, err)

		disabled := testApp("1", "k1")
		disabled.Disabled = true
		src.Put(disabled)
		src.Put(testApp("2", "k2")) // nobody asked for it here
		nextPoll()
		app, err := d.ByKey(t.Context(), "k1")
		require.NoError(t, err)
		require.True(t, app.Disabled)
		require.Equal(t, []string{"1 serving true to false"}, told)

		src.Delete("1")
		nextPoll()
		_, err = d.ByKey(t.Context(), "k1")
		require.ErrorIs(t, err, tenants.ErrNotFound)
		require.Equal(t, "1 deleted", told[len(told)-1])
	})
}

func TestDirectoryFollowsATenant(t *testing.T) {
	bubble(t, func(t *testing.T, src *tenantstest.Source, d *tenants.Directory) {
		src.Put(testApp("1", "k1"))
		stranger := testApp("2", "k2")
		stranger.TenantID = "tn_2"
		src.Put(stranger)
		follow(t, d)
		for _, key := range []string{"k1", "k2"} {
			_, err := d.ByKey(t.Context(), key)
			require.NoError(t, err)
		}
		asked := src.Asked()
		src.SetTenantStatus("tn_1", tenants.TenantSuspended)
		nextPoll()
		app, err := d.ByKey(t.Context(), "k1")
		require.NoError(t, err)
		require.False(t, app.Serving())
		app, err = d.ByKey(t.Context(), "k2")
		require.NoError(t, err)
		require.True(t, app.Serving())
		require.Equal(t, asked+1, src.Asked(), "the other tenant's app is left alone")
	})
}

func TestDirectoryDropsRevokedKeys(t *testing.T) {
	bubble(t, func(t *testing.T, src *tenantstest.Source, d *tenants.Directory) {
		src.Put(testApp("1", "old", "new"))
		follow(t, d)
		_, err := d.ByKey(t.Context(), "old")
		require.NoError(t, err)
		revoked := testApp("1", "old", "new")
		revoked.Keys[0].Status = tenants.KeyRevoked
		src.Put(revoked)
		nextPoll()
		_, err = d.ByKey(t.Context(), "old")
		require.ErrorIs(t, err, tenants.ErrNotFound)
		_, err = d.ByKey(t.Context(), "new")
		require.NoError(t, err)
	})
}

func TestDirectoryKeyMovesToAnotherApp(t *testing.T) {
	bubble(t, func(t *testing.T, src *tenantstest.Source, d *tenants.Directory) {
		src.Put(testApp("1", "k", "k1"))
		src.Put(testApp("2", "k2"))
		follow(t, d)
		for _, key := range []string{"k", "k2"} {
			_, err := d.ByKey(t.Context(), key)
			require.NoError(t, err)
		}
		src.Put(testApp("2", "k2", "k"))
		nextPoll() // the new owner is read before the old one
		src.Put(testApp("1", "k1"))
		nextPoll()
		asked := src.Asked()
		app, err := d.ByKey(t.Context(), "k")
		require.NoError(t, err)
		require.EqualValues(t, "2", app.ID)
		require.Equal(t, asked, src.Asked(), "losing the key in one app must not drop it from the other")
	})
}

// An app may be asked for before the directory follows changes.
func TestDirectoryCatchesUpWhenItStarts(t *testing.T) {
	bubble(t, func(t *testing.T, src *tenantstest.Source, d *tenants.Directory) {
		src.Put(testApp("1", "k1"))
		_, err := d.ByKey(t.Context(), "k1")
		require.NoError(t, err)
		changed := testApp("1", "k1")
		changed.Name = "changed"
		src.Put(changed)
		follow(t, d)
		app, err := d.ByKey(t.Context(), "k1")
		require.NoError(t, err)
		require.Equal(t, "changed", app.Name)
	})
}

// A look-up may find a change before the poll does: subscribers hear of it once.
func TestDirectoryTellsOnce(t *testing.T) {
	bubble(t, func(t *testing.T, src *tenantstest.Source, d *tenants.Directory) {
		src.Put(testApp("1", "k1"))
		told := 0
		d.OnChange(func(before, after *tenants.App) {
			require.Nil(t, before.Key("k2"))
			require.NotNil(t, after.Key("k2"))
			told++
		})
		follow(t, d)
		_, err := d.ByKey(t.Context(), "k1")
		require.NoError(t, err)
		src.Put(testApp("1", "k1", "k2"))
		_, err = d.ByKey(t.Context(), "k2")
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, 1, told)
		nextPoll()
		require.Equal(t, 1, told)
	})
}

func TestDirectoryRemembersUnknown(t *testing.T) {
	bubble(t, func(t *testing.T, src *tenantstest.Source, d *tenants.Directory) {
		follow(t, d)
		for range 5 {
			_, err := d.ByKey(t.Context(), "k1")
			require.ErrorIs(t, err, tenants.ErrNotFound)
		}
		require.Equal(t, 1, src.Asked())
		time.Sleep(5 * time.Second) // bubble time, not real
		_, err := d.ByKey(t.Context(), "k1")
		require.ErrorIs(t, err, tenants.ErrNotFound)
		require.Equal(t, 2, src.Asked(), "not believed for ever")

		src.Put(testApp("1", "k1"))
		nextPoll()
		_, err = d.ByKey(t.Context(), "k1")
		require.NoError(t, err, "any change makes it ask again")

		asked := src.Asked()
		for _, hostile := range []string{"", "a:b", "../../etc", "k\x00", string(make([]byte, 100))} {
			_, err := d.ByKey(t.Context(), hostile)
			require.ErrorIs(t, err, tenants.ErrNotFound)
			_, err = d.ByID(t.Context(), tenants.AppID(hostile))
			require.ErrorIs(t, err, tenants.ErrNotFound)
		}
		require.Equal(t, asked, src.Asked(), "impossible names never reach the source")
	})
}

func TestDirectoryBoundsUnknown(t *testing.T) {
	t.Parallel()
	d := tenants.NewDirectory(&tenantstest.Source{}, nil, tenants.DirectoryOptions{MaxUnknown: 10})
	for i := range 100 {
		_, err := d.ByKey(t.Context(), fmt.Sprintf("k%d", i))
		require.ErrorIs(t, err, tenants.ErrNotFound)
	}
	require.Equal(t, 10, d.Stats().Unknown)
}

func TestDirectoryServesStaleWhileSourceIsAway(t *testing.T) {
	bubble(t, func(t *testing.T, src *tenantstest.Source, d *tenants.Directory) {
		src.Put(testApp("1", "k1"))
		src.Put(testApp("2", "k2"))
		follow(t, d)
		_, err := d.ByKey(t.Context(), "k1")
		require.NoError(t, err)

		down := errors.New("connection refused")
		src.Fail(down)
		nextPoll()
		_, err = d.ByKey(t.Context(), "k1")
		require.NoError(t, err)
		_, err = d.ByKey(t.Context(), "k2")
		require.ErrorIs(t, err, tenants.ErrUnavailable)
		require.ErrorIs(t, err, down)
		require.NotErrorIs(t, err, tenants.ErrNotFound)
		require.NoError(t, d.Ready())
		require.NotZero(t, d.Stats().Failures)

		changed := testApp("1", "k1")
		changed.Name = "changed"
		src.Put(changed)
		src.Fail(nil)
		nextPoll()
		app, err := d.ByKey(t.Context(), "k1")
		require.NoError(t, err)
		require.Equal(t, "changed", app.Name)
	})
}

func TestDirectoryStartsOverAfterAGap(t *testing.T) {
	bubble(t, func(t *testing.T, src *tenantstest.Source, d *tenants.Directory) {
		src.Put(testApp("1", "k1"))
		src.Put(testApp("2", "k2"))
		follow(t, d)
		for _, key := range []string{"k1", "k2"} {
			_, err := d.ByKey(t.Context(), key)
			require.NoError(t, err)
		}
		changed := testApp("1", "k1")
		changed.Name = "changed"
		src.Put(changed)
		src.Delete("2")
		src.ForgetHistory()
		nextPoll()
		app, err := d.ByKey(t.Context(), "k1")
		require.NoError(t, err)
		require.Equal(t, "changed", app.Name)
		_, err = d.ByKey(t.Context(), "k2")
		require.ErrorIs(t, err, tenants.ErrNotFound)
	})
}

// A restored backup has lower versions than the copies in memory.
func TestDirectorySurvivesARestoredBackup(t *testing.T) {
	bubble(t, func(t *testing.T, _ *tenantstest.Source, _ *tenants.Directory) {
		src := &swappable{Source: &tenantstest.Source{}}
		for range 10 {
			src.Put(testApp("1", "k1"))
		}
		d := tenants.NewDirectory(src, nil, tenants.DirectoryOptions{})
		follow(t, d)
		_, err := d.ByKey(t.Context(), "k1")
		require.NoError(t, err)

		backup := &tenantstest.Source{}
		older := testApp("1", "k1")
		older.Name = "older"
		backup.Put(older)
		src.swap(backup)
		nextPoll()
		app, err := d.ByKey(t.Context(), "k1")
		require.NoError(t, err)
		require.Equal(t, "older", app.Name)
	})
}

type swappable struct {
	mu sync.Mutex
	*tenantstest.Source
}

func (s *swappable) swap(to *tenantstest.Source) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Source = to
}

func (s *swappable) now() *tenantstest.Source {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Source
}

func (s *swappable) AppByKey(ctx context.Context, key string) (*tenants.App, error) {
	return s.now().AppByKey(ctx, key)
}

func (s *swappable) AppByID(ctx context.Context, id tenants.AppID) (*tenants.App, error) {
	return s.now().AppByID(ctx, id)
}

func (s *swappable) Changes(ctx context.Context, since int64) (tenants.ChangeSet, error) {
	return s.now().Changes(ctx, since)
}

// slow answers look-ups only after held was closed, with what it read before.
type slow struct {
	*tenantstest.Source
	held chan struct{}
}

func (s *slow) AppByKey(ctx context.Context, key string) (*tenants.App, error) {
	app, err := s.Source.AppByKey(ctx, key)
	select {
	case <-s.held:
		return app, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func TestDirectoryLookupRacingWithAChange(t *testing.T) {
	for name, race := range map[string]struct{ before, after func(*tenantstest.Source) }{
		"changed": {
			before: func(s *tenantstest.Source) { s.Put(testApp("1", "k1")) },
			after: func(s *tenantstest.Source) {
				app := testApp("1", "k1")
				app.Name = "new"
				s.Put(app)
			},
		},
		"created": {
			before: func(*tenantstest.Source) {},
			after: func(s *tenantstest.Source) {
				app := testApp("1", "k1")
				app.Name = "new"
				s.Put(app)
			},
		},
		"deleted": {
			before: func(s *tenantstest.Source) { s.Put(testApp("1", "k1")) },
			after:  func(s *tenantstest.Source) { s.Delete("1") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, fake *tenantstest.Source, _ *tenants.Directory) {
				src := &slow{fake, make(chan struct{})}
				race.before(fake)
				d := tenants.NewDirectory(src, nil, tenants.DirectoryOptions{})
				follow(t, d)
				go func() { _, _ = d.ByKey(t.Context(), "k1") }()
				synctest.Wait() // the look-up has read the old state and is on its way
				race.after(fake)
				nextPoll()
				close(src.held)
				synctest.Wait()

				app, err := d.ByKey(t.Context(), "k1")
				if name == "deleted" {
					require.ErrorIs(t, err, tenants.ErrNotFound)
					return
				}
				require.NoError(t, err)
				require.Equal(t, "new", app.Name, "the old answer must not stay")
			})
		})
	}
}

func TestDirectoryAsksOnceForManyCallers(t *testing.T) {
	bubble(t, func(t *testing.T, fake *tenantstest.Source, _ *tenants.Directory) {
		fake.Put(testApp("1", "k1"))
		src := &slow{fake, make(chan struct{})}
		d := tenants.NewDirectory(src, nil, tenants.DirectoryOptions{})
		impatient, cancel := context.WithCancel(t.Context())
		errs := make(chan error, 10)
		go func() { _, err := d.ByKey(impatient, "k1"); errs <- err }()
		synctest.Wait()
		for range 8 {
			go func() { _, err := d.ByKey(t.Context(), "k1"); errs <- err }()
		}
		waiter, giveUp := context.WithTimeout(t.Context(), time.Second)
		defer giveUp()
		_, err := d.ByKey(waiter, "k1")
		require.ErrorIs(t, err, tenants.ErrUnavailable)
		require.ErrorIs(t, err, context.DeadlineExceeded)

		cancel() // the first caller leaves; the others still get their answer
		synctest.Wait()
		close(src.held)
		for range 9 {
			require.NoError(t, <-errs)
		}
		require.Equal(t, 1, fake.Asked())
	})
}

func TestDirectoryLookupIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T, fake *tenantstest.Source, _ *tenants.Directory) {
		fake.Put(testApp("1", "k1"))
		d := tenants.NewDirectory(&slow{fake, make(chan struct{})}, nil, tenants.DirectoryOptions{})
		start := time.Now()
		_, err := d.ByKey(t.Context(), "k1")
		require.ErrorIs(t, err, tenants.ErrUnavailable)
		require.Equal(t, 5*time.Second, time.Since(start))
	})
}

func BenchmarkDirectoryByKey(b *testing.B) {
	src := &tenantstest.Source{}
	src.Put(testApp("1", "k1"))
	d := tenants.NewDirectory(src, nil, tenants.DirectoryOptions{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := d.ByKey(b.Context(), "k1"); err != nil {
				b.Error(err)
			}
		}
	})
}
