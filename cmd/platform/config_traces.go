package main

import (
	"errors"
	"net/url"
	"strings"

	"github.com/knadh/koanf/v2"
)

// applyTracesEndpoint takes where a collector listens; without a path the
// standard one is meant.
func applyTracesEndpoint(c *Config, v string) error {
	c.TracesEndpoint = ""
	if v == "" {
		return nil
	}
	u, err := url.Parse(v)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return errors.New("want http://host:4318 or https://host:4318, with the path of the collector if it is not /v1/traces")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("must be only scheme, host, port and path: give credentials by OTEL_EXPORTER_OTLP_HEADERS")
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = tracesPath
	}
	c.TracesEndpoint = u.String()
	return nil
}

const tracesPath = "/v1/traces"

// readOTel takes from the standard variables of OpenTelemetry what this program
// itself needs to know: whether to trace, and where to. All others are the
// library's to read.
func readOTel(environ []string) (where layer, protocol string) {
	values := make(map[string]string)
	for _, v := range environ {
		if name, value, ok := strings.Cut(v, "="); ok && strings.HasPrefix(name, "OTEL_") && value != "" {
			values[name] = value
		}
	}
	if strings.EqualFold(values["OTEL_SDK_DISABLED"], "true") || values["OTEL_TRACES_EXPORTER"] == "none" {
		return layer{}, ""
	}
	const all, traces = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	name, endpoint := traces, values[traces]
	if endpoint == "" && values[all] != "" {
		name, endpoint = all, strings.TrimSuffix(values[all], "/")+tracesPath
	}
	if endpoint == "" {
		return layer{}, ""
	}
	k := koanf.New(".")
	_ = k.Set("traces_endpoint", endpoint) // fails for nothing but nested names
	protocol = values["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"]
	if protocol == "" {
		protocol = values["OTEL_EXPORTER_OTLP_PROTOCOL"]
	}
	return layer{source: "environment", label: func(string) string { return name }, values: k}, protocol
}
