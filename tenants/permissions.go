package tenants

import "slices"

// Action is one kind of thing that can be done inside a tenant.
type Action string

// The actions. Everything the admin API does is one of them.
const (
	ActTenantRead    Action = "tenant:read"
	ActTenantWrite   Action = "tenant:write"   // its name
	ActTenantDelete  Action = "tenant:delete"  // and calling the deletion off
	ActTenantExport  Action = "tenant:export"  //
	ActOwners        Action = "tenant:owners"  // making and unmaking owners
	ActMembersRead   Action = "members:read"   // invitations included
	ActMembersWrite  Action = "members:write"  // of every role but owner
	ActTokensRead    Action = "tokens:read"    //
	ActTokensWrite   Action = "tokens:write"   //
	ActAppsRead      Action = "apps:read"      // settings, limits, names of keys
	ActAppsWrite     Action = "apps:write"     // create, rename, settings, limits
	ActAppsDelete    Action = "apps:delete"    //
	ActKeysWrite     Action = "keys:write"     // create, rotate, revoke
	ActWebhooksRead  Action = "webhooks:read"  // deliveries included
	ActWebhooksWrite Action = "webhooks:write" // tests and replays included
	ActChannelsRead  Action = "channels:read"  // the live console
	ActConnections   Action = "connections:write"
	ActEventsWrite   Action = "events:write"
	ActStatsRead     Action = "stats:read"
	ActAuditRead     Action = "audit:read"
)

// Actions lists every action.
func Actions() []Action {
	return []Action{
		ActTenantRead, ActTenantWrite, ActTenantDelete, ActTenantExport, ActOwners, ActMembersRead, ActMembersWrite,
		ActTokensRead, ActTokensWrite, ActAppsRead, ActAppsWrite, ActAppsDelete, ActKeysWrite, ActWebhooksRead,
		ActWebhooksWrite, ActChannelsRead, ActConnections, ActEventsWrite, ActStatsRead, ActAuditRead,
	}
}

// rule is one row of the permission table.
type rule struct {
	roles    []Role  // members who may
	scopes   []Scope // tokens that may, one of these is enough
	operator bool    // whether an operator who is no member may
	closed   bool    // whether it is possible while the tenant is suspended or closing
}

var (
	owners     = []Role{RoleOwner}
	admins     = []Role{RoleOwner, RoleAdmin}
	developers = []Role{RoleOwner, RoleAdmin, RoleDeveloper}
	everyone   = []Role{RoleOwner, RoleAdmin, RoleDeveloper, RoleViewer}
)

// permissions is the whole of who may do what. An action that is missing is
// allowed to nobody. An operator looks after tenants and sees metadata: no
// events, no channels, no secrets. A token never makes tokens or owners, so that
// a leaked one cannot outlive its revocation.
var permissions = map[Action]rule{
	ActTenantRead:    {everyone, Scopes(), true, true},
	ActTenantWrite:   {admins, []Scope{ScopeAdmin}, false, false},
	ActTenantDelete:  {owners, nil, true, true},
	ActTenantExport:  {owners, nil, true, true},
	ActOwners:        {owners, nil, false, false},
	ActMembersRead:   {everyone, []Scope{ScopeMembersWrite, ScopeAdmin}, true, true},
	ActMembersWrite:  {admins, []Scope{ScopeMembersWrite, ScopeAdmin}, false, false},
	ActTokensRead:    {admins, []Scope{ScopeAdmin}, true, true},
	ActTokensWrite:   {admins, nil, false, false},
	ActAppsRead:      {everyone, []Scope{ScopeAppsRead, ScopeAppsWrite, ScopeKeysWrite, ScopeAdmin}, true, true},
	ActAppsWrite:     {developers, []Scope{ScopeAppsWrite, ScopeAdmin}, false, false},
	ActAppsDelete:    {admins, []Scope{ScopeAdmin}, false, false},
	ActKeysWrite:     {developers, []Scope{ScopeKeysWrite, ScopeAdmin}, false, false},
	ActWebhooksRead:  {everyone, []Scope{ScopeWebhooksWrite, ScopeAdmin}, false, true},
	ActWebhooksWrite: {developers, []Scope{ScopeWebhooksWrite, ScopeAdmin}, false, false},
	ActChannelsRead:  {developers, []Scope{ScopeChannelsRead, ScopeAdmin}, false, false},
	ActConnections:   {developers, []Scope{ScopeAdmin}, false, false},
	ActEventsWrite:   {developers, []Scope{ScopeEventsWrite, ScopeAdmin}, false, false},
	ActStatsRead:     {everyone, []Scope{ScopeStatsRead, ScopeAdmin}, true, true},
	ActAuditRead:     {admins, []Scope{ScopeAuditRead, ScopeAdmin}, true, true},
}

// May reports whether a member of that role may do it.
func (r Role) May(act Action) bool { return slices.Contains(permissions[act].roles, r) }

// Grants reports whether a token with that scope may do it.
func (s Scope) Grants(act Action) bool { return slices.Contains(permissions[act].scopes, s) }

// OperatorMay reports whether an operator may do it in a tenant they do not
// belong to.
func OperatorMay(act Action) bool { return permissions[act].operator }

// OpenWhileClosed reports whether it can be done while the tenant is suspended
// or closing.
func OpenWhileClosed(act Action) bool { return permissions[act].closed }
