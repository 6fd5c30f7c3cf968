// Package adminapi adds what goes on in an app's channels to the admin API: who
// is connected, what is occupied, publishing from the console. Routes, checks
// and errors are those of tenants/adminapi; this package holds only its rows.
//
// It is not the API of the customers' servers, which is channels/api: nothing
// here is signed with a key, and looking costs the customer no quota.
package adminapi
