package tenants

import "time"

// TenantUsage is what one tenant used in a span of time, for an operator's list.
type TenantUsage struct {
	TenantID string `json:"tenant_id"`
	Tenant   string `json:"tenant"` // its slug
	Counts
	Messages        int64 `json:"messages"`
	PeakConnections int64 `json:"peak_connections"` // the sum of its apps' peaks, which need not have been at one time
	Connections     int64 `json:"connections"`      // open now, over all nodes
}

// Node is one process that serves, as it last reported itself.
type Node struct {
	Name        string    `json:"name"` // random for each start of a process
	SeenAt      time.Time `json:"seen_at"`
	Connections int64     `json:"connections"` // open on it when it was seen
}
