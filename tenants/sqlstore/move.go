package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tidewire/migrations"
)

// MovedTable is what was moved of one table.
type MovedTable struct {
	Table string `json:"table"`
	Rows  int    `json:"rows"`
}

// MoveTo copies every row of an SQLite database into an empty Postgres database
// of the same schema version, and then compares the two row by row. All of it
// happens in one transaction there, while writers here wait: the target has
// everything or is left as it was.
func (d *Database) MoveTo(ctx context.Context, target *Database) (moved []MovedTable, err error) {
	if d.dialect != migrations.SQLite || target.dialect != migrations.Postgres {
		return nil, errors.New("move goes from the embedded SQLite database to Postgres")
	}
	// An immediate transaction, see sqlitePragmas: nobody writes until it ends.
	from, err := d.sql.BeginTx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("hold the embedded database still: %w", err)
	}
	defer func() { _ = from.Rollback() }()
	to, err := target.sql.BeginTx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("begin in Postgres: %w", err)
	}
	defer func() { _ = to.Rollback() }()
	tables, err := sortedTables(ctx, from)
	if err != nil {
		return nil, err
	}
	if err := emptyTarget(ctx, to, tables); err != nil {
		return nil, err
	}
	for _, t := range tables {
		rows, err := t.copy(ctx, from, to)
		if err != nil {
			return nil, fmt.Errorf("move table %s: %w", t.name, err)
		}
		if err := t.compare(ctx, from, to, rows); err != nil {
			return nil, fmt.Errorf("compare table %s: %w", t.name, err)
		}
		moved = append(moved, MovedTable{t.name, rows})
	}
	if err := to.Commit(); err != nil {
		return nil, fmt.Errorf("commit in Postgres: %w", err)
	}
	return moved, nil
}

// table is one table with its columns; keys are those of its primary key.
type table struct {
	name          string
	columns, keys []string
	booleans      []bool // which columns are, since SQLite has numbers there
	after         []string
}

// sortedTables lists the tables, each after those it refers to.
func sortedTables(ctx context.Context, tx *sql.Tx) ([]table, error) {
	names, err := texts(ctx, tx, `SELECT name FROM sqlite_master WHERE type = 'table'
		AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'goose_%' ORDER BY name`)
	if err != nil {
		return nil, err
	}
	var sorted []table
	done := map[string]bool{}
	for len(sorted) < len(names) {
		before := len(sorted)
		for _, name := range names {
			if done[name] {
				continue
			}
			t, err := readTable(ctx, tx, name)
			if err != nil {
				return nil, err
			}
			if !slices.ContainsFunc(t.after, func(other string) bool { return other != name && !done[other] }) {
				sorted, done[name] = append(sorted, t), true
			}
		}
		if len(sorted) == before {
			return nil, errors.New("the tables refer to each other in a circle")
		}
	}
	return sorted, nil
}

func texts(ctx context.Context, tx *sql.Tx, query string, args ...any) (list []string, err error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read the schema: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, fmt.Errorf("read the schema: %w", err)
		}
		list = append(list, text)
	}
	return list, rows.Err()
}

func readTable(ctx context.Context, tx *sql.Tx, name string) (table, error) {
	t := table{name: name}
	var err error
	if t.after, err = texts(ctx, tx, `SELECT "table" FROM pragma_foreign_key_list(?)`, name); err != nil {
		return t, err
	}
	if t.columns, err = texts(ctx, tx, `SELECT name FROM pragma_table_info(?) ORDER BY cid`, name); err != nil {
		return t, err
	}
	if t.keys, err = texts(ctx, tx, `SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk`, name); err != nil {
		return t, err
	}
	types, err := texts(ctx, tx, `SELECT type FROM pragma_table_info(?) ORDER BY cid`, name)
	for _, kind := range types {
		t.booleans = append(t.booleans, strings.EqualFold(kind, "BOOLEAN"))
	}
	return t, err
}

// emptyTarget refuses a database that holds anything but what a fresh schema
// has, and clears that.
func emptyTarget(ctx context.Context, to *sql.Tx, tables []table) error {
	for _, t := range slices.Backward(tables) {
		// The canary of the same key, and counters that the schema begins with.
		if t.name == "meta" || strings.HasSuffix(t.name, "_version") {
			if _, err := to.ExecContext(ctx, "DELETE FROM "+quoteName(t.name)); err != nil {
				return fmt.Errorf("clear table %s: %w", t.name, err)
			}
			continue
		}
		var rows int
		if err := to.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+quoteName(t.name)).Scan(&rows); err != nil {
			return fmt.Errorf("look at table %s in Postgres: %w", t.name, err)
		}
		if rows > 0 {
			return fmt.Errorf("the Postgres database is not empty: table %s has %d rows; name an empty one", t.name, rows)
		}
	}
	return nil
}

func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func (t table) selectAll() string {
	quoted := func(names []string) string {
		all := make([]string, len(names))
		for i, n := range names {
			all[i] = quoteName(n)
		}
		return strings.Join(all, ", ")
	}
	order := t.keys
	if len(order) == 0 {
		order = t.columns
	}
	return "SELECT " + quoted(t.columns) + " FROM " + quoteName(t.name) + " ORDER BY " + quoted(order)
}

// each calls do with every row, in the order of the key.
func (t table) each(ctx context.Context, tx *sql.Tx, do func(row []any) error) error {
	rows, err := tx.QueryContext(ctx, t.selectAll())
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	row, into := make([]any, len(t.columns)), make([]any, len(t.columns))
	for i := range row {
		into[i] = &row[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		for i, isBool := range t.booleans {
			if n, ok := row[i].(int64); ok && isBool {
				row[i] = n != 0
			}
		}
		if err := do(row); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (t table) copy(ctx context.Context, from, to *sql.Tx) (rows int, err error) {
	places := make([]string, len(t.columns))
	names := make([]string, len(t.columns))
	for i, column := range t.columns {
		places[i], names[i] = fmt.Sprintf("$%d", i+1), quoteName(column)
	}
	insert, err := to.PrepareContext(ctx, "INSERT INTO "+quoteName(t.name)+" ("+strings.Join(names, ", ")+") VALUES ("+strings.Join(places, ", ")+")")
	if err != nil {
		return 0, err
	}
	defer func() { _ = insert.Close() }()
	err = t.each(ctx, from, func(row []any) error {
		rows++
		_, err := insert.ExecContext(ctx, row...)
		return err
	})
	return rows, err
}

// compare reads both sides in the same order. Keys are compared by bytes in both
// dialects, so that order is one.
func (t table) compare(ctx context.Context, from, to *sql.Tx, rows int) error {
	want := make([]string, 0, rows)
	if err := t.each(ctx, from, func(row []any) error { want = append(want, rowText(row)); return nil }); err != nil {
		return err
	}
	n := 0
	err := t.each(ctx, to, func(row []any) error {
		if n >= len(want) || rowText(row) != want[n] {
			return fmt.Errorf("row %d is not the same in both", n+1)
		}
		n++
		return nil
	})
	if err == nil && n != len(want) {
		err = fmt.Errorf("%d rows here, %d there", len(want), n)
	}
	return err
}

func rowText(row []any) string {
	var b strings.Builder
	for _, v := range row {
		if raw, ok := v.([]byte); ok {
			v = string(raw)
		}
		fmt.Fprintf(&b, "%T %q\x00", v, fmt.Sprint(v))
	}
	return b.String()
}
