//go:build linux

// Package proc starts the measured processes, reads what they cost from outside,
// and ends them by their id, however the bench itself ends.
//
// All contenders are measured by the same means, none of which they know of. It
// does not know what the processes are.
package proc
