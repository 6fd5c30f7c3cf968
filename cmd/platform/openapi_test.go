package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write generated files instead of comparing them")

// openAPIFile is what the dashboard makes the types of its client from.
const openAPIFile = "../../dashboard/ui/openapi.json"

// TestOpenAPI holds the committed document to what the server serves.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	status, body := get(t, n.url+"/api/openapi.json")
	require.Equal(t, http.StatusOK, status)
	var indented bytes.Buffer
	require.NoError(t, json.Indent(&indented, []byte(body), "", "  "))
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(openAPIFile), 0o755))
		require.NoError(t, os.WriteFile(openAPIFile, indented.Bytes(), 0o644))
	}
	committed, err := os.ReadFile(openAPIFile)
	require.NoError(t, err)
	require.Equal(t, string(committed), indented.String(),
		"dashboard/ui/openapi.json is stale: run go test ./cmd/platform -run TestOpenAPI -update, then npm run types in dashboard/ui")
	status, page := get(t, n.url+"/api/docs")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, page, "/api/v1/apps/{app}/keys/{key}/rotate")
}
