package migrations_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tidewire/migrations"
)

// columnQuery lists table, column, type, whether it may be null and whether it
// is part of the primary key.
var columnQuery = map[migrations.Dialect]string{
	migrations.SQLite: `
		SELECT m.name, c.name, lower(c.type), c."notnull" = 0, c.pk > 0
		FROM sqlite_master m JOIN pragma_table_info(m.name) c
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'`,
	migrations.Postgres: `
		SELECT c.table_name, c.column_name, c.data_type, c.is_nullable = 'YES', EXISTS (
			SELECT 1 FROM information_schema.table_constraints tc
			JOIN information_schema.key_column_usage k USING (constraint_schema, constraint_name)
			WHERE tc.constraint_type = 'PRIMARY KEY' AND tc.table_schema = c.table_schema
				AND k.table_name = c.table_name AND k.column_name = c.column_name)
		FROM information_schema.columns c WHERE c.table_schema = current_schema()`,
}

// indexQuery lists every index as table, its columns in order, and uniqueness.
var indexQuery = map[migrations.Dialect]string{
	migrations.SQLite: `
		SELECT m.name, (SELECT group_concat(name, ',') FROM (SELECT name FROM pragma_index_info(i.name) ORDER BY seqno)), i."unique" = 1
		FROM sqlite_master m JOIN pragma_index_list(m.name) i
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'`,
	migrations.Postgres: `
		SELECT t.relname, (SELECT string_agg(a.attname, ',' ORDER BY k.n) FROM unnest(i.indkey) WITH ORDINALITY k(attnum, n)
			JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.attnum), i.indisunique
		FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace
		WHERE n.nspname = current_schema()`,
}

type column struct {
	kind             string
	nullable, inPKey bool
}

func columns(t *testing.T, d database) map[string]column {
	t.Helper()
	rows, err := d.db.Query(columnQuery[d.dialect])
	require.NoError(t, err)
	defer func() { _ = rows.Close() }()
	found := make(map[string]column)
	for rows.Next() {
		var table, name string
		var c column
		require.NoError(t, rows.Scan(&table, &name, &c.kind, &c.nullable, &c.inPKey))
		found[table+"."+name] = c
	}
	require.NoError(t, rows.Err())
	return found
}

func indexes(t *testing.T, d database) map[string]bool {
	t.Helper()
	rows, err := d.db.Query(indexQuery[d.dialect])
	require.NoError(t, err)
	defer func() { _ = rows.Close() }()
	found := make(map[string]bool)
	for rows.Next() {
		var table, names string
		var unique bool
		require.NoError(t, rows.Scan(&table, &names, &unique))
		found[table+"("+names+")"] = unique
	}
	require.NoError(t, rows.Err())
	return found
}

func withoutGoose[V any](found map[string]V) map[string]V {
	for name := range found {
		if strings.HasPrefix(name, "goose_db_version") {
			delete(found, name)
		}
	}
	return found
}

func TestBothDialectsYieldOneSchema(t *testing.T) {
	t.Parallel()
	lite, post := empty(t, migrations.SQLite), empty(t, migrations.Postgres)
	for _, d := range []database{lite, post} {
		_, err := d.up(t)
		require.NoError(t, err)
	}
	liteColumns := withoutGoose(columns(t, lite))
	require.Contains(t, liteColumns, "app_keys.sealed_secret")
	require.Equal(t, withoutGoose(columns(t, post)), liteColumns)
	liteIndexes := withoutGoose(indexes(t, lite))
	require.Contains(t, liteIndexes, "app_keys(key)")
	require.Equal(t, withoutGoose(indexes(t, post)), liteIndexes)
}

func TestBothDialectsCarryTheSameFiles(t *testing.T) {
	t.Parallel()
	names := func(folder string) []string {
		found, err := filepath.Glob(filepath.Join(folder, "*"))
		require.NoError(t, err)
		for i := range found {
			raw, err := os.ReadFile(found[i])
			require.NoError(t, err)
			require.True(t, strings.HasPrefix(string(raw), "-- +goose Up\n"), found[i])
			found[i] = filepath.Base(found[i])
		}
		return found
	}
	require.NotEmpty(t, names("postgres"))
	require.Equal(t, names("postgres"), names("sqlite"))
}
