package api

import "tidewire/channels/wire"

// terminateUser serves POST /apps/{id}/users/{user}/terminate_connections, and
// the same without the app: every connection signed in as the user is closed,
// on every node. A body has nothing to say and is not looked into.
func (d *Door) terminateUser(c *call) ([]byte, error) {
	if !wire.ValidUserID(c.name) {
		return nil, errUserID
	}
	if err := d.cfg.Hub.TerminateUser(c.ctx, c.app, c.name); err != nil {
		return nil, c.unserved("the user's connections cannot be reached right now", err)
	}
	return emptyMap, nil
}
