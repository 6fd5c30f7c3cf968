package api

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"tidewire/tenants"
)

// endpoint does the work of one route and returns the JSON to answer with.
type endpoint func(d *Door, c *call) ([]byte, error)

// route is one path of the API. Each takes one method.
type route struct {
	method string
	status int      // of success
	params []string // of the query, beside those of the signature
	run    endpoint
}

var (
	routeEvents      = &route{http.MethodPost, http.StatusOK, nil, (*Door).trigger}
	routeBatch       = &route{http.MethodPost, http.StatusOK, nil, (*Door).triggerBatch}
	routeChannels    = &route{http.MethodGet, http.StatusOK, []string{"filter_by_prefix", "info"}, (*Door).listChannels}
	routeChannel     = &route{http.MethodGet, http.StatusOK, []string{"info"}, (*Door).showChannel}
	routeUsers       = &route{http.MethodGet, http.StatusOK, nil, (*Door).listUsers}
	routeHistory     = &route{http.MethodGet, http.StatusOK, []string{"after", "before", "start_ms", "end_ms", "direction", "limit", "cursor"}, (*Door).showHistory}
	routeTerminate   = &route{http.MethodPost, http.StatusOK, nil, (*Door).terminateUser}
	routeStats       = &route{http.MethodGet, http.StatusOK, nil, (*Door).showStats}
	routeSingleEvent = &route{http.MethodPost, http.StatusAccepted, []string{"name", "socket_id"}, (*Door).triggerSingle}
)

// target is what a path names. app is as it was escaped, and empty for a path
// that leaves the app to the key; name is decoded: a channel or a user.
type target struct{ app, name string }

// find returns the route of an escaped path, nil if there is none. The fixed
// words of a path are compared as they are sent.
func find(path string) (target, *route) {
	rest, ok := strings.CutPrefix(path, "/apps/")
	if !ok {
		// The Python library leaves the app out of this one path.
		name, r := inApp(strings.TrimPrefix(path, "/"))
		if r != routeTerminate {
			return target{}, nil
		}
		return target{name: name}, r
	}
	app, rest, _ := strings.Cut(rest, "/")
	if app == "" {
		return target{}, nil
	}
	name, r := inApp(rest)
	return target{app: app, name: name}, r
}

func inApp(path string) (name string, r *route) {
	switch path {
	case "events":
		return "", routeEvents
	case "batch_events":
		return "", routeBatch
	case "channels":
		return "", routeChannels
	}
	kind, rest, _ := strings.Cut(path, "/")
	name, action, deeper := strings.Cut(rest, "/")
	name, err := url.PathUnescape(name)
	if err != nil || name == "" {
		return "", nil
	}
	switch {
	case kind == "channels" && !deeper:
		return name, routeChannel
	case kind == "channels" && action == "users":
		return name, routeUsers
	case kind == "channels" && action == "history":
		return name, routeHistory
	case kind == "channels" && action == "stats":
		return name, routeStats
	case kind == "channels" && action == "events":
		return name, routeSingleEvent
	case kind == "users" && action == "terminate_connections":
		return name, routeTerminate
	}
	return "", nil
}

// check refuses parameters the route does not know, and arrays of those it does.
func (r *route) check(params tenants.Params) error {
	var extra []string
	for _, name := range params.Extra() {
		if !slices.Contains(r.params, name) {
			extra = append(extra, name)
		} else if _, ok := params.Get(name); !ok {
			return notString(name)
		}
	}
	if extra != nil {
		return badRequest("The following query string parameters are extraneous: " + strings.Join(extra, ", "))
	}
	return nil
}
