// Package console is what a live console shows: a table of everything that can
// happen to an app's clients and servers, each with a stable code and, where
// something was refused, a remedy; and a tap that takes notes of it while
// somebody watches.
//
// While nobody watches any app of the node, asking the tap costs one atomic load.
// While somebody does, what is noted is bounded in number and bytes: what finds no
// room is counted, and the watcher is told how much that was. Refusals find room
// last of all to lose it.
//
// It carries nothing anywhere: the hub takes what was noted and sends it.
package console
