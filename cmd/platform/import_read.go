package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// importObject is one app as a file names its fields.
type importObject map[string]any

// first is the value of the first of the names that has one. Empty counts as
// none, as it does for soketi.
func (o importObject) first(names ...string) any {
	for _, name := range names {
		if v := o[name]; v != nil && v != "" {
			return v
		}
	}
	return nil
}

func (o importObject) text(names ...string) string {
	switch v := o.first(names...).(type) {
	case string:
		return strings.TrimSpace(v)
	case json.Number:
		return v.String()
	}
	return ""
}

func (o importObject) number(names ...string) (float64, bool) {
	n, err := strconv.ParseFloat(strings.ReplaceAll(o.text(names...), "_", ""), 64)
	return n, err == nil && n == n && n < 1e15 && n > -1e15
}

func (o importObject) truth(def bool, names ...string) bool {
	switch v := o.first(names...).(type) {
	case bool:
		return v
	case string, json.Number:
		switch strings.ToLower(fmt.Sprint(v)) {
		case "1", "true", "t", "yes", "on":
			return true
		}
		return false
	}
	return def
}

func (o importObject) list(name string) []any {
	list, _ := o[name].([]any)
	return list
}

// importFiles is what the given files hold, in whatever form.
type importFiles struct {
	env     map[string]string
	objects []importObject
}

var envLine = regexp.MustCompile(`^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)$`)

// add reads one file by what it looks like: JSON, PHP, SQL, or lines NAME=value.
func (in *importFiles) add(name string, raw []byte) error {
	raw = bytes.TrimPrefix(raw, []byte("\ufeff"))
	if !utf8.Valid(raw) {
		return errors.New("must be UTF-8 text")
	}
	text := strings.TrimSpace(string(raw))
	switch {
	case strings.HasPrefix(text, "[") || strings.HasPrefix(text, "{"):
		objects, err := jsonApps([]byte(text))
		in.objects = append(in.objects, objects...)
		return err
	case strings.HasPrefix(text, "<?php"):
		objects, err := phpApps(text, func(name string) string { return in.env[name] })
		in.objects = append(in.objects, objects...)
		return err
	case strings.HasSuffix(name, ".sql") || sqlInsert.MatchString(text) || sqlCopy.MatchString(text):
		objects, err := sqlApps(text)
		in.objects = append(in.objects, objects...)
		return err
	}
	for line := range strings.Lines(text) {
		if match := envLine.FindStringSubmatch(strings.TrimRight(line, "\r\n")); match != nil {
			in.env[match[1]] = envValue(match[2], in.env)
		}
	}
	return nil
}

var envReference = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// envValue takes quotes and a trailing comment away, and fills in ${OTHER}.
func envValue(v string, known map[string]string) string {
	v = strings.TrimSpace(v)
	if len(v) > 1 && v[0] == '\'' {
		if end := strings.IndexByte(v[1:], '\''); end >= 0 {
			return v[1 : end+1]
		}
	}
	if len(v) > 1 && v[0] == '"' {
		if end := strings.IndexByte(v[1:], '"'); end >= 0 {
			v = v[1 : end+1]
		}
	} else if at := strings.Index(v, " #"); at >= 0 {
		v = strings.TrimSpace(v[:at])
	}
	return envReference.ReplaceAllStringFunc(v, func(ref string) string { return known[ref[2:len(ref)-1]] })
}

// jsonApps finds the list of apps in JSON: the document itself, one object, or
// where soketi's configuration keeps it.
func jsonApps(raw []byte) ([]importObject, error) {
	var tree any
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber() // ids are long numbers
	if err := decoder.Decode(&tree); err != nil {
		return nil, fmt.Errorf("no JSON that can be read: %w", err)
	}
	for {
		object, isObject := tree.(map[string]any)
		if !isObject {
			break
		}
		inner := importObject(object).first("appManager.array.apps", "appManager", "array", "apps")
		if inner == nil {
			return []importObject{object}, nil
		}
		tree = inner
	}
	list, ok := tree.([]any)
	if !ok {
		return nil, errors.New("must hold a list of apps: [{…}]")
	}
	objects := make([]importObject, 0, len(list))
	for i, one := range list {
		object, ok := one.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("entry %d of the list of apps is no object", i)
		}
		objects = append(objects, object)
	}
	return objects, nil
}

// jsonInto turns a value into another by way of JSON.
func jsonInto(from, to any) error {
	raw, err := json.Marshal(from)
	if err == nil {
		err = json.Unmarshal(raw, to)
	}
	return err
}
