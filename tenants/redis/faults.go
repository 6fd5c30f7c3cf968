//go:build !faults

package redis

// tampered returns the source of a script as it is to be run. A build with the
// tag "faults" changes it on purpose, to prove that the tests of several nodes
// notice: faults_planted.go. No other build can.
func tampered(source string) string { return source }
