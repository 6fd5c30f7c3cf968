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
	ID        string
	Slug      string // unique, what --tenant takes
	Name      string
	Status    TenantStatus
	CreatedAt time.Time
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
	Limits       Limits
	Version      int64 // the configuration version this copy was read at
	CreatedAt    time.Time
}

// Serving reports whether the app may carry traffic: it is enabled and its
// tenant is neither suspended nor closing.
func (a *App) Serving() bool {
	return !a.Disabled && (a.TenantStatus == TenantActive || a.TenantStatus == TenantUnverified)
}

// Key returns the app's usable key of that name, or nil if there is none or it
// is revoked.
func (a *App) Key(name string) *Key {
	for i := range a.Keys {
		if a.Keys[i].Key == name && a.Keys[i].Status != KeyRevoked {
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
	ID        string
	Key       string // public; 20 hex characters when we make it
	Secret    Secret
	Status    KeyStatus
	CreatedAt time.Time
}
