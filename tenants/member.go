package tenants

import "time"

// Role is what a member of a tenant may do there; see [Role.May].
type Role string

// The roles, the mightiest first.
const (
	RoleOwner     Role = "owner"
	RoleAdmin     Role = "admin"
	RoleDeveloper Role = "developer"
	RoleViewer    Role = "viewer"
)

// Roles lists every role, the mightiest first.
func Roles() []Role { return []Role{RoleOwner, RoleAdmin, RoleDeveloper, RoleViewer} }

func (r Role) valid() bool {
	return r == RoleOwner || r == RoleAdmin || r == RoleDeveloper || r == RoleViewer
}

func checkRole(r Role) error {
	if !r.valid() {
		return &InvalidError{"role", "must be owner, admin, developer or viewer"}
	}
	return nil
}

// Member is a user's place in a tenant.
type Member struct {
	TenantID  string    `json:"-"`
	UserID    string    `json:"user_id"`
	Email     string    `json:"email"`
	Name      string    `json:"name,omitempty"`
	Role      Role      `json:"role"`
	CreatedAt time.Time `json:"created_at"`
}

// Membership is the same, seen from the user.
type Membership struct {
	Tenant Tenant `json:"tenant"`
	Role   Role   `json:"role"`
}

// Invitation is a place that waits for the owner of an address.
type Invitation struct {
	ID        string    `json:"id"`
	TenantID  string    `json:"-"`
	Email     string    `json:"email"`
	Role      Role      `json:"role"`
	TokenHash string    `json:"-"`
	InvitedBy string    `json:"invited_by"` // a user id, or "cli"
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
}
