// Package sqlstore is the door through which tenants, apps and keys come out of
// a SQL database, SQLite or Postgres, and go into it.
//
// gorm and its two dialects stay in here. The schema is made by the migrations
// package, never by gorm. The package keeps nothing in memory: that is the work
// of [tenants.Directory]. It is never on the path of an event.
//
// Every write to the configuration takes the next configuration version in its
// own transaction and holds it until it commits (see Store.change), so that
// whoever asks for "everything after version n" misses nothing.
package sqlstore
