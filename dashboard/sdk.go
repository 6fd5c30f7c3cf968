package dashboard

import (
	"bytes"
	"embed"
	"io/fs"
	"net/http"
	"time"
)

// sdkFiles is what `make sdk` built; only .gitkeep if it never ran.
//
//go:embed all:sdk
var sdkFiles embed.FS

// SDKPath is where the JavaScript client is served: client.js for a script
// element, client.mjs as a module.
const SDKPath = "/sdk/"

// SDK serves the JavaScript client of this very version.
func SDK() http.Handler { return newSDK(mustSub(sdkFiles, "sdk")) }

// newSDK is SDK over any file tree.
func newSDK(files fs.FS) http.Handler {
	mux := http.NewServeMux()
	for _, name := range []string{"client.js", "client.mjs"} {
		code, err := fs.ReadFile(files, name)
		if err != nil {
			code = nil
		}
		mux.HandleFunc("GET "+SDKPath+name, func(w http.ResponseWriter, r *http.Request) {
			if code == nil {
				http.Error(w, "This binary was built without the JavaScript client. Build it with `make build`.", http.StatusNotFound)
				return
			}
			h := w.Header()
			h.Set("Content-Type", "text/javascript; charset=utf-8")
			// Pages of any site load it; modules need to be allowed to.
			h.Set("Access-Control-Allow-Origin", "*")
			h.Set("Cross-Origin-Resource-Policy", "cross-origin")
			h.Set("X-Content-Type-Options", "nosniff")
			// The address does not change with the version.
			h.Set("Cache-Control", "public, max-age=300")
			http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(code))
		})
	}
	return mux
}
