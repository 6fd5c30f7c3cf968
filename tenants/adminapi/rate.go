package adminapi

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"tidewire/tenants"
)

// The rates. The one of an address is counted before anybody is asked who they
// are, so that guessing tokens is slow and cheap for us; it leaves room for an
// office behind one address.
var (
	addressRate = tenants.Bucket{Name: "admin-api", Rate: 50, Burst: 400}
	callerRate  = tenants.Bucket{Name: "admin-api", Rate: 20, Burst: 200}
)

// rate takes one request from a bucket and tells the client where they stand.
func (a *API) rate(c *gin.Context, who string, b tenants.Bucket) error {
	if a.cfg.Limiter == nil {
		return nil
	}
	if address, isAddress := strings.CutPrefix(who, "address:"); isAddress {
		who = "address:" + network(address)
	}
	d := a.cfg.Limiter.Take(c.Request.Context(), tenants.Demand{
		Tenant: "admin-api " + who, Cost: 1, Buckets: [tenants.MaxBuckets]tenants.Bucket{b},
	})
	h := c.Writer.Header()
	h.Set("RateLimit-Limit", strconv.Itoa(b.Burst))
	h.Set("RateLimit-Remaining", strconv.Itoa(min(max(d.Remaining, 0), b.Burst)))
	h.Set("RateLimit-Reset", seconds(d.Reset))
	if d.Allowed {
		return nil
	}
	return &tenants.ThrottledError{RetryAfter: max(d.RetryAfter, time.Second)}
}

// network is what counts as one address: of IPv6, all that one customer has.
func network(ip string) string {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return "unknown"
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is4() {
		return addr.String()
	}
	wide, _ := addr.Prefix(64)
	return wide.String()
}
