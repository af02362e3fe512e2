package source

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/roomtide/roomtide/adopt/mapping"
)

// columnsOf lists tables with their columns, in order: table, column, type, nullable (0
// or 1), position in the primary key (0 if not in it), and 1 where the column alone is unique.
var columnsOf = map[Engine]string{
	MySQL: `SELECT c.table_name, c.column_name, c.column_type, c.is_nullable = 'YES',
			COALESCE(p.seq_in_index, 0),
			EXISTS (SELECT 1 FROM information_schema.statistics u WHERE u.table_schema = c.table_schema AND u.table_name = c.table_name
				AND u.column_name = c.column_name AND u.non_unique = 0 AND u.seq_in_index = 1 AND NOT EXISTS (
					SELECT 1 FROM information_schema.statistics v WHERE v.table_schema = u.table_schema AND v.table_name = u.table_name
						AND v.index_name = u.index_name AND v.seq_in_index = 2))
		FROM information_schema.columns c
		LEFT JOIN information_schema.statistics p ON p.table_schema = c.table_schema AND p.table_name = c.table_name
			AND p.index_name = 'PRIMARY' AND p.column_name = c.column_name
		WHERE c.table_schema = DATABASE() ORDER BY c.table_name, c.ordinal_position`,
	Postgres: `SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 0 ELSE 1 END,
			COALESCE((SELECT array_position(i.indkey::int2[], a.attnum) + 1 FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary), 0),
			CASE WHEN EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND i.indnkeyatts = 1
				AND i.indpred IS NULL AND i.indkey[0] = a.attnum) THEN 1 ELSE 0 END
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND pg_table_is_visible(c.oid)
			AND c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
		ORDER BY c.relname, a.attnum`,
	SQLite: `SELECT m.name, c.name, c.type, CASE WHEN c."notnull" THEN 0 ELSE 1 END, c.pk,
			EXISTS (SELECT 1 FROM pragma_index_list(m.name) i WHERE i."unique" AND NOT i.partial
				AND (SELECT COUNT(*) FROM pragma_index_info(i.name)) = 1
				AND (SELECT x.name FROM pragma_index_info(i.name) x) = c.name)
		FROM sqlite_master m JOIN pragma_table_info(m.name) c
		WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY m.name, c.cid`,
}

// Catalog reads which tables and columns there are.
func Catalog(ctx context.Context, db *sql.DB, e Engine) (mapping.Catalog, error) {
	rows, err := db.QueryContext(ctx, columnsOf[e])
	if err != nil {
		return nil, explained("the list of tables", err)
	}
	defer rows.Close()
	var all mapping.Catalog
	for rows.Next() {
		var table string
		var c mapping.Column
		if err := rows.Scan(&table, &c.Name, &c.Type, &c.Nullable, &c.KeyPart, &c.Unique); err != nil {
			return nil, explained("the list of tables", err)
		}
		c.Type = strings.ToLower(c.Type)
		if len(all) == 0 || all[len(all)-1].Name != table {
			all = append(all, mapping.Table{Name: table})
		}
		t := &all[len(all)-1]
		t.Columns = append(t.Columns, c)
	}
	if err := rows.Err(); err != nil {
		return nil, explained("the list of tables", err)
	}
	for i := range all {
		all[i].Finish()
	}
	return all, nil
}

// keyColumn finds the column by which messages are found again.
func keyColumn(t *mapping.Table, wanted string, e Engine) (mapping.Column, keyKind, error) {
	if wanted != "" {
		name, ok := mapping.Plain(wanted)
		if !ok {
			return mapping.Column{}, 0, invalid("message.pk is a column, not %q", wanted)
		}
		wanted = name
	}
	if c := t.Key(); wanted == "" && c != nil {
		return *c, kindOf(c, e), nil
	}
	if c := t.Column(wanted); c != nil {
		if t.IsKey(c) {
			return *c, kindOf(c, e), nil
		}
		return *c, 0, invalid("message.pk: the column %s of %s has no unique index, so that rows cannot be told apart by it", c.Name, t.Name)
	}
	if wanted != "" {
		return mapping.Column{}, 0, invalid("message.pk: %s", noColumn(t, wanted))
	}
	return mapping.Column{}, 0, invalid("the table %s has no primary key of one column, so that its rows cannot be found again. %s", t.Name,
		map[Engine]string{
			MySQL:    fmt.Sprintf("This adds one: ALTER TABLE %s ADD COLUMN id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY", e.Quote(t.Name)),
			Postgres: fmt.Sprintf("This adds one: ALTER TABLE %s ADD COLUMN id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", e.Quote(t.Name)),
			SQLite:   "Copy it into a table that has one",
		}[e])
}

func kindOf(c *mapping.Column, e Engine) keyKind {
	switch c.Kind() {
	case mapping.Integer:
		return keyInteger
	case mapping.Binary:
		return keyBinary
	}
	return keyText
}

// noColumn says that a table lacks a column, and which one may be meant.
func noColumn(t *mapping.Table, name string) string {
	text := fmt.Sprintf("there is no column %s in %s", name, t.Name)
	if near := t.Nearest(name); near != "" {
		return text + "; do you mean " + near + "?"
	}
	var names []string
	for _, c := range t.Columns {
		names = append(names, c.Name)
	}
	return text + ", which has " + strings.Join(names, ", ")
}
