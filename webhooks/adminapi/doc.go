// Package adminapi adds webhooks to the admin API: endpoints, deliveries and
// their attempts, test and replay. Routes, checks and errors are those of
// tenants/adminapi; this package holds only its rows.
package adminapi
