package mapping

import (
	"regexp"
	"strings"
)

// Catalog is the tables of a database, by name.
type Catalog []Table

// Table is a table or a view.
type Table struct {
	Name    string
	Columns []Column

	single bool // its primary key is one column
}

// Column is a column of a table.
type Column struct {
	Name     string
	Type     string // as the database writes it, in lower case: "bigint(20) unsigned"
	Nullable bool
	KeyPart  int  // position in the primary key, 0 if it is not in it
	Unique   bool // it has a unique index of its own
}

// Kind is what a column can hold.
type Kind uint8

const (
	Other Kind = iota
	Integer
	Text
	Time
	Binary
)

// Table returns the table with the name, nil if there is none. Case does not count where
// no name fits exactly.
func (c Catalog) Table(name string) *Table {
	for i := range c {
		if c[i].Name == name {
			return &c[i]
		}
	}
	for i := range c {
		if strings.EqualFold(c[i].Name, name) {
			return &c[i]
		}
	}
	return nil
}

// Match returns the tables whose name fits a pattern with ? (one character) and * (any number).
func (c Catalog) Match(pattern string) []*Table {
	fits := wildcard(pattern)
	var all []*Table
	for i := range c {
		if fits.MatchString(c[i].Name) {
			all = append(all, &c[i])
		}
	}
	return all
}

// wildcard makes a regular expression of a pattern; what ? and * stand for is a group.
func wildcard(pattern string) *regexp.Regexp {
	text := regexp.QuoteMeta(pattern)
	text = strings.ReplaceAll(text, `\?`, "(.)")
	text = strings.ReplaceAll(text, `\*`, "(.*)")
	return regexp.MustCompile("^(?i:" + text + ")$")
}

// Finish is called when all columns are there.
func (t *Table) Finish() {
	parts := 0
	for _, c := range t.Columns {
		if c.KeyPart > 0 {
			parts++
		}
	}
	t.single = parts == 1
}

// IsKey reports whether a column alone tells the rows of the table apart.
func (t *Table) IsKey(c *Column) bool {
	return t.single && c.KeyPart > 0 || c.Unique && !c.Nullable
}

// RowNumber is the primary key of the copy of a file. Every other column that tells
// rows apart is better: the number of a row changes with the file.
const RowNumber = "row_number"

// Key returns the column that tells the rows apart, nil if none alone does: the primary
// key, or another that is unique.
func (t *Table) Key() *Column {
	var found *Column
	for i := range t.Columns {
		c := &t.Columns[i]
		switch {
		case !t.IsKey(c):
		case c.KeyPart > 0 && c.Name != RowNumber:
			return c
		case found == nil:
			found = c
		}
	}
	return found
}

// Column returns the column with the name, nil if there is none. Case does not count.
func (t *Table) Column(name string) *Column {
	for i := range t.Columns {
		if strings.EqualFold(t.Columns[i].Name, name) {
			return &t.Columns[i]
		}
	}
	return nil
}

var integerType = regexp.MustCompile(`^(tiny|small|medium|big)?(int|integer|serial)(2|4|8)?\b`)

// Kind is what the column holds, by its type.
func (c *Column) Kind() Kind {
	t := c.Type
	switch {
	case integerType.MatchString(t):
		return Integer
	case strings.Contains(t, "binary"), strings.Contains(t, "bytea"), t == "blob":
		return Binary
	case strings.Contains(t, "char"), strings.Contains(t, "text"), strings.Contains(t, "blob"), strings.Contains(t, "clob"),
		strings.HasPrefix(t, "enum"), t == "uuid", strings.HasPrefix(t, "json"):
		return Text
	case strings.HasPrefix(t, "datetime"), strings.HasPrefix(t, "timestamp"), strings.HasPrefix(t, "date"):
		return Time
	}
	return Other
}

// Nearest returns the column whose name is most like one, "" if none is.
func (t *Table) Nearest(name string) string {
	best, least := "", 3
	for _, c := range t.Columns {
		a, b := strings.ToLower(c.Name), strings.ToLower(name)
		d := distance(a, b)
		if len(b) > 3 && (strings.Contains(a, b) || strings.Contains(b, a) && len(a) > 3) {
			d = min(d, 2)
		}
		if d < least {
			best, least = c.Name, d
		}
	}
	return best
}

// distance is how many characters are to be changed, added or taken out.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost++
			}
			before = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
