package main

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
)

// newRequestTiming counts requests to the two APIs and how long they take. No
// label holds anything that a client chose.
func newRequestTiming() *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "tidewire_request_seconds",
		Help:    "Requests to the HTTP API (its POSTs publish) and the admin API, until answered.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
	}, []string{"api", "method", "status"})
}

func timeRequests(timing *prometheus.HistogramVec) gin.HandlerFunc {
	return func(c *gin.Context) {
		api := "http"
		switch route := c.FullPath(); {
		case strings.HasPrefix(route, "/apps/"):
		case strings.HasPrefix(route, "/api/"):
			api = "admin"
		default:
			return
		}
		method := c.Request.Method
		if method != http.MethodGet && method != http.MethodPost {
			method = "other"
		}
		begun := time.Now()
		c.Next()
		timing.WithLabelValues(api, method, strconv.Itoa(c.Writer.Status()/100)+"xx").Observe(time.Since(begun).Seconds())
	}
}
