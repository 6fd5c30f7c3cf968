//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
	"time"
)

const (
	policyFile = "/usr/sbin/policy-rc.d"
	policyText = "#!/bin/sh\n# made by tidewire's testenv while it installs a package\nexit 101\n"
)

// debianPackage installs a package and then provides from local binaries. The
// way is open only for root on a Debian-like system.
func debianPackage(name string, local source) source {
	return func(ctx context.Context, k *kit) (string, error) {
		if os.Geteuid() != 0 || findProgram("apt-get") == "" {
			return "", nil
		}
		if err := k.aptInstall(ctx, name); err != nil {
			return "", err
		}
		return local(ctx, k)
	}
}

// aptInstall installs one package without letting it start its own service.
func (k *kit) aptInstall(ctx context.Context, name string) error {
	allow, err := holdServices(policyFile)
	if err != nil {
		return err
	}
	defer allow()
	if !k.updated {
		k.say("reading the package lists…")
		if err := aptGet(ctx, "update", "-q"); err != nil {
			return err
		}
		k.updated = true
	}
	k.say("installing %s…", name)
	return aptGet(ctx, "install", "-q", "-y", "--no-install-recommends", name)
}

// holdServices writes the policy that makes Debian's packages start no service
// and returns what takes it away. Somebody else's policy is respected; one that
// a killed run of ours left behind is taken over.
func holdServices(path string) (allow func(), err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if errors.Is(err, fs.ErrExist) {
		if text, _ := os.ReadFile(path); string(text) == policyText {
			return func() { _ = os.Remove(path) }, nil
		}
		return func() {}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("keep packages from starting services: %w", err)
	}
	_, err = f.WriteString(policyText)
	if err := errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(path)
		return nil, fmt.Errorf("keep packages from starting services: %w", err)
	}
	return func() { _ = os.Remove(path) }, nil
}

// aptGet runs apt-get, waiting for another one that holds the lock.
func aptGet(ctx context.Context, args ...string) error {
	args = append([]string{"-o", "DPkg::Lock::Timeout=120"}, args...)
	cmd := exec.CommandContext(ctx, "apt-get", args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	// A killed dpkg leaves a half-installed package: let it finish its step.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = time.Minute
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get %s: %w: %s", args[2], err, lastLine(string(out)))
	}
	return nil
}
