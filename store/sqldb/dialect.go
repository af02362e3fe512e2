package sqldb

import (
	"strconv"
	"strings"
)

// Dialect is where the SQL of engines differs.
type Dialect struct {
	Prefix string // of the names of tables

	// Numbered: placeholders are $1, $2… and not ?.
	Numbered bool

	// RowValues: (a, b) > (?, ?) is one range of an index. Otherwise it is written out.
	RowValues bool

	// Lateral: what is read for each row of another table is written as a LATERAL
	// subquery, so that the planner cannot begin with it. Otherwise it is a JOIN, of
	// which the optimizer knows that one side is one row.
	Lateral bool

	// Replace is what follows INSERT … VALUES so that a row with the same key gets
	// the values of the columns.
	Replace func(key, columns []string) string

	// Pick is the statement that reads columns of the rows with several keys, in any
	// order, in the common form. keys has a value for each column of key.
	Pick func(columns, from string, key []Column, keys [][]any) (text string, args []any)

	// Integer is the type of CAST for an integer of 64 bits.
	Integer string

	// Now is the time of the database in Unix milliseconds, whatever its time zone.
	Now string

	// TableBytes is the statement that tells how many bytes the tables take with (names)
	// in the current schema.
	TableBytes string

	// Reacted are two columns of a row of {reaction_counts} c: the time of the first
	// reaction, and the first chat.ReactionUsers users in their order, with a line end
	// between them; empty: first_ts and first_users of the row.
	Reacted string

	// Rules are those of the engine's own, which Check looks at after the others.
	Rules []Rule
}

// SQL makes the engine's form of a statement in the common form.
func (d *Dialect) SQL(text string) string {
	var b strings.Builder
	b.Grow(len(text) + 16*len(d.Prefix))
	n := 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '{':
			b.WriteString(d.Prefix)
		case c == '}':
		case c == '?' && d.Numbered:
			n++
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(n))
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// Insert is the beginning of a statement that inserts rows: the values follow.
func (t *Table) Insert() string {
	return "INSERT INTO {" + t.Name + "} (" + strings.Join(names(t.Columns), ", ") + ") VALUES "
}

// Put is the statement that inserts or replaces one row.
func (d *Dialect) Put(t *Table) string {
	return t.Insert() + Tuple(len(t.Columns)) + d.Replacing(t)
}

// Replacing is what follows the values so that a row that exists is replaced.
func (d *Dialect) Replacing(t *Table) string {
	cols := names(t.Columns)
	return " " + d.Replace(cols[:t.Key], cols[t.Key:])
}

// Tuple is n placeholders in parentheses.
func Tuple(n int) string {
	return "(?" + strings.Repeat(", ?", n-1) + ")"
}

// pickAtOnce is how many keys one statement looks up.
const pickAtOnce = 200

// pick makes the questions for the rows with some keys, each once however often it is
// among them. columns begins with what row reads the key from, and row returns it.
func pick[K comparable](d *Dialect, columns, from string, key []Column, keys []K, args func(K) []any, row func(Scanner) (K, error)) []Question {
	asked := make(map[K]bool, len(keys))
	var values [][]any
	for _, k := range keys {
		if !asked[k] {
			asked[k] = true
			values = append(values, args(k))
		}
	}
	check := func(s Scanner) error {
		k, err := row(s)
		if err == nil && !asked[k] {
			err = errMixed
		}
		return err
	}
	var qs []Question
	for len(values) > 0 {
		n := min(len(values), pickAtOnce)
		text, args := d.pickText(columns, from, key, values[:n])
		qs = append(qs, Question{Text: text, Args: args, Row: check})
		values = values[n:]
	}
	return qs
}

func (d *Dialect) pickText(columns, from string, key []Column, keys [][]any) (string, []any) {
	if len(keys) > 1 {
		return d.Pick(columns, from, key, keys)
	}
	return "SELECT " + columns + " FROM " + from + " WHERE " + AnyOf(key, 1), keys[0]
}

// AnyOf is the condition that the columns have one of n keys, with placeholders for
// these.
func AnyOf(key []Column, n int) string {
	one := "(" + strings.Join(names(key), " = ? AND ") + " = ?)"
	return one + strings.Repeat(" OR "+one, n-1)
}

// behind is the condition that a row follows a key in ascending order.
func (d *Dialect) behind(columns []string, key ...any) (string, []any) {
	if d.RowValues {
		return "(" + strings.Join(columns, ", ") + ") > " + Tuple(len(key)), key
	}
	// a > ? OR (a = ? AND (b > ? OR …)): the optimizer finds the ranges in it.
	last := len(columns) - 1
	text, args := columns[last]+" > ?", []any{key[last]}
	for i := last - 1; i >= 0; i-- {
		text = columns[i] + " > ? OR (" + columns[i] + " = ? AND (" + text + "))"
		args = append([]any{key[i], key[i]}, args...)
	}
	return "(" + text + ")", args
}
