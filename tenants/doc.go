// Package tenants is the ground floor: who is asking, and what they may do.
//
// It holds the words every other package speaks (tenant, app, key, settings,
// limits), the signatures that prove a request came from the owner of a key,
// the sealing of secrets at rest, and [Directory], the in-memory look-up that
// keeps SQL off the path of an event.
//
// It is not a door: it knows neither SQL, HTTP nor Redis. Those come in through
// tenants/sqlstore and its neighbours.
package tenants
