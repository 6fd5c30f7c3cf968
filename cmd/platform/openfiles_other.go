//go:build !unix

package main

// openFileLimit is how many files and sockets this process may have open.
func openFileLimit() (limit uint64, known bool) { return 0, false }
