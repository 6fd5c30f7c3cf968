package dashboard

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func TestSDK(t *testing.T) {
	t.Parallel()
	get := func(h http.Handler, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w
	}
	built := newSDK(fstest.MapFS{"client.js": {Data: []byte("var Tidewire")}, ".gitkeep": {}})

	w := get(built, "/sdk/client.js")
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "var Tidewire", w.Body.String())
	require.Equal(t, "text/javascript; charset=utf-8", w.Header().Get("Content-Type"))
	require.Equal(t, "*", w.Header().Get("Access-Control-Allow-Origin"))

	w = get(built, "/sdk/client.mjs")
	require.Equal(t, http.StatusNotFound, w.Code)
	require.Contains(t, w.Body.String(), "make build")

	for _, path := range []string{"/sdk/", "/sdk/.gitkeep", "/sdk/../dashboard.go", "/sdk/client.js/x"} {
		require.NotEqual(t, http.StatusOK, get(built, path).Code, path)
	}
	require.NotNil(t, SDK())
}
