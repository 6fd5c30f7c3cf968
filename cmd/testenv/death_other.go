//go:build unix && !linux

package main

import "syscall"

// setDeathSignal does nothing: only Linux can tell a child that its starter died.
func setDeathSignal(*syscall.SysProcAttr, syscall.Signal) {}
