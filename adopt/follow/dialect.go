package follow

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/roomtide/roomtide/adopt/source"
	"github.com/roomtide/roomtide/chat"
)

// column is one of a table.
type column struct {
	name     string
	typ      string // as the engine writes it
	index    int    // from 0
	length   int64  // of texts, 0 if unbounded
	indexed  bool   // an index begins with it
	primary  bool   // it is the primary key, alone
	unsigned bool
	integer  bool
	text     bool // of characters
	binary   bool // of bytes: a key is their hex form

	prefix string // before its values as keys; see Watch
}

// described is a table as the database describes it.
type described struct {
	engine  source.Engine
	name    string // as it was configured
	columns []column
}

func (d *described) column(name string) (column, bool) {
	for _, c := range d.columns {
		if strings.EqualFold(c.name, name) {
			return c, true
		}
	}
	return column{}, false
}

// shape is what a change of the table's structure changes.
func (d *described) shape() string {
	var b strings.Builder
	for _, c := range d.columns {
		fmt.Fprintf(&b, "%s %s;", c.name, c.typ)
	}
	return b.String()
}

func (d *described) table() string { return d.engine.QuotePath(d.name) }

var descriptions = map[source.Engine]string{
	source.MySQL: `SELECT c.column_name, c.column_type, COALESCE(c.character_maximum_length, 0),
		EXISTS (SELECT 1 FROM information_schema.statistics s WHERE s.table_schema = c.table_schema AND s.table_name = c.table_name
			AND s.column_name = c.column_name AND s.seq_in_index = 1),
		c.column_key = 'PRI' AND (SELECT COUNT(*) FROM information_schema.statistics s WHERE s.table_schema = c.table_schema
			AND s.table_name = c.table_name AND s.index_name = 'PRIMARY') = 1
		FROM information_schema.columns c WHERE c.table_schema = COALESCE(NULLIF(?, ''), DATABASE()) AND c.table_name = ? ORDER BY c.ordinal_position`,
	source.Postgres: `SELECT a.attname, format_type(a.atttypid, a.atttypmod), GREATEST(CASE WHEN a.atttypid IN (1042, 1043) THEN a.atttypmod - 4 ELSE 0 END, 0),
		EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indkey[0] = a.attnum),
		EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisprimary AND i.indnatts = 1 AND i.indkey[0] = a.attnum)
		FROM pg_attribute a WHERE a.attrelid = to_regclass(?) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
	source.SQLite: `SELECT c.name, c.type, 0, c.pk = 1 OR EXISTS (SELECT 1 FROM pragma_index_list(?1) l, pragma_index_info(l.name) i WHERE i.seqno = 0 AND i.name = c.name),
		c.pk = 1 AND (SELECT COUNT(*) FROM pragma_table_info(?1) WHERE pk > 0) = 1
		FROM pragma_table_info(?1) c ORDER BY c.cid`,
}

// describe asks the database for the columns of a table.
func describe(ctx context.Context, db *sql.DB, e source.Engine, table string) (*described, error) {
	args := []any{table}
	switch e {
	case source.MySQL:
		schema, name, qualified := strings.Cut(table, ".")
		if !qualified {
			schema, name = "", table
		}
		args = []any{schema, name}
	case source.Postgres:
		args[0] = e.QuotePath(table)
	}
	rows, err := db.QueryContext(ctx, e.Bind(descriptions[e]), args...)
	if err != nil {
		return nil, fail("describe", table, err)
	}
	defer rows.Close()
	d := &described{engine: e, name: table}
	for rows.Next() {
		c := column{index: len(d.columns)}
		if err := rows.Scan(&c.name, &c.typ, &c.length, &c.indexed, &c.primary); err != nil {
			return nil, fail("describe", table, err)
		}
		c.classify()
		d.columns = append(d.columns, c)
	}
	if err := rows.Err(); err != nil {
		return nil, fail("describe", table, err)
	}
	if len(d.columns) == 0 {
		return nil, &chat.Error{Kind: chat.NotFound, Op: "follow.describe", Subject: table,
			Text: "the source has no table " + table + " that its user may read"}
	}
	return d, nil
}

func (c *column) classify() {
	t := strings.ToLower(c.typ)
	c.unsigned = strings.Contains(t, "unsigned")
	word := strings.FieldsFunc(t, func(r rune) bool { return r == '(' || r == ' ' })
	if len(word) == 0 {
		return
	}
	switch word[0] {
	case "tinyint", "smallint", "mediumint", "int", "integer", "bigint", "serial", "bigserial":
		c.integer = true
	case "char", "varchar", "character", "text", "tinytext", "mediumtext", "longtext", "uuid", "nvarchar":
		c.text = true
	case "binary", "varbinary", "bytea", "blob":
		c.binary = true
	}
}

// keyColumn is the column of the table's key, which is an integer or a text.
func (d *described) keyColumn(name string) (column, error) {
	c, ok := d.column(name)
	switch {
	case !ok:
		return c, invalid("describe", d.name, fmt.Sprintf("the table %s has no column %s: correct the key in adopt.toml", d.name, name))
	case !c.integer && !c.text && !c.binary:
		return c, invalid("describe", d.name, fmt.Sprintf("the column %s of %s is a %s: a key that can be followed is an integer, a text or binary", name, d.name, c.typ))
	case !c.indexed:
		return c, invalid("describe", d.name, fmt.Sprintf("the column %s of %s has no index, so that rows cannot be read by it: add a primary key or a unique index", name, d.name))
	}
	return c, nil
}

// place writes a parameter that is compared with the column.
func (c column) place(e source.Engine) string {
	switch {
	case c.binary && e == source.Postgres:
		return "decode(?, 'hex')"
	case c.binary && e == source.MySQL:
		return "UNHEX(?)"
	case e == source.Postgres:
		return "CAST(? AS " + c.typ + ")"
	}
	return "?"
}

// argument is a key as the parameter that is compared with the column.
func (c column) argument(e source.Engine, k source.Key) any {
	if c.integer {
		if n, err := strconv.ParseInt(string(k), 10, 64); err == nil {
			return n
		}
	}
	if c.binary && e == source.SQLite {
		if b, err := hex.DecodeString(string(k)); err == nil {
			return b
		}
	}
	return string(k)
}

// asText writes an expression of the column's type as the text of a key.
func (c column) asText(e source.Engine, expr string) string {
	if prefix := "'" + c.prefix + "'"; c.prefix != "" {
		c.prefix = ""
		if e == source.MySQL {
			return "CONCAT(" + prefix + ", " + c.asText(e, expr) + ")"
		}
		return "(" + prefix + " || CAST(" + c.asText(e, expr) + " AS text))"
	}
	switch {
	case c.binary && e == source.Postgres:
		return "encode(" + expr + ", 'hex')"
	case c.binary:
		return "LOWER(HEX(" + expr + "))"
	case e == source.Postgres && !c.integer:
		return "CAST(" + expr + " AS text)"
	}
	return expr
}
