//go:build unix

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
)

func postgresNeed() need {
	return need{
		name: "postgres",
		env:  "TEST_DATABASE_URL",
		sources: []source{
			localPostgres,
			composeService("postgres", "5432", "postgres://postgres@%s/postgres?sslmode=disable"),
			debianPackage("postgresql", localPostgres),
		},
		hint: "install PostgreSQL 15 or newer (apt-get install postgresql, brew install postgresql@17) or start Docker",
	}
}

// localPostgres starts a private server from the binaries of this machine.
func localPostgres(ctx context.Context, k *kit) (string, error) {
	bin := findPostgres()
	if bin == "" {
		return "", nil
	}
	k.say("postgres: starting a private server from %s", bin)
	dir, err := k.folder("postgres")
	if err != nil {
		return "", err
	}
	who, err := postgresUser(dir)
	if err != nil {
		return "", err
	}
	data := filepath.Join(dir, "data")
	initdb := postgresCommand(dir, who, filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres",
		"-A", "trust", "--no-sync", "--no-locale", "-E", "UTF8")
	if out, err := initdb.CombinedOutput(); err != nil {
		return "", fmt.Errorf("make a postgres data folder in %s: %w: %s", dir, err, lastLine(string(out)))
	}
	return retryPort(ctx, func(port int) (string, error) {
		return startPostgres(ctx, k, postgresCommand(dir, who, filepath.Join(bin, "postgres"), postgresArgs(data, port)...), port)
	})
}

// postgresArgs trade durability for speed and keep the server on loopback TCP.
func postgresArgs(data string, port int) []string {
	args := []string{"-D", data}
	for _, setting := range []string{
		"listen_addresses=127.0.0.1", "port=" + strconv.Itoa(port), "unix_socket_directories=",
		"fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=300",
	} {
		args = append(args, "-c", setting)
	}
	return args
}

// startPostgres starts the server and waits until it takes connections.
func startPostgres(ctx context.Context, k *kit, cmd *exec.Cmd, port int) (string, error) {
	// SIGQUIT is Postgres's immediate shutdown; SIGKILL would leave its children to find out.
	s, err := k.startServer("postgres", cmd, syscall.SIGQUIT)
	if err != nil {
		return "", err
	}
	ready := func() bool {
		log, _ := os.ReadFile(s.log)
		return strings.Contains(string(log), "ready to accept connections")
	}
	if err := s.await(ctx, ready); err != nil {
		s.end()
		return "", err
	}
	k.onClose(s.end)
	k.say("postgres: ready on 127.0.0.1:%d", port)
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", port), nil
}

// postgresCommand prepares a program of Postgres with a clean environment: a
// PGDATA or PGPORT of the person who runs the tests must not reach it.
func postgresCommand(dir string, who *syscall.Credential, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	return cmd
}

// postgresUser returns who Postgres must run as, nil for us, and gives them
// dir: Postgres refuses to run as root.
func postgresUser(dir string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		u, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, fmt.Errorf("postgres does not run as root and there is no user postgres or nobody: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("read the id of user %s: %w", u.Username, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("read the group of user %s: %w", u.Username, err)
	}
	if err := os.Chown(dir, int(uid), int(gid)); err != nil {
		return nil, fmt.Errorf("give the postgres folder to %s: %w", u.Username, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// findPostgres returns the folder that holds both initdb and postgres, or "".
func findPostgres() string {
	var dirs []string
	if path, err := exec.LookPath("initdb"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",
		"/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin",
	} {
		found, _ := filepath.Glob(pattern)
		sortNewestFirst(found)
		dirs = append(dirs, found...)
	}
	for _, dir := range dirs {
		if isProgram(filepath.Join(dir, "initdb")) && isProgram(filepath.Join(dir, "postgres")) {
			return dir
		}
	}
	return ""
}

// sortNewestFirst orders folders by the version number in their names.
func sortNewestFirst(dirs []string) {
	sort.SliceStable(dirs, func(i, j int) bool { return versionIn(dirs[i]) > versionIn(dirs[j]) })
}

// versionIn reads the number in a path such as /usr/lib/postgresql/15/bin or
// /opt/homebrew/opt/postgresql@15/bin; 0 if there is none.
func versionIn(dir string) int {
	name := filepath.Base(filepath.Dir(dir))
	_, after, ok := strings.Cut(name, "@")
	if ok {
		name = after
	}
	n, _ := strconv.Atoi(name)
	return n
}

// isProgram reports whether path is a file that somebody may execute.
func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
