package main_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEnginesAreChosenInOneFile looks for the constructors of engines.
func TestEnginesAreChosenInOneFile(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	seen := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		for _, made := range enginesMadeIn(file) {
			if name == "engine.go" {
				seen++
				continue
			}
			t.Errorf("%s calls %s: engines are chosen in engine.go only", name, made)
		}
	}
	require.NotZero(t, seen, "engine.go must choose something, else this test sees nothing")
}

func TestEngineConstructorsAreRecognised(t *testing.T) {
	t.Parallel()
	const source = `package p
func f() {
	_ = channels.NewMemoryBroker()
	_ = channels.NewHub()
	_, _ = sqlstore.OpenSQLite()
	var _ *sqlstore.Store
	_, _ = redis.Open()
	_, _ = os.Open()
}`
	file, err := parser.ParseFile(token.NewFileSet(), "p.go", source, 0)
	require.NoError(t, err)
	require.Equal(t, []string{"channels.NewMemoryBroker", "sqlstore.OpenSQLite", "redis.Open"}, enginesMadeIn(file))
}

var engineConstructor = regexp.MustCompile(`^((redis|sqlstore)\.Open.*|[a-z]+\.NewMemory.*)$`)

// enginesMadeIn lists the constructors of engines that file names.
func enginesMadeIn(file *ast.File) []string {
	var made []string
	ast.Inspect(file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if pkg, ok := sel.X.(*ast.Ident); ok && engineConstructor.MatchString(pkg.Name+"."+sel.Sel.Name) {
				made = append(made, pkg.Name+"."+sel.Sel.Name)
			}
		}
		return true
	})
	return made
}
