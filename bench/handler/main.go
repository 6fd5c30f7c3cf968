// Command handler is the bench's measure for a REST publish: a bare gin handler
// that checks the same signature, decodes the same body and publishes to nobody.
package main

import (
	"net"
	"net/http"

	"tidewire/bench/internal/pusher"
	"tidewire/bench/internal/serve"
)

func main() {
	serve.Run(func(l net.Listener, o serve.Options) error {
		nobody := func(pusher.App, pusher.Publish) error { return nil }
		return http.Serve(l, serve.Events(o, nobody))
	})
}
