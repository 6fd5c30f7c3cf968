package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tidewire/tenants"
)

func applyListen(c *Config, v string) error {
	c.Listen = v
	return checkListen(v)
}

func applyMetricsListen(c *Config, v string) error {
	if v == "off" || v == "" {
		c.MetricsListen = ""
		return nil
	}
	c.MetricsListen = v
	return checkListen(v)
}

// checkListen refuses what net.Listen would refuse later, or would take for a
// service name.
func checkListen(v string) error {
	host, port, err := net.SplitHostPort(v)
	if err != nil {
		return errors.New("want host:port, for example 127.0.0.1:6001 or :6001")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return fmt.Errorf("port %q is not a number from 0 to 65535", port)
	}
	if strings.ContainsAny(host, " /@") {
		return fmt.Errorf("host %q is neither a name nor an address", host)
	}
	return nil
}

func applyDataDir(c *Config, v string) error {
	if v == "" {
		return errors.New("must name a folder, for example ./data")
	}
	c.DataDir = v
	return nil
}

func applyDatabaseURL(c *Config, v string) error {
	c.DatabaseURL = v
	_, err := databaseEngine(v)
	return err
}

func applyRedisURL(c *Config, v string) error {
	c.RedisURL = v
	_, err := realtimeEngine(v)
	return err
}

func applyPublicURL(c *Config, v string) error {
	c.PublicURL = strings.TrimSuffix(v, "/")
	if v == "" {
		return nil
	}
	return checkBaseURL(c.PublicURL)
}

// checkBaseURL accepts http(s)://host[:port] and nothing more: official Pusher
// libraries sign the path, so there can be no prefix in front of it.
func checkBaseURL(v string) error {
	u, err := url.Parse(v)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return errors.New("want http://host[:port] or https://host[:port]")
	}
	if u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("must be only scheme, host and port: remove user, path and query")
	}
	return nil
}

func applyMasterKey(c *Config, v string) error {
	c.MasterKey = tenants.NewSecret(v)
	if v == "" {
		return nil
	}
	if raw, err := base64.StdEncoding.DecodeString(v); err != nil || len(raw) != 32 {
		return errors.New("want 32 bytes in base64, as printed by: openssl rand -base64 32")
	}
	return nil
}

func applyBool(to *bool, v string) error {
	switch strings.ToLower(v) {
	case "true", "on", "yes", "1":
		*to = true
	case "false", "off", "no", "0":
		*to = false
	default:
		return errors.New("want true or false")
	}
	return nil
}

func applyTrustedProxies(c *Config, v string) error {
	c.TrustedProxies = nil
	for part := range strings.SplitSeq(v, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		if _, err := netip.ParseAddr(part); err != nil {
			if _, err := netip.ParsePrefix(part); err != nil {
				return fmt.Errorf("%q is neither an address nor a range such as 10.0.0.0/8", part)
			}
		}
		c.TrustedProxies = append(c.TrustedProxies, part)
	}
	return nil
}

func applyLogLevel(c *Config, v string) error {
	switch v {
	case "debug", "info", "warn", "error":
		return c.LogLevel.UnmarshalText([]byte(v))
	}
	c.LogLevel = slog.LevelInfo
	return errors.New("want debug, info, warn or error")
}

func applyLogFormat(c *Config, v string) error {
	c.LogFormat = v
	switch v {
	case "auto", "text", "json":
		return nil
	}
	return errors.New("want auto, text or json")
}

func applyShutdownTimeout(c *Config, v string) (err error) {
	c.ShutdownTimeout, err = parseDuration(v, time.Second, 10*time.Minute)
	return err
}

func applyDrainDelay(c *Config, v string) (err error) {
	c.DrainDelay, err = parseDuration(v, 0, time.Minute)
	return err
}

func applyNodeLease(c *Config, v string) (err error) {
	c.NodeLease, err = parseDuration(v, time.Second, 15*time.Second)
	return err
}

func applyUsageInterval(c *Config, v string) (err error) {
	c.UsageInterval, err = parseDuration(v, 100*time.Millisecond, 5*time.Minute)
	return err
}

func parseDuration(v string, least, most time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(v)
	if err != nil {
		return 0, fmt.Errorf("want a duration with its unit, from %s to %s, for example 15s", least, most)
	}
	if d < least || d > most {
		return 0, fmt.Errorf("want a duration from %s to %s", least, most)
	}
	return d, nil
}

func applyMaxFrameBytes(c *Config, v string) error {
	n, err := strconv.Atoi(v)
	if err != nil || n < 1024 || n > 1<<20 {
		return errors.New("want a number of bytes from 1024 to 1048576")
	}
	c.MaxFrameBytes = n
	return nil
}

const masked = "***"

func maskAll(v string) string {
	if v == "" {
		return ""
	}
	return masked
}

// maskURL hides the password of a URL. It does not parse: the URLs of Redis
// Sentinel and Cluster name several hosts, and a password with an unescaped
// '/' or '@' must not slip through because the rest looks odd.
func maskURL(v string) string {
	scheme, rest, found := strings.Cut(v, "://")
	if !found {
		return maskAll(v)
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		user, _, hasPassword := strings.Cut(rest[:at], ":")
		if hasPassword {
			user += ":" + masked
		}
		rest = user + rest[at:]
	}
	base, query, hasQuery := strings.Cut(rest, "?")
	if !hasQuery {
		return scheme + "://" + rest
	}
	params := strings.Split(query, "&")
	for i, p := range params {
		name, _, _ := strings.Cut(p, "=")
		if strings.Contains(strings.ToLower(name), "pass") {
			params[i] = name + "=" + masked
		}
	}
	return scheme + "://" + base + "?" + strings.Join(params, "&")
}
