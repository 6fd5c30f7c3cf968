package adminapi

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"reflect"
	"strings"
)

var (
	//go:embed docspage.html
	docsTemplate string
	//go:embed docspage.css
	docsStyle string
)

// docsPolicy lets the page have its one style sheet, which is in it, and nothing
// else: no script, no picture, nothing from elsewhere.
const docsPolicy = "default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// docsGroup is one tag with its rows.
type docsGroup struct {
	Tag  string
	Rows []docsRow
}

type docsRow struct {
	*Route
	Params []Param
	Fields []docsField // of the body
	Who    string
	Answer string
}

type docsField struct {
	Name, Kind string
	Required   bool
}

// docsPage is the table as a page that needs neither scripts nor the network.
func docsPage(routes []Route, brand string) ([]byte, error) {
	if brand == "" {
		brand = "Tidewire"
	}
	var groups []docsGroup
	at := make(map[string]int)
	for i := range routes {
		r := &routes[i]
		n, known := at[r.tag()]
		if !known {
			n = len(groups)
			at[r.tag()] = n
			groups = append(groups, docsGroup{Tag: r.tag()})
		}
		groups[n].Rows = append(groups[n].Rows, newDocsRow(r))
	}
	page, err := template.New("docs").Parse(docsTemplate)
	if err != nil {
		return nil, fmt.Errorf("docs page: %w", err)
	}
	var out bytes.Buffer
	if err := page.Execute(&out, object{"Brand": brand, "Groups": groups, "Style": template.CSS(docsStyle)}); err != nil {
		return nil, fmt.Errorf("docs page: %w", err)
	}
	return out.Bytes(), nil
}

func newDocsRow(r *Route) docsRow {
	d := docsRow{Route: r, Params: r.params()}
	switch r.Access {
	case Public:
		d.Who = "anybody"
	case SignedIn:
		d.Who = "a person or a token"
	case Person:
		d.Who = "a signed-in person"
	case ByOperator:
		d.Who = "an operator"
	default:
		d.Who = "who may " + string(r.Action)
	}
	if r.Body != nil {
		t := typeOf(r.Body)
		for i := range t.NumField() {
			f := t.Field(i)
			d.Fields = append(d.Fields, docsField{jsonName(f), docsKind(f), isRequired(f)})
		}
	}
	if r.Answer != nil {
		if t := typeOf(r.Answer); t.Kind() == reflect.Struct {
			d.Answer = schemaName(t)
		}
		if r.List {
			d.Answer = "a page of " + d.Answer
		}
	}
	return d
}

func docsKind(f reflect.StructField) string {
	if as := f.Tag.Get("as"); as != "" {
		return as
	}
	t := f.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if values := enums[t]; values != nil {
		return strings.Join(values, " | ")
	}
	return kindName(t)
}

// styleHash is how the policy names the one style sheet.
func styleHash() string {
	sum := sha256.Sum256([]byte(docsStyle))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func (a *API) serveDocs(*Request) (*Reply, error) {
	return &Reply{
		Stream: &Stream{Type: "text/html; charset=utf-8", Write: func(w io.Writer) error { _, err := w.Write(a.docs); return err }},
		policy: fmt.Sprintf(docsPolicy, styleHash()),
	}, nil
}
