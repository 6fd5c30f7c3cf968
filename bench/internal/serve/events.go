package serve

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"tidewire/bench/internal/pusher"
)

// Events returns the two publish routes the way one writes them first: read the
// body, look the app up, check the signature, decode, publish, answer {}.
func Events(o Options, publish func(app pusher.App, e pusher.Publish) error) *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	handle := func(batch bool) gin.HandlerFunc {
		return func(c *gin.Context) {
			body, err := c.GetRawData()
			if err != nil {
				c.String(http.StatusBadRequest, "body cannot be read\n")
				return
			}
			app, ok := o.Apps[c.Param("id")]
			if !ok || c.Query("auth_key") != app.Key {
				c.String(http.StatusUnauthorized, "unknown app or key\n")
				return
			}
			q := c.Request.URL.Query()
			if err := pusher.Verify(app, c.Request.Method, c.Request.URL.Path, q, body, time.Now()); err != nil {
				c.String(http.StatusUnauthorized, err.Error()+"\n")
				return
			}
			events, err := pusher.ParseEvents(body, batch)
			if err != nil {
				c.String(http.StatusBadRequest, err.Error()+"\n")
				return
			}
			for _, e := range events {
				if err := publish(app, e); err != nil {
					c.String(http.StatusInternalServerError, err.Error()+"\n")
					return
				}
			}
			c.JSON(http.StatusOK, gin.H{})
		}
	}
	r.POST("/apps/:id/events", handle(false))
	r.POST("/apps/:id/batch_events", handle(true))
	return r
}
