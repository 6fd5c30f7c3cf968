package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

const sqlTable = "(?:[\"`]?\\w+[\"`]?\\.)?[\"`]?apps[\"`]?"

var (
	sqlInsert = regexp.MustCompile(`(?i)\b(?:INSERT|REPLACE)\s+(?:IGNORE\s+)?INTO\s+` + sqlTable + `[\s(]`)
	sqlCopy   = regexp.MustCompile(`(?im)^COPY\s+` + sqlTable + `\s*\(([^)]*)\)\s+FROM\s+stdin;[^\n]*\n`)
	sqlCreate = regexp.MustCompile(`(?is)\bCREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?` + sqlTable + `\s*\((.*?)\n\)`)
	sqlColumn = regexp.MustCompile("^\\s*[\"`]?(\\w+)[\"`]?\\s+\\w")
)

// sqlApps reads the rows of the table apps out of a dump of MySQL or Postgres.
func sqlApps(text string) ([]importObject, error) {
	var objects []importObject
	for _, at := range sqlCopy.FindAllStringSubmatchIndex(text, -1) {
		columns := columnNames(text[at[2]:at[3]])
		for line := range strings.Lines(text[at[1]:]) {
			line = strings.TrimRight(line, "\r\n")
			if line == `\.` {
				break
			}
			values := strings.Split(line, "\t")
			if len(values) != len(columns) {
				return nil, fmt.Errorf("a row of COPY has %d values for %d columns", len(values), len(columns))
			}
			o := importObject{}
			for i, v := range values {
				if v != `\N` {
					o[columns[i]] = unescapeCopy(v)
				}
			}
			objects = append(objects, o)
		}
	}
	ordered := createdColumns(text)
	for _, at := range sqlInsert.FindAllStringIndex(text, -1) {
		rows, err := insertRows(text[at[1]-1:], ordered)
		if err != nil {
			return nil, err
		}
		objects = append(objects, rows...)
	}
	return objects, nil
}

func columnNames(list string) []string {
	names := strings.Split(list, ",")
	for i := range names {
		names[i] = strings.Trim(strings.TrimSpace(names[i]), "\"`")
	}
	return names
}

// createdColumns are the columns in the order of the dump's CREATE TABLE, else
// in that of soketi's own schema.
func createdColumns(text string) []string {
	match := sqlCreate.FindStringSubmatch(text)
	if match == nil {
		return []string{
			"id", "key", "secret", "max_connections", "enable_client_messages", "enabled", "max_backend_events_per_sec",
			"max_client_events_per_sec", "max_read_req_per_sec", "webhooks", "max_presence_members_per_channel",
			"max_presence_member_size_in_kb", "max_channel_name_length", "max_event_channels_at_once", "max_event_name_length",
			"max_event_payload_in_kb", "max_event_batch_size", "enable_user_authentication",
		}
	}
	var names []string
	for line := range strings.Lines(match[1]) {
		column := sqlColumn.FindStringSubmatch(line)
		if column == nil {
			continue
		}
		switch strings.ToUpper(column[1]) {
		case "PRIMARY", "UNIQUE", "KEY", "INDEX", "CONSTRAINT", "CHECK", "FOREIGN":
			if !strings.ContainsAny(strings.TrimSpace(line)[:1], "\"`") {
				continue // a constraint, not a column called key
			}
		}
		names = append(names, column[1])
	}
	return names
}

var copyEscapes = strings.NewReplacer(`\\`, `\`, `\t`, "\t", `\n`, "\n", `\r`, "\r", `\b`, "\b", `\f`, "\f", `\v`, "\v")

func unescapeCopy(v string) string { return copyEscapes.Replace(v) }

// insertRows reads "[(columns)] VALUES (…),(…);".
func insertRows(text string, columns []string) ([]importObject, error) {
	s := &sqlScanner{text: text}
	if s.skip(); s.take('(') {
		end := strings.IndexByte(s.text[s.at:], ')')
		if end < 0 {
			return nil, errSQL
		}
		columns = columnNames(s.text[s.at : s.at+end])
		s.at += end + 1
	}
	if s.skip(); !strings.EqualFold(s.word(), "VALUES") {
		return nil, errors.New("an INSERT into apps has no VALUES; export the rows, not a query")
	}
	var rows []importObject
	for {
		row, err := s.row(columns)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
		if s.skip(); !s.take(',') {
			return rows, nil
		}
	}
}

var errSQL = errors.New("the SQL ends or breaks off in the middle of a row of apps")

// sqlScanner reads the values of an INSERT.
type sqlScanner struct {
	text string
	at   int
}

func (s *sqlScanner) skip() {
	for s.at < len(s.text) && strings.ContainsRune(" \t\r\n", rune(s.text[s.at])) {
		s.at++
	}
}

func (s *sqlScanner) take(c byte) bool {
	if s.at < len(s.text) && s.text[s.at] == c {
		s.at++
		return true
	}
	return false
}

func (s *sqlScanner) word() string {
	from := s.at
	for s.at < len(s.text) && !strings.ContainsRune(" \t\r\n,()';", rune(s.text[s.at])) {
		s.at++
	}
	return s.text[from:s.at]
}

func (s *sqlScanner) row(columns []string) (importObject, error) {
	if s.skip(); !s.take('(') {
		return nil, errSQL
	}
	o := importObject{}
	for i := 0; ; i++ {
		value, err := s.value()
		if err != nil {
			return nil, err
		}
		if i >= len(columns) {
			return nil, fmt.Errorf("a row of apps has more values than the %d columns known", len(columns))
		}
		if value != nil {
			o[columns[i]] = value
		}
		s.skip()
		if s.take(')') {
			return o, nil
		}
		if !s.take(',') {
			return nil, errSQL
		}
	}
}

// value reads a string, a number or a word; NULL is nil.
func (s *sqlScanner) value() (any, error) {
	s.skip()
	if s.at < len(s.text) && s.text[s.at] != '\'' {
		word := s.word()
		if s.at < len(s.text) && s.text[s.at] == '\'' { // E'…', _utf8mb4'…'
			return s.quoted(!strings.EqualFold(word, ""))
		}
		if s.skip(); strings.HasPrefix(word, "_") && s.at < len(s.text) && s.text[s.at] == '\'' {
			return s.quoted(true)
		}
		if word == "" {
			return nil, errSQL
		}
		if strings.EqualFold(word, "NULL") {
			return nil, nil //nolint:nilnil // which is what NULL is
		}
		word, _, _ = strings.Cut(word, "::")
		return word, nil
	}
	return s.quoted(true)
}

// quoted reads '…' with ” for a quote. A backslash escapes, as in MySQL and in
// Postgres's E strings; in other Postgres strings it stands for itself only
// before what is no escape, and ids, keys and secrets hold none.
func (s *sqlScanner) quoted(escapes bool) (any, error) {
	if !s.take('\'') {
		return nil, errSQL
	}
	var b strings.Builder
	for s.at < len(s.text) {
		c := s.text[s.at]
		s.at++
		switch {
		case c == '\\' && escapes && s.at < len(s.text):
			next := s.text[s.at]
			s.at++
			switch next {
			case 'n':
				next = '\n'
			case 't':
				next = '\t'
			case 'r':
				next = '\r'
			case '0':
				next = 0
			}
			b.WriteByte(next)
		case c != '\'':
			b.WriteByte(c)
		case !s.take('\''):
			if strings.HasPrefix(s.text[s.at:], "::") { // a cast
				s.word()
			}
			return b.String(), nil
		default:
			b.WriteByte('\'')
		}
	}
	return nil, errSQL
}
