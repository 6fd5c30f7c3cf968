package tenants

// JWTReason says, in one stable word, why a token was refused.
type JWTReason string

// The reasons a token is refused for.
const (
	JWTDisabled    JWTReason = "disabled"     // the app accepts no tokens
	JWTMalformed   JWTReason = "malformed"    // not a token, or one of a form we do not read
	JWTHeaderWrong JWTReason = "header"       // a header that is missing or not accepted
	JWTClaimsWrong JWTReason = "claims"       // a claim that is missing or has a form we do not read
	JWTIssuerWrong JWTReason = "issuer"       // nobody this app trusts
	JWTAlgorithm   JWTReason = "algorithm"    // not one that is allowed to its issuer
	JWTUnknownKey  JWTReason = "unknown_key"  // the issuer has no such key
	JWTSignature   JWTReason = "signature"    // not made with the key of its issuer
	JWTExpired     JWTReason = "expired"      // past its exp
	JWTNotYet      JWTReason = "not_yet"      // nbf or iat lie ahead
	JWTLifetime    JWTReason = "lifetime"     // valid for too long
	JWTAudience    JWTReason = "audience"     // made for somebody else
	JWTRevoked     JWTReason = "revoked"      // taken back, see [Revocation]
	JWTNotForThis  JWTReason = "not_for_this" // made for another purpose, connection or channel
)

// JWTError is a refused token. Its text is meant for the sender: it says what is
// wrong and how to set it right, and never holds any of the token.
type JWTError struct {
	Reason JWTReason
	Text   string
}

// Error implements error.
func (e *JWTError) Error() string { return "Invalid token: " + e.Text }

func refuseJWT(reason JWTReason, text string) error { return &JWTError{reason, text} }

// RefuseJWT makes a [JWTError] for a use of a verified token that its claims do
// not cover.
func RefuseJWT(text string) error { return refuseJWT(JWTNotForThis, text) }
