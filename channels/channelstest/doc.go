// Package channelstest holds the suites that every engine behind a seam of
// package channels must pass: the in-process one and Redis alike.
//
// It is for tests only. It knows the contracts, not the engines: how nodes are
// made and joined is the caller's part.
package channelstest
