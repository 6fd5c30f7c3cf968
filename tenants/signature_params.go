package tenants

import (
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of the query of a signed request: far above what any library sends.
const (
	maxQueryBytes = 8 << 10
	maxParams     = 128
)

// Params are the query parameters of a signed request, names in lower case.
// The zero value has none.
type Params struct {
	list []param // sorted by name; the elements of an array in the order sent
}

// param is one name=value; an array element arrives as name[]=value.
type param struct {
	name, value string
	array       bool
}

func byName(a, b param) int { return strings.Compare(a.name, b.name) }

// Get returns the value of a parameter that is not an array, and whether it was sent.
func (p Params) Get(name string) (string, bool) {
	for i := range p.list {
		if p.list[i].name == name && !p.list[i].array {
			return p.list[i].value, true
		}
	}
	return "", false
}

// Extra returns the names of the parameters that are not part of the signature
// itself, sorted; nil if there are none.
func (p Params) Extra() []string {
	var names []string
	for _, q := range p.list {
		switch q.name {
		case "auth_key", "auth_timestamp", "auth_version", "auth_signature", "body_md5":
		default:
			if len(names) == 0 || names[len(names)-1] != q.name {
				names = append(names, q.name)
			}
		}
	}
	return names
}

// StringToSign returns the text whose HMAC is the signature of a request with
// this method, escaped path and raw query. It fails with a [*SignatureError] on
// any path or query that [VerifyRequest] does not read.
//
// Two accepted requests have the same text only if they mean the same: no name
// or value may hold a character that separates them.
func StringToSign(method, path, rawQuery string) (string, error) {
	p, err := parseParams(rawQuery)
	if err != nil {
		return "", err
	}
	if err := checkPath(path); err != nil {
		return "", err
	}
	return string(p.appendStringToSign(nil, method, path)), nil
}

func (p Params) appendStringToSign(dst []byte, method, path string) []byte {
	dst = append(dst, method...)
	dst = append(dst, '\n')
	dst = append(dst, path...)
	dst = append(dst, '\n')
	first := true
	for _, q := range p.list {
		if q.name == "auth_signature" {
			continue
		}
		if !first {
			dst = append(dst, '&')
		}
		first = false
		dst = append(dst, q.name...)
		if q.array {
			dst = append(dst, "[]"...)
		}
		dst = append(dst, '=')
		dst = append(dst, q.value...)
	}
	return dst
}

// parseParams reads a query as strictly as a signature needs it. A name may
// come once, whatever its case, unless it is an array: of two values one server
// would take the first and the next the last.
func parseParams(raw string) (Params, error) {
	if len(raw) > maxQueryBytes {
		return Params{}, refuse(ReasonMalformed, "Invalid query: it is longer than 8192 bytes")
	}
	if raw == "" {
		return Params{}, nil
	}
	list := make([]param, 0, 8)
	for more := true; more; {
		var pair string
		pair, raw, more = strings.Cut(raw, "&")
		q, err := parseParam(pair)
		if err != nil {
			return Params{}, err
		}
		if len(list) == maxParams {
			return Params{}, refuse(ReasonMalformed, "Invalid query: more than 128 parameters")
		}
		list = append(list, q)
	}
	slices.SortStableFunc(list, byName)
	for i := 1; i < len(list); i++ {
		if list[i].name == list[i-1].name && !(list[i].array && list[i-1].array) {
			return Params{}, refuse(ReasonMalformed, "Duplicate parameter: "+list[i].name+" may be sent only once")
		}
	}
	return Params{list}, nil
}

func parseParam(pair string) (param, error) {
	name, value, ok := strings.Cut(pair, "=")
	if !ok {
		return param{}, refuse(ReasonMalformed, "Invalid query: every parameter must have the form name=value, but one is "+quoteShort(pair))
	}
	name, err := unescape(name)
	if err != nil {
		return param{}, err
	}
	if value, err = unescape(value); err != nil {
		return param{}, err
	}
	base, array := strings.CutSuffix(name, "[]")
	if !validParamName(base) {
		return param{}, refuse(ReasonMalformed, "Invalid query: parameter name "+quoteShort(name)+" may hold only letters, digits, '_', '-' and '.'")
	}
	// A '&' in a value would let one signature stand for two requests, and so
	// would a line break.
	if !validParamValue(value) {
		return param{}, refuse(ReasonMalformed, "Invalid query: the value of "+base+" must be UTF-8 without '&' and control characters")
	}
	return param{name: strings.ToLower(base), value: value, array: array}, nil
}

func unescape(s string) (string, error) {
	if !strings.ContainsAny(s, "%+") {
		return s, nil
	}
	out, err := url.QueryUnescape(s)
	if err != nil {
		return "", refuse(ReasonMalformed, "Invalid query: bad percent escape in "+quoteShort(s))
	}
	return out, nil
}

func validParamName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-' || c == '.') {
			return false
		}
	}
	return s != ""
}

func validParamValue(s string) bool {
	ascii := true
	for i := range len(s) {
		if s[i] < 0x20 || s[i] == 0x7f || s[i] == '&' {
			return false
		}
		ascii = ascii && s[i] < utf8.RuneSelf
	}
	return ascii || utf8.ValidString(s)
}

// checkPath refuses paths that two programs may read differently: empty and dot
// segments, escaped separators, and bytes that have no place in a request line.
func checkPath(path string) error {
	if path == "" || path[0] != '/' {
		return refuse(ReasonMalformed, "Invalid path: it must begin with '/'")
	}
	if len(path) > maxQueryBytes {
		return refuse(ReasonMalformed, "Invalid path: it is longer than 8192 bytes")
	}
	for i := range len(path) {
		if c := path[i]; c <= ' ' || c >= 0x7f || c == '?' || c == '#' || c == '\\' {
			return refuse(ReasonMalformed, "Invalid path: escape everything but printable ASCII")
		}
	}
	for segment := range strings.SplitSeq(path[1:], "/") {
		plain, err := url.PathUnescape(segment)
		if err != nil || strings.ContainsAny(plain, "/\\\x00\r\n") {
			return refuse(ReasonMalformed, "Invalid path: escaped slashes and broken escapes are not accepted")
		}
		if plain == "." || plain == ".." || (plain == "" && path != "/") {
			return refuse(ReasonMalformed, "Invalid path: empty and dot segments are not accepted")
		}
	}
	return nil
}
