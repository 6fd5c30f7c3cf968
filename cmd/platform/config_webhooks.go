package main

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// privateNetworks are what "true" stands for: this machine and the networks of
// RFC 1918 and RFC 4193. Link-local addresses, where clouds keep credentials, are
// not among them.
var privateNetworks = []string{"127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"}

func applyWebhookAllowPrivate(c *Config, v string) error {
	c.WebhookAllow = nil
	parts := strings.Split(v, ",")
	switch strings.TrimSpace(v) {
	case "", "false":
		return nil
	case "true":
		parts = privateNetworks
	}
	for _, part := range parts {
		part = strings.TrimSpace(part)
		prefix, err := netip.ParsePrefix(part)
		if err != nil || prefix != prefix.Masked() {
			return fmt.Errorf("%q is not a range such as 10.1.0.0/16; or set true for loopback and private networks", part)
		}
		c.WebhookAllow = append(c.WebhookAllow, prefix)
	}
	return nil
}

func applyWebhookTimeout(c *Config, v string) (err error) {
	c.WebhookTimeout, err = parseDuration(v, 500*time.Millisecond, 30*time.Second)
	return err
}
