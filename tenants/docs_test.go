package tenants_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/tenants"
)

var update = flag.Bool("update", false, "write generated files instead of comparing them")

// TestPermissionsAreWritten holds the table of docs/accounts.md to the rules.
func TestPermissionsAreWritten(t *testing.T) {
	t.Parallel()
	const file, begin, end = "../docs/accounts.md", "<!-- permissions -->\n", "<!-- /permissions -->"
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(raw), begin)
	require.True(t, found)
	written, after, found := strings.Cut(rest, end)
	require.True(t, found)
	table := permissionTable()
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(before+begin+table+end+after), 0o644))
		written = table
	}
	require.Equal(t, table, written, "docs/accounts.md is stale: run go test ./tenants -run TestPermissionsAreWritten -update")
}

func permissionTable() string {
	var b strings.Builder
	b.WriteString("| | owner | admin | developer | viewer | operator | tokens with one of | while closed |\n|---|---|---|---|---|---|---|---|\n")
	mark := func(yes bool) string {
		if yes {
			return "✓"
		}
		return ""
	}
	for _, act := range tenants.Actions() {
		var scopes []string
		for _, s := range tenants.Scopes() {
			if s.Grants(act) {
				scopes = append(scopes, "`"+string(s)+"`")
			}
		}
		if len(scopes) == len(tenants.Scopes()) {
			scopes = []string{"any scope"}
		}
		fmt.Fprintf(&b, "| `%s` |", act)
		for _, role := range tenants.Roles() {
			fmt.Fprintf(&b, " %s |", mark(role.May(act)))
		}
		fmt.Fprintf(&b, " %s | %s | %s |\n", mark(tenants.OperatorMay(act)), strings.Join(scopes, ", "), mark(tenants.OpenWhileClosed(act)))
	}
	return b.String()
}
