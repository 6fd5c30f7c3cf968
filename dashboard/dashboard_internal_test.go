package dashboard

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func page(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

func TestAppThatWasNotBuilt(t *testing.T) {
	t.Parallel()
	h := newApp("/dashboard/", fstest.MapFS{".gitkeep": {}})
	for _, path := range []string{"/dashboard/", "/dashboard/apps/7"} {
		w := page(h, path)
		require.Equal(t, http.StatusOK, w.Code)
		require.Contains(t, w.Body.String(), "make dashboard")
	}
}

func TestAppThatWasBuilt(t *testing.T) {
	t.Parallel()
	h := newApp("/dashboard/", fstest.MapFS{
		"index.html":       {Data: []byte("<title>app</title>")},
		"assets/a-1234.js": {Data: []byte("let a")},
		"robots.txt":       {Data: []byte("none")},
	})
	for _, path := range []string{"/dashboard/", "/dashboard/index.html", "/dashboard/apps/7", "/dashboard/assets", "/dashboard/../secret"} {
		w := page(h, path)
		require.Equal(t, http.StatusOK, w.Code, path)
		require.Equal(t, "<title>app</title>", w.Body.String(), "%s is a page of the application", path)
		require.Equal(t, "no-cache", w.Header().Get("Cache-Control"))
	}
	w := page(h, "/dashboard/assets/a-1234.js")
	require.Equal(t, "let a", w.Body.String())
	require.Contains(t, w.Header().Get("Cache-Control"), "immutable")
	require.NotEmpty(t, w.Header().Get("Content-Security-Policy"))
	require.Equal(t, "none", page(h, "/dashboard/robots.txt").Body.String())
}

// The embedded tree itself must be there, built or not.
func TestNewServesSomething(t *testing.T) {
	t.Parallel()
	require.Equal(t, http.StatusOK, page(New("/dashboard/"), "/dashboard/").Code)
}
