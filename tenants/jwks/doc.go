// Package jwks is the door to the key sets that token issuers publish over
// HTTPS (RFC 7517).
//
// The URL always comes from an app's settings, never from a token. Tenants
// choose it, so every fetch is that of a stranger's address: guarded when it is
// dialled, without redirects and proxies, bounded in time and size. What was
// fetched is known under app and URL only, so that no tenant's key can come to
// stand for another's, whatever its key id.
//
// It verifies no tokens: that is what tenants.JWTVerifier does.
package jwks
