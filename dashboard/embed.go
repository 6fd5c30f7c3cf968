package dashboard

import (
	"embed"
	"io/fs"
)

// dist is what `make dashboard` built; only .gitkeep if it never ran.
//
//go:embed all:ui/dist
var dist embed.FS

//go:embed playground
var playgroundFiles embed.FS

func assets() fs.FS { return mustSub(dist, "ui/dist") }

// mustSub opens a folder of an embedded tree; it cannot fail for one that is there.
func mustSub(files embed.FS, dir string) fs.FS {
	sub, err := fs.Sub(files, dir)
	if err != nil {
		panic(err)
	}
	return sub
}
