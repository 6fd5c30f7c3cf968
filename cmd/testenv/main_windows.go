// Command testenv is for Linux and macOS; here it only says so.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "testenv: not available on Windows: run the tests in WSL, or set TEST_DATABASE_URL and TEST_REDIS_URL and use go test")
	os.Exit(2)
}
