package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// usageError is the caller's mistake: it exits with [exitUsage], not [exitFailure].
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// usagef makes a [usageError].
func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// layer is one place settings come from. Values of a higher layer hide those
// of a lower one.
type layer struct {
	source string              // for doctor
	label  func(string) string // how the operator wrote the name there
	values *koanf.Koanf
}

// loadConfig makes the configuration from flags, environment, file and
// defaults, in that order of precedence. defaults replaces built-in defaults
// by name. Every name in every layer is checked, also where a higher layer
// hides the value. The list tells where each value came from.
func loadConfig(flags *pflag.FlagSet, environ []string, defaults map[string]string) (Config, []effective, error) {
	flagLayer, err := readFlags(flags)
	if err != nil {
		return Config{}, nil, err
	}
	envLayer, err := readEnv(environ)
	if err != nil {
		return Config{}, nil, err
	}
	fileLayer, err := readFile(flagLayer, envLayer)
	if err != nil {
		return Config{}, nil, err
	}

	standard, protocol := readOTel(environ)
	cfg := Config{TracesProtocol: protocol}
	var list []effective
	for _, s := range settings {
		value, source, label := s.def, "default", s.name
		if d, ok := defaults[s.name]; ok {
			value = d
		}
		for _, l := range []layer{flagLayer, envLayer, fileLayer, standard} {
			if v, ok, err := l.lookup(s.name); err != nil {
				return Config{}, nil, err
			} else if ok {
				value, source, label = v, l.source, l.label(s.name)
				break
			}
		}
		if err := s.apply(&cfg, value); err != nil {
			return Config{}, nil, usagef("%s: %w (got %q)", label, err, s.shown(value))
		}
		list = append(list, effective{Name: s.name, Value: s.shown(value), Source: source})
	}
	if (cfg.TLSCert == "") != (cfg.TLSKey == "") {
		return Config{}, nil, usagef("tls_cert and tls_key belong together: set both or neither")
	}
	if cfg.TLSCert != "" && len(cfg.AutocertDomains) > 0 {
		return Config{}, nil, usagef("tls_cert and autocert_domains exclude each other: set one of them")
	}
	if (cfg.TermsURL == "") != (cfg.TermsVersion == "") {
		return Config{}, nil, usagef("terms_url and terms_version belong together: set both or neither")
	}
	return cfg, list, nil
}

// shown is the value without what must stay secret.
func (s setting) shown(value string) string {
	if s.show == nil {
		return value
	}
	return s.show(value)
}

// lookup gives a layer's value as text. A YAML list becomes a comma-separated
// one, and an empty environment variable or file entry counts as not set.
func (l layer) lookup(name string) (string, bool, error) {
	if l.values == nil || !l.values.Exists(name) {
		return "", false, nil
	}
	switch v := l.values.Get(name).(type) {
	case nil:
		return "", false, nil
	case string:
		return v, v != "" || l.source == "flag", nil
	case bool, int, int64, uint64, float64:
		return fmt.Sprint(v), true, nil
	case []any:
		parts := make([]string, len(v))
		for i, p := range v {
			parts[i] = fmt.Sprint(p)
		}
		return strings.Join(parts, ","), len(parts) > 0, nil
	default:
		return "", false, usagef("%s: want a plain value, not a nested one", l.label(name))
	}
}

func flagName(name string) string { return "--" + strings.ReplaceAll(name, "_", "-") }
func envName(name string) string  { return envPrefix + strings.ToUpper(name) }

// readFlags takes the flags that were given. Unknown ones never get here: the
// command line parser refuses them.
func readFlags(flags *pflag.FlagSet) (layer, error) {
	k := koanf.New(".")
	provider := posflag.ProviderWithFlag(flags, ".", k, func(f *pflag.Flag) (string, any) {
		name := strings.ReplaceAll(f.Name, "-", "_")
		if !f.Changed || (name != configFile && !isSetting(name)) {
			return "", nil
		}
		return name, f.Value.String()
	})
	if err := k.Load(provider, nil); err != nil {
		return layer{}, fmt.Errorf("read flags: %w", err)
	}
	return layer{source: "flag", label: flagName, values: k}, nil
}

func readEnv(environ []string) (layer, error) {
	k := koanf.New(".")
	provider := env.Provider(".", env.Opt{
		Prefix:      envPrefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			if fromKubernetes(name, value) {
				return "", nil
			}
			return strings.TrimPrefix(name, envPrefix), value
		},
	})
	if err := k.Load(provider, nil); err != nil {
		return layer{}, fmt.Errorf("read environment: %w", err)
	}
	named := koanf.New(".")
	for _, key := range k.Keys() {
		name := strings.ToLower(key)
		if key != strings.ToUpper(key) {
			name = key // tidewire_Listen is a mistake, not a spelling
		}
		if err := checkName(name, envPrefix+key, "environment variable", envName); err != nil {
			return layer{}, err
		}
		if err := named.Set(name, k.Get(key)); err != nil {
			return layer{}, fmt.Errorf("read environment: %w", err)
		}
	}
	return layer{source: "environment", label: envName, values: named}, nil
}

// kubernetesName matches the variables Kubernetes gives every container for a
// Service whose name begins with "tidewire".
var kubernetesName = regexp.MustCompile(`^TIDEWIRE_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// fromKubernetes tells such a variable from an operator's mistake: theirs says
// TIDEWIRE_PORT=tcp://10.0.0.7:6001, a person who means the port of --listen
// writes a number, and must hear about it.
func fromKubernetes(name, value string) bool {
	if !kubernetesName.MatchString(name) {
		return false
	}
	return name != envPrefix+"PORT" || strings.Contains(value, "://")
}

// readFile reads the file named by flag or environment, or the default one if
// it is there.
func readFile(above ...layer) (layer, error) {
	path, chosen := defaultConfigFile, false
	for _, l := range above {
		v, ok, err := l.lookup(configFile)
		if err != nil {
			return layer{}, err
		}
		if ok {
			path, chosen = v, true
			break
		}
	}
	l := layer{source: "file " + path, label: func(name string) string { return path + ": " + name }}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && !chosen {
		return l, nil
	}
	k := koanf.New(".")
	if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
		return layer{}, usagef("configuration file %s: %w", path, err)
	}
	for _, name := range k.Keys() {
		label := path + ": " + name
		if name == configFile {
			return layer{}, usagef("%s: a file cannot name another file: remove it", label)
		}
		if err := checkName(name, label, "setting", func(s string) string { return s }); err != nil {
			return layer{}, err
		}
	}
	l.values = k
	return l, nil
}

func isSetting(name string) bool {
	return slices.ContainsFunc(settings, func(s setting) bool { return s.name == name })
}

// checkName refuses a name nobody reads. label is how it was written, style
// how known names are written in that place.
func checkName(name, label, kind string, style func(string) string) error {
	if name == configFile || isSetting(name) {
		return nil
	}
	if name == "port" {
		return usagef("%s: unknown %s; the port is part of %s, for example :6001", label, kind, style("listen"))
	}
	known := []string{configFile}
	for _, s := range settings {
		known = append(known, s.name)
	}
	return usagef("%s: unknown %s%s", label, kind, didYouMean(name, known, style))
}
