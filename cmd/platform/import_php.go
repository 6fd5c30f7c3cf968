package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// phpApps reads the apps of a config/reverb.php: literals, arrays and env(…).
// It is no PHP: what else stands in a value is skipped, and the value is none.
func phpApps(text string, env func(string) string) ([]importObject, error) {
	at := strings.Index(text, "return")
	if at < 0 {
		return nil, errors.New("no `return [` in the PHP file")
	}
	p := &phpReader{text: text, at: at + len("return"), env: env}
	tree, err := p.value(0)
	if err != nil {
		return nil, err
	}
	root, _ := tree.(map[string]any)
	apps, _ := root["apps"].(map[string]any)
	list, _ := apps["apps"].([]any)
	if list == nil {
		return nil, errors.New("no 'apps' => ['apps' => […]] in the PHP file; print it as JSON instead, see --help")
	}
	var objects []importObject
	for _, one := range list {
		if object, ok := one.(map[string]any); ok {
			objects = append(objects, object)
		}
	}
	return objects, nil
}

// phpReader reads values of PHP.
type phpReader struct {
	text string
	at   int
	env  func(string) string
}

var errPHP = errors.New("the PHP file ends or breaks off in the middle of a value; print it as JSON instead, see --help")

// maxPHPDepth bounds how deep arrays may lie in each other.
const maxPHPDepth = 20

func (p *phpReader) rest() string { return p.text[p.at:] }

// skip passes spaces and comments.
func (p *phpReader) skip() {
	for {
		before := p.at
		for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
			p.at++
		}
		end := ""
		switch {
		case strings.HasPrefix(p.rest(), "//"), strings.HasPrefix(p.rest(), "#"):
			end = "\n"
		case strings.HasPrefix(p.rest(), "/*"):
			end = "*/"
		}
		if end != "" {
			to := strings.Index(p.rest(), end)
			if to < 0 {
				p.at = len(p.text)
				return
			}
			p.at += to + len(end)
		}
		if p.at == before {
			return
		}
	}
}

func (p *phpReader) take(s string) bool {
	p.skip()
	if strings.HasPrefix(p.rest(), s) {
		p.at += len(s)
		return true
	}
	return false
}

// value reads one value, and passes what an expression adds to it.
func (p *phpReader) value(depth int) (any, error) {
	if depth > maxPHPDepth {
		return nil, errPHP
	}
	p.skip()
	var v any
	var err error
	switch {
	case p.take("["):
		v, err = p.array("]", depth)
	case p.take("array("):
		v, err = p.array(")", depth)
	case strings.HasPrefix(p.rest(), "'"), strings.HasPrefix(p.rest(), `"`):
		v, err = p.quoted()
	default:
		v, err = p.word(depth)
	}
	if err != nil {
		return nil, err
	}
	p.skip()
	if p.at < len(p.text) && strings.IndexByte(",])=;", p.text[p.at]) >= 0 && !strings.HasPrefix(p.rest(), "==") {
		return v, nil
	}
	return nil, p.pass() // an expression, which is no literal
}

// word reads a number, true, false, null, env(…), or something unknown.
func (p *phpReader) word(depth int) (any, error) {
	from := p.at
	for p.at < len(p.text) && (p.text[p.at] == '_' || p.text[p.at] == '.' || p.text[p.at] == '-' || p.text[p.at] == '\\' ||
		strings.IndexByte("0123456789abcdefghijklmnopqrstuvwxyz", p.text[p.at]|0x20) >= 0) {
		p.at++
	}
	word := p.text[from:p.at]
	switch strings.ToLower(word) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	case "null":
		return nil, nil //nolint:nilnil // which is what null is
	case "env":
		return p.envCall(depth)
	}
	if number := strings.ReplaceAll(word, "_", ""); json.Valid([]byte(number)) {
		return json.Number(number), nil
	}
	return nil, nil //nolint:nilnil // an expression; value passes the rest of it
}

func (p *phpReader) envCall(depth int) (any, error) {
	if !p.take("(") {
		return nil, errPHP
	}
	args, err := p.array(")", depth)
	list, _ := args.([]any)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	if v := p.env(fmt.Sprint(list[0])); v != "" {
		return v, nil
	}
	if len(list) > 1 {
		return list[1], nil
	}
	return nil, nil //nolint:nilnil // the variable is not set
}

// array reads up to its end: a list, or a map when there is one "=>".
func (p *phpReader) array(end string, depth int) (any, error) {
	list, named := []any{}, map[string]any{}
	for {
		if p.take(end) {
			if len(named) > 0 {
				return named, nil
			}
			return list, nil
		}
		if p.at >= len(p.text) {
			return nil, errPHP
		}
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if p.take("=>") {
			name := fmt.Sprint(v)
			if v, err = p.value(depth + 1); err != nil {
				return nil, err
			}
			named[name] = v
		} else {
			list = append(list, v)
		}
		if !p.take(",") && !strings.HasPrefix(p.rest(), end) {
			return nil, errPHP
		}
	}
}

func (p *phpReader) quoted() (any, error) {
	quote := p.text[p.at]
	p.at++
	var b strings.Builder
	for p.at < len(p.text) {
		c := p.text[p.at]
		p.at++
		if c == quote {
			return b.String(), nil
		}
		if c == '\\' && p.at < len(p.text) && (p.text[p.at] == quote || p.text[p.at] == '\\') {
			c = p.text[p.at]
			p.at++
		}
		b.WriteByte(c)
	}
	return nil, errPHP
}

// pass goes to the end of an expression: the next comma or closing bracket of
// its own level.
func (p *phpReader) pass() error {
	level := 0
	for p.at < len(p.text) {
		p.skip()
		if p.at >= len(p.text) {
			break
		}
		c := p.text[p.at]
		switch {
		case c == '\'' || c == '"':
			if _, err := p.quoted(); err != nil {
				return err
			}
			continue
		case level == 0 && strings.IndexByte(",]);", c) >= 0:
			return nil
		case c == '(' || c == '[' || c == '{':
			level++
		case c == ')' || c == ']' || c == '}':
			level--
		}
		p.at++
	}
	return errPHP
}
