// Package dashboard is the part of Tidewire that people look at: the web
// application under /dashboard/ and, under `platform dev`, the playground at /.
//
// It serves files it carries inside the binary and never reads them from disk.
// It is not the admin API, and it decides nothing: what it does, it does
// through the packages below it.
package dashboard

import (
	_ "embed"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:embed notbuilt.html
var notBuilt []byte

// New serves the web application below prefix, for example "/dashboard/".
// When the binary was built without its assets, every page is one plain page
// that says how to build them.
func New(prefix string) http.Handler {
	return newApp(prefix, assets())
}

// newApp is New over any file tree; a tree without index.html counts as not built.
func newApp(prefix string, files fs.FS) http.Handler {
	index, err := fs.ReadFile(files, "index.html")
	if err != nil {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { servePage(w, notBuilt) })
	}
	static := http.StripPrefix(prefix, http.FileServerFS(files))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(path.Clean(r.URL.Path), strings.TrimSuffix(prefix, "/"))
		name = strings.TrimPrefix(name, "/")
		if info, err := fs.Stat(files, name); name == "" || name == "index.html" || err != nil || info.IsDir() {
			// A path that is no file is a page of the application, which routes itself.
			servePage(w, index)
			return
		}
		if strings.HasPrefix(name, "assets/") {
			// The build puts a hash of the content into these names.
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		secure(w.Header())
		static.ServeHTTP(w, r)
	})
}

func servePage(w http.ResponseWriter, page []byte) {
	secure(w.Header())
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(page)
}

// secure sets what every page of ours is held to: our own files only, nothing
// inline, no frames around us, no address leaked to other sites.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "+
		"font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
}
