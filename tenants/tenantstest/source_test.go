package tenantstest_test

import (
	"testing"

	"tidewire/tenants/tenantstest"
)

// The fake is held to the same contract as the real store.
func TestSourceIsAStore(t *testing.T) {
	t.Parallel()
	tenantstest.TestStore(t, func(*testing.T) tenantstest.Store { return &tenantstest.Source{} })
}
