// Command naive is the bench's baseline: gin and melody put together the obvious
// way. It does the product's work (key look-up, greeting, subscribe, signed
// publish, frame encoded once per event) and writes with session.Write, one call
// per subscriber. It knows public channels only.
package main

import (
	"net"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/olahol/melody"

	"tidewire/bench/internal/serve"
)

// maxMessageBytes is the product's cap for one inbound message; melody's own
// default of 512 would refuse many a real one.
const maxMessageBytes = 32768

func main() {
	serve.Run(func(l net.Listener, o serve.Options) error {
		return http.Serve(l, routes(o))
	})
}

// routes builds the server. The route of the WebSocket comes beside the two of
// the HTTP API.
func routes(o serve.Options) *gin.Engine {
	m := melody.New()
	m.Config.MaxMessageSize = maxMessageBytes
	if o.Buffer > 0 {
		m.Config.MessageBufferSize = o.Buffer
	}
	h := newHub()
	m.HandleConnect(h.connect)
	m.HandleMessage(h.message)
	m.HandleDisconnect(h.disconnect)

	r := serve.Events(o, h.publish)
	r.GET("/app/:key", func(c *gin.Context) {
		app, ok := o.Keys[c.Param("key")]
		if !ok {
			c.String(http.StatusNotFound, "unknown key\n")
			return
		}
		_ = m.HandleRequestWithKeys(c.Writer, c.Request, map[string]any{"app": app.ID})
	})
	return r
}
