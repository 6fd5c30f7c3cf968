//go:build unix

package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

//go:embed compose.yml
var composeFile []byte

// composeService provides one service of compose.yml, if a Docker daemon
// answers. format takes the address the service's port is published at.
func composeService(service, port, format string) source {
	return func(ctx context.Context, k *kit) (string, error) {
		if !dockerAnswers(ctx) {
			return "", nil
		}
		k.say("%s: starting a container", service)
		file := filepath.Join(k.dir, "compose-"+service+".yml")
		if err := os.WriteFile(file, composeFile, 0o600); err != nil {
			return "", fmt.Errorf("write the compose file: %w", err)
		}
		project := strings.ToLower(filepath.Base(k.dir)) + "-" + service
		compose := func(ctx context.Context, args ...string) (string, error) {
			args = append([]string{"compose", "-f", file, "-p", project}, args...)
			out, err := exec.CommandContext(ctx, "docker", args...).CombinedOutput()
			return strings.TrimSpace(string(out)), err
		}
		k.onClose(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if out, err := compose(ctx, "down", "--volumes", "--timeout", "1"); err != nil {
				k.say("%s: remove the container: %v: %s", service, err, lastLine(out))
			}
		})
		if out, err := compose(ctx, "up", "--detach", "--wait", service); err != nil {
			k.say("%s: docker compose did not work (%s), looking further", service, lastLine(out))
			return "", nil
		}
		addr, err := compose(ctx, "port", service, port)
		if err != nil {
			return "", fmt.Errorf("ask docker for the port of %s: %w: %s", service, err, lastLine(addr))
		}
		k.say("%s: ready on %s", service, addr)
		return fmt.Sprintf(format, addr), nil
	}
}

// dockerAnswers reports whether there is a Docker client with a daemon behind it.
func dockerAnswers(ctx context.Context) bool {
	if findProgram("docker") == "" {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return exec.CommandContext(ctx, "docker", "info").Run() == nil
}
