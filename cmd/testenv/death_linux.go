package main

import "syscall"

// setDeathSignal has the kernel send sig to the process when its starter dies.
func setDeathSignal(attr *syscall.SysProcAttr, sig syscall.Signal) { attr.Pdeathsig = sig }
