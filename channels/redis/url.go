package redis

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// mode is how the servers behind a URL belong together.
type mode int

const (
	modeSingle mode = iota
	modeSentinel
	modeCluster
)

// target is a parsed URL.
type target struct {
	mode     mode
	user     string
	password string
	addrs    []string // host:port; of the Sentinels in modeSentinel
	master   string   // modeSentinel only
	db       int
	tls      bool
}

const urlForms = "redis://[user:password@]host[:port][/db], rediss://…, " +
	"redis+sentinel://[user:password@]host1,host2/MASTER[/db][?tls=true] or redis+cluster://[user:password@]host1,host2[?tls=true]"

// parseURL reads the four URL forms. They are parsed by hand: net/url refuses a
// list of hosts, and its errors repeat the URL, password and all. No error from
// here contains any part of the user information.
func parseURL(raw string) (target, error) {
	var t target
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return t, errors.New("redis URL has no scheme; use " + urlForms)
	}
	defaultPort := "6379"
	switch scheme {
	case "redis":
	case "rediss":
		t.tls = true
	case "redis+sentinel":
		t.mode, defaultPort = modeSentinel, "26379"
	case "redis+cluster":
		t.mode = modeCluster
	default:
		return t, errors.New("redis URL has an unknown scheme; use " + urlForms)
	}
	if strings.Contains(rest, "#") {
		return t, errors.New("redis URL contains '#'; write it as %23 in a password")
	}
	rest, query, _ := strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(rest, "/")
	hosts := authority
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		hosts = authority[at+1:]
		if err := t.setUser(authority[:at]); err != nil {
			return t, err
		}
	}
	for _, err := range []error{t.setHosts(hosts, defaultPort), t.setPath(path), t.setQuery(query)} {
		if err != nil {
			return t, err
		}
	}
	return t, nil
}

func (t *target) setUser(info string) error {
	user, password, ok := strings.Cut(info, ":")
	if !ok {
		return errors.New("redis URL names a user without a password; use redis://user:password@host or redis://:password@host")
	}
	var errUser, errPassword error
	t.user, errUser = url.PathUnescape(user)
	t.password, errPassword = url.PathUnescape(password)
	if errUser != nil || errPassword != nil {
		return errors.New("redis URL: the user or password has a '%' that is not followed by two hex digits; write '%' as %25")
	}
	return nil
}

func (t *target) setHosts(hosts, defaultPort string) error {
	list := strings.Split(hosts, ",")
	if t.mode == modeSingle && len(list) > 1 {
		return errors.New("redis URL has several hosts; for those use redis+sentinel:// or redis+cluster://")
	}
	for _, host := range list {
		addr, err := hostPort(host, defaultPort)
		if err != nil {
			return err
		}
		t.addrs = append(t.addrs, addr)
	}
	return nil
}

// hostPort completes one host of the URL. It never repeats its input: with an
// unescaped '/' or '?' in a password, a part of that would stand here.
func hostPort(s, defaultPort string) (string, error) {
	host, port := s, defaultPort
	if strings.HasSuffix(s, "]") && strings.HasPrefix(s, "[") {
		host = s[1 : len(s)-1]
	} else if strings.Contains(s, ":") {
		var err error
		if host, port, err = net.SplitHostPort(s); err != nil {
			return "", errors.New("redis URL: a host is not of the form host[:port] or [IPv6]:port; write '/', '?' and '@' in a password as %2F, %3F and %40")
		}
	}
	n, err := strconv.ParseUint(port, 10, 16)
	switch {
	case err != nil || n == 0:
		return "", errors.New("redis URL: a port is not a number from 1 to 65535; write '/', '?' and '@' in a password as %2F, %3F and %40")
	case host == "":
		return "", errors.New("redis URL: a host is empty")
	case strings.ContainsAny(host, " \t\r\n%\"'<>\\"):
		return "", errors.New("redis URL: a host contains a character that no host name has")
	}
	return net.JoinHostPort(host, port), nil
}

func (t *target) setPath(path string) error {
	parts := strings.Split(strings.TrimSuffix(path, "/"), "/")
	if t.mode == modeSentinel {
		master, err := url.PathUnescape(parts[0])
		if err != nil || master == "" {
			return errors.New("redis URL: the master's name is missing; use redis+sentinel://host1,host2/MASTER")
		}
		t.master, parts = master, parts[1:]
	}
	switch {
	case len(parts) == 0 || len(parts) == 1 && parts[0] == "":
		return nil
	case t.mode == modeCluster:
		return errors.New("redis URL: a Cluster has no database numbers; remove the path")
	case len(parts) > 1:
		return errors.New("redis URL: the path has too many parts; use " + urlForms)
	}
	db, err := strconv.ParseUint(parts[0], 10, 16)
	if err != nil {
		return errors.New("redis URL: the database in the path is not a number")
	}
	t.db = int(db)
	return nil
}

func (t *target) setQuery(query string) error {
	if query == "" {
		return nil
	}
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		switch {
		case name != "tls":
			// The name is not repeated: it could be the end of a password.
			return errors.New("redis URL has an unknown option after '?'; the only one is tls=true, and '?' in a password is written %3F")
		case t.mode == modeSingle:
			return errors.New("redis URL: tls is an option of redis+sentinel:// and redis+cluster://; for one server use rediss://")
		}
		on, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("redis URL: tls must be true or false")
		}
		t.tls = on
	}
	return nil
}

// String names the servers, without credentials.
func (t target) String() string {
	s := strings.Join(t.addrs, ",")
	if t.master != "" {
		s += "/" + t.master
	}
	return s
}
