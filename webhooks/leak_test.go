package webhooks_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// A check waits for a running service; -rapid.checks asks for more of them.
	_ = flag.Set("rapid.checks", "12")
	goleak.VerifyTestMain(m)
}
