package tenants

import "context"

// Seats bound how many connections an app, and all apps of its tenant together,
// have open at once over all nodes. Where there is one node, [Meters] know them
// all and do this by themselves.
type Seats interface {
	// Take takes a seat of the app's and one of its tenant's, or says with a
	// [*ConnectionsError] that there is none. It never lets more through than
	// the limits allow, however many nodes ask at once. Each success needs one Free.
	Take(ctx context.Context, app *App) error
	// Free gives back what one Take took. It does not wait.
	Free(tenantID string, app AppID)
}

// ConnectionLimits are the most connections of the app, and of all apps of its
// tenant together.
func (a *App) ConnectionLimits() (ofApp, ofTenant int) {
	high := Ceilings().MaxConnections
	return within(a.Limits.MaxConnections, high), within(a.Plan.MaxConnections, high)
}
