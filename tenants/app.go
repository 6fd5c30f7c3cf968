package tenants

import "time"

// AppID names an app. It is decimal digits only: official Pusher server
// libraries parse it as a number, and the signed path carries it.
type AppID string

// TenantStatus says what a tenant may do.
type TenantStatus string

// The life of a tenant. Only an active or unverified tenant's apps serve traffic.
const (
	TenantUnverified TenantStatus = "unverified"
	TenantActive     TenantStatus = "active"
	TenantSuspended  TenantStatus = "suspended"
	TenantClosing    TenantStatus = "closing"
)

// Tenant is one customer: the owner of apps, and a stranger to every other.
type Tenant struct {
	ID           string       `json:"id"`
	Slug         string       `json:"slug"` // unique, what --tenant takes
	Name         string       `json:"name"`
	Status       TenantStatus `json:"status"`
	StatusReason string       `json:"status_reason,omitempty"` // why it is suspended or closing; shown to its owner
	PurgeAt      time.Time    `json:"purge_at,omitzero"`       // closing only: when everything of it is removed
	Plan         string       `json:"plan"`                    // name of the plan; while unverified [SandboxPlan] is in force
	Revision     int64        `json:"revision"`                // grows with each change of this row; for If-Match
	CreatedAt    time.Time    `json:"created_at"`
}

// PlanInForce is the name of the plan whose ceilings count now.
func (t *Tenant) PlanInForce() string {
	if t.Status == TenantUnverified {
		return SandboxPlan
	}
	return t.Plan
}

// App is one tenant's realtime application: a space of channels of its own.
// Values handed out by [Directory] are shared and must not be changed.
type App struct {
	ID           AppID
	TenantID     string
	TenantSlug   string
	TenantStatus TenantStatus
	Name         string
	Cluster      string // a label fixed at creation
	Disabled     bool
	Keys         []Key // oldest first
	Settings     Settings
	Limits       Limits // as set; from a [Directory], lowered to what the plan allows
	Plan         Plan   // the ceilings of the tenant, in force now; sums over all its apps
	Version      int64  // the configuration version this copy was read at
	Revision     int64  // grows with each change of name, settings, limits or state; for If-Match
	CreatedAt    time.Time
}

// Serving reports whether the app may carry traffic: it is enabled and its
// tenant is neither suspended nor closing.
func (a *App) Serving() bool {
	return !a.Disabled && (a.TenantStatus == TenantActive || a.TenantStatus == TenantUnverified)
}

// Key returns the app's usable key of that name, or nil if there is none, it is
// revoked, or its time as a retiring key is over.
func (a *App) Key(name string) *Key {
	for i := range a.Keys {
		if a.Keys[i].Key == name && a.Keys[i].usable() {
			return &a.Keys[i]
		}
	}
	return nil
}

// KeyStatus is where a key stands in its rotation.
type KeyStatus string

// A rotation makes a new key active and the old one retiring; both work until
// the old one is revoked.
const (
	KeyActive   KeyStatus = "active"
	KeyRetiring KeyStatus = "retiring"
	KeyRevoked  KeyStatus = "revoked"
)

// Key is a public name and the secret that signs for it.
type Key struct {
	ID        string    `json:"id"`
	Key       string    `json:"key"` // public; 20 hex characters when we make it
	Secret    Secret    `json:"-"`
	Status    KeyStatus `json:"status"`
	RetiresAt time.Time `json:"retires_at,omitzero"` // when a retiring key stops working; zero = not set
	CreatedAt time.Time `json:"created_at"`
}

// usable looks at the clock for a retiring key only, so that it ends on time
// even while nobody can write its end into the database.
func (k *Key) usable() bool {
	switch k.Status {
	case KeyActive:
		return true
	case KeyRetiring:
		return k.RetiresAt.IsZero() || time.Now().Before(k.RetiresAt)
	}
	return false
}
