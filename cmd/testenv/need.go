//go:build unix

package main

import (
	"context"
	"fmt"
	"os"
)

// need is one thing that tests may ask for, and the ways to provide it.
type need struct {
	name    string
	env     string // the variable that tells the tests where it is
	sources []source
	hint    string // what a person can do when every source fails
}

// source tries one way to provide a need. It returns an empty value if this way
// is not open on this machine, and an error if it is open and did not work.
type source func(ctx context.Context, k *kit) (value string, err error)

// findNeed returns the need of that name.
func findNeed(name string) (need, bool) {
	for _, n := range []need{postgresNeed(), redisNeed(), chromiumNeed()} {
		if n.name == name {
			return n, true
		}
	}
	return need{}, false
}

// provide returns the value of n's variable from the first source that has one.
func (n need) provide(ctx context.Context, k *kit) (string, error) {
	if value := os.Getenv(n.env); value != "" {
		k.say("%s: using %s as it is set", n.name, n.env)
		return value, nil
	}
	for _, try := range n.sources {
		value, err := try(ctx, k)
		if err != nil {
			return "", err
		}
		if value != "" {
			return value, nil
		}
	}
	return "", fmt.Errorf("%s is not available: %s, or set %s", n.name, n.hint, n.env)
}
