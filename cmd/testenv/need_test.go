//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func testKit(t *testing.T) (*kit, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	k, err := newKit(&out)
	require.NoError(t, err)
	t.Cleanup(k.close)
	return k, &out
}

func TestProvideTakesTheFirstSourceThatHasAValue(t *testing.T) {
	t.Parallel()
	gives := func(value string, err error) source {
		return func(context.Context, *kit) (string, error) { return value, err }
	}
	broken := errors.New("disk full")
	for _, c := range []struct {
		name    string
		sources []source
		want    string
		err     string
	}{
		{"first", []source{gives("a", nil), gives("b", nil)}, "a", ""},
		{"closed ways are passed over", []source{gives("", nil), gives("b", nil)}, "b", ""},
		{"an open way that fails is told", []source{gives("", broken), gives("b", nil)}, "", "disk full"},
		{"nothing", []source{gives("", nil)}, "", "x is not available: install x, or set TESTENV_TEST_UNSET"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k, _ := testKit(t)
			n := need{name: "x", env: "TESTENV_TEST_UNSET", sources: c.sources, hint: "install x"}
			got, err := n.provide(t.Context(), k)
			require.Equal(t, c.want, got)
			if c.err == "" {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, c.err)
			}
		})
	}
}

func TestProvidePrefersTheVariable(t *testing.T) {
	t.Setenv("TESTENV_TEST_SET", "redis://elsewhere")
	k, out := testKit(t)
	n := need{name: "x", env: "TESTENV_TEST_SET", sources: []source{
		func(context.Context, *kit) (string, error) { return "", errors.New("must not be tried") },
	}}
	got, err := n.provide(t.Context(), k)
	require.NoError(t, err)
	require.Equal(t, "redis://elsewhere", got)
	require.Contains(t, out.String(), "as it is set")
	require.NotContains(t, out.String(), "elsewhere", "a URL may hold a password")
}

func TestParseOptions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		args    []string
		needs   []string
		command []string
		err     string
	}{
		{"defaults", []string{"--", "go", "test"}, []string{"postgres", "redis"}, []string{"go", "test"}, ""},
		{"flags of the command are its own", []string{"go", "test", "-need", "x"}, []string{"postgres", "redis"}, []string{"go", "test", "-need", "x"}, ""},
		{"chosen", []string{"-need", "chromium, redis", "--", "true"}, []string{"chromium", "redis"}, []string{"true"}, ""},
		{"none", []string{"-need", "", "--", "true"}, nil, []string{"true"}, ""},
		{"no command", []string{"--"}, nil, nil, "no command given: put it after --"},
		{"unknown need", []string{"-need", "mysql", "--", "true"}, nil, nil, `-need "mysql" is unknown: use postgres, redis or chromium`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			opts, err := parseOptions(c.args)
			if c.err != "" {
				require.EqualError(t, err, c.err)
				return
			}
			require.NoError(t, err)
			var names []string
			for _, n := range opts.needs {
				names = append(names, n.name)
			}
			require.Equal(t, c.needs, names)
			require.Equal(t, c.command, opts.command)
		})
	}
}

func TestNewestPostgresComesFirst(t *testing.T) {
	t.Parallel()
	dirs := []string{"/usr/lib/postgresql/9/bin", "/usr/lib/postgresql/17/bin", "/opt/homebrew/opt/postgresql@16/bin"}
	sortNewestFirst(dirs)
	require.Equal(t, []string{"/usr/lib/postgresql/17/bin", "/opt/homebrew/opt/postgresql@16/bin", "/usr/lib/postgresql/9/bin"}, dirs)
}

func TestHoldServices(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "policy-rc.d")
	allow, err := holdServices(path)
	require.NoError(t, err)
	// A shell reads the file: a fork beside us may still hold it open for writing, and the kernel
	// would refuse to execute it then (golang.org/issue/22315).
	var exit *exec.ExitError
	require.ErrorAs(t, exec.Command("/bin/sh", path, "redis-server", "start").Run(), &exit)
	require.Equal(t, 101, exit.ExitCode(), "Debian's word for: not allowed")
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.NotZero(t, info.Mode().Perm()&0o100, "Debian's tools execute it")

	takeOver, err := holdServices(path)
	require.NoError(t, err)
	takeOver()
	require.NoFileExists(t, path, "a policy left by a killed run is ours to remove")
	allow()

	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\nexit 0\n"), 0o755))
	allow, err = holdServices(path)
	require.NoError(t, err)
	allow()
	require.FileExists(t, path, "somebody else's policy stays")
}

func TestSweepRemovesOnlyFoldersOfTheDead(t *testing.T) {
	t.Parallel()
	temp := t.TempDir()
	gone := exec.Command("true")
	require.NoError(t, gone.Run())
	dead := filepath.Join(temp, tempPrefix+strconv.Itoa(gone.Process.Pid)+"-1")
	alive := filepath.Join(temp, tempPrefix+strconv.Itoa(os.Getpid())+"-1")
	foreign := filepath.Join(temp, tempPrefix+"notes")
	for _, dir := range []string{dead, alive, foreign} {
		require.NoError(t, os.Mkdir(dir, 0o700))
	}
	sweep(temp)
	require.NoDirExists(t, dead)
	require.DirExists(t, alive)
	require.DirExists(t, foreign)
}
