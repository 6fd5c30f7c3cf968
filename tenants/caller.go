package tenants

// ActorKind is who stands behind a change.
type ActorKind string

// The kinds of actors.
const (
	ActorUser     ActorKind = "user"
	ActorToken    ActorKind = "token"
	ActorOperator ActorKind = "operator" // a user acting for the whole installation
	ActorCLI      ActorKind = "cli"      // the command line, next to the database
	ActorSystem   ActorKind = "system"   // nobody: something fell due
)

// Meta is what is known of a request before anybody signed in.
type Meta struct {
	IP        string // the client's address, after trusted proxies; empty for the command line
	UserAgent string
	RequestID string
}

// Caller is who asks, proven. The zero Caller is nobody: it may do nothing.
// Get one from [Accounts.SessionCaller], [Accounts.TokenCaller] or [CLI].
type Caller struct {
	Meta
	kind    ActorKind
	user    *User
	session *Session
	token   *Token
}

// CLI is the caller of the command line: whoever can open the database and the
// master key may do everything.
func CLI() Caller { return Caller{kind: ActorCLI} }

func systemCaller() Caller { return Caller{kind: ActorSystem} }

// Kind says what the caller is; empty for nobody.
func (c Caller) Kind() ActorKind { return c.kind }

// User is the signed-in user, or nil.
func (c Caller) User() *User { return c.user }

// Session is the signed-in session, or nil.
func (c Caller) Session() *Session { return c.session }

// Token is the API token in use, or nil.
func (c Caller) Token() *Token { return c.token }

// Operator reports whether the caller looks after the whole installation.
func (c Caller) Operator() bool {
	return c.kind == ActorCLI || c.kind == ActorSystem || c.kind == ActorUser && c.user.Operator
}

// ID names the caller in the audit log: a user's or token's id, or the kind.
func (c Caller) ID() string {
	switch {
	case c.user != nil:
		return c.user.ID
	case c.token != nil:
		return c.token.ID
	}
	return string(c.kind)
}
