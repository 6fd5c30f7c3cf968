package tenants

// InvalidError says which value was refused, why, and what would be accepted.
type InvalidError struct {
	Field  string // as the user wrote or should have written it: "settings.force_tls"
	Reason string // the rule that was broken and the remedy, in one clause
}

// Error implements error.
func (e *InvalidError) Error() string { return e.Field + ": " + e.Reason }
