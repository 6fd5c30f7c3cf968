package adminapi

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	defaultLimit = 50
	maxLimit     = 100
	maxCursor    = 512
)

// readQuery takes the query apart: what the route does not know, or is given
// twice, is refused, so that a slip does not change what is meant in silence.
func readQuery(r *http.Request, route *Route) (map[string]string, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badParam("query", "is not well formed; percent-encode its values")
	}
	var known []string
	for _, p := range route.params() {
		known = append(known, p.Name)
	}
	query := make(map[string]string, len(values))
	for name, given := range values {
		switch {
		case !slices.Contains(known, name) && len(known) == 0:
			return nil, badParam("query", "is not taken here; leave it out")
		case !slices.Contains(known, name):
			return nil, badParam("query", "has an unknown parameter; known here are "+strings.Join(known, ", "))
		case len(given) > 1:
			return nil, badParam(name, "is given twice; keep one")
		}
		query[name] = given[0]
	}
	return query, nil
}

// readPage fills in where a list begins and how long it is.
func (r *Request) readPage() error {
	var err error
	if r.Limit, err = r.count("limit", defaultLimit, maxLimit); err != nil {
		return err
	}
	text := r.query["cursor"]
	if text == "" {
		return nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	list, after, found := strings.Cut(string(raw), "\n")
	if err != nil || len(text) > maxCursor || !found || list != r.route.Name || !plainText(after) {
		return badParam("cursor", "is not one of this list; take next_cursor of the page before, or leave it out")
	}
	r.After = after
	return nil
}

// count is a query parameter that is a number from 1 to most.
func (r *Request) count(name string, otherwise, most int) (int, error) {
	text := r.query[name]
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, badParam(name, fmt.Sprintf("must be a whole number from 1 to %d", most))
	}
	return n, nil
}

// plainText keeps bytes away that no key of ours has.
func plainText(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// cursor hides how a list is sorted from its readers, who would come to rely on
// it. It proves nothing and needs not: it is only ever used inside what the
// caller may see.
func (r *Request) cursor(last string) string {
	if last == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString([]byte(r.route.Name + "\n" + last))
}

// NewPage answers a part of a list; last is the key of its last item if there
// is more, else empty.
func NewPage[T any](r *Request, items []T, last string) *Reply {
	if items == nil {
		items = []T{}
	}
	return &Reply{Body: Page[T]{Data: items, HasMore: last != "", NextCursor: r.cursor(last)}}
}

// SlicePage cuts a page out of a whole list. key must be unique, and the same as
// long as the item lives; the list is sorted by it.
func SlicePage[T any](r *Request, all []T, key func(*T) string) *Reply {
	slices.SortFunc(all, func(a, b T) int { return strings.Compare(key(&a), key(&b)) })
	start := 0
	for start < len(all) && r.After != "" && key(&all[start]) <= r.After {
		start++
	}
	all = all[start:]
	if len(all) <= r.Limit {
		return NewPage(r, all, "")
	}
	all = all[:r.Limit]
	return NewPage(r, all, key(&all[r.Limit-1]))
}

// byAge is a key by which the oldest comes first.
func byAge(created time.Time, id string) string {
	return fmt.Sprintf("%014d/%s", created.UnixMilli(), id)
}
