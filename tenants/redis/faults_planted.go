//go:build faults

package redis

import (
	"os"
	"strings"
)

// tampered makes seats of dead nodes count for ever, if that is the fault of
// this process.
func tampered(source string) string {
	if os.Getenv("TEST_FAULT") != "counter not released" {
		return source
	}
	return strings.Replace(source, "expiry and tonumber(expiry) > now", "expiry", 1)
}
