package source

import (
	"strconv"
	"strings"

	"github.com/roomtide/roomtide/adopt/mapping"
)

// messages is how messages are read: the parts of their statements.
type messages struct {
	section mapping.Section
	engine  Engine
	tables  []string // several where From is a pattern
	alias   string   // "" if each table has its own name
	key     mapping.Column
	kind    keyKind
	fields  []string // expressions, as selected
}

// maxText is how many characters of a text are read: far more than a message may have.
const maxText = 1 << 20

func (s *Tables) resolveMessages() error {
	sec := s.mapping.Message.Section()
	m := messages{section: sec, engine: s.engine}
	table := sec.From.Table()
	if sec.From.Glob() {
		for _, t := range s.catalog.Match(table) {
			m.tables = append(m.tables, t.Name)
		}
	} else if t := s.tableOf(&sec.From); t != nil {
		m.tables = []string{t.Name}
	}
	if len(m.tables) == 0 {
		return s.noTable("message.from", table)
	}
	if sec.From.Aliased() {
		m.alias = sec.From.Qualifier()
	}
	key, kind, err := keyColumn(s.catalog.Table(m.tables[0]), sec.From.PK, s.engine)
	if err != nil {
		return err
	}
	m.key, m.kind = key, kind
	for _, f := range sec.Fields {
		expr := mapping.Expand(f.Expr)
		if f.Name == "text" || strings.HasPrefix(f.Name, "data.") {
			expr = s.engine.head(expr, maxText+1)
		} else {
			expr = s.engine.text(expr)
		}
		m.fields = append(m.fields, expr)
	}
	s.messages = m
	return nil
}

// from is the FROM of a statement about one of the tables.
func (m *messages) from(table string) string {
	text := "FROM " + m.engine.Quote(table)
	if m.alias != "" {
		text += " " + m.alias
	}
	if j := m.section.From.Join; j != "" {
		text += " " + j
	}
	return text
}

// column is the key in a statement about one of the tables.
func (m *messages) column(table string) string {
	if m.alias != "" {
		return m.alias + "." + m.engine.Quote(m.key.Name)
	}
	return m.engine.Quote(table) + "." + m.engine.Quote(m.key.Name)
}

// where is the WHERE of a statement with a further condition, "" for none.
func (m *messages) where(condition string) string {
	var all []string
	if w := m.section.From.Where; w != "" {
		all = append(all, "("+w+")")
	}
	if condition != "" {
		all = append(all, condition)
	}
	if len(all) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(all, " AND ")
}

// page selects the key as text, the key itself and some fields of up to limit rows in
// the order of the key, behind a key if after is set. Each table has one parameter then.
func (m *messages) page(fields []string, after bool, limit int) string {
	return m.ordered(fields, after, "", limit)
}

// newest selects the largest keys.
func (m *messages) newest(limit int) string { return m.ordered(nil, false, " DESC", limit) }

func (m *messages) ordered(fields []string, after bool, order string, limit int) string {
	var parts []string
	for i, t := range m.tables {
		column, condition := m.column(t), ""
		if after {
			condition = column + " > " + m.engine.keyParam(i+1, m.kind, m.key.Type)
		}
		parts = append(parts, "SELECT "+strings.Join(append([]string{m.engine.keyText(column, m.kind) + " AS k", column + " AS rk"}, named(fields)...), ", ")+
			" "+m.from(t)+m.where(condition)+" ORDER BY "+column+order+" LIMIT "+strconv.Itoa(limit))
	}
	if len(parts) == 1 {
		return parts[0]
	}
	for i, p := range parts {
		parts[i] = "SELECT * FROM (" + p + ") t" + strconv.Itoa(i)
	}
	return strings.Join(parts, " UNION ALL ") + " ORDER BY 2" + order + " LIMIT " + strconv.Itoa(limit)
}

// named gives each field a name of its own, as subselects need.
func named(fields []string) []string {
	all := make([]string, len(fields))
	for i, f := range fields {
		all[i] = f + " AS f" + strconv.Itoa(i)
	}
	return all
}

// byKeys selects some fields of the rows with n keys. Each table has n parameters.
func (m *messages) byKeys(fields []string, n int) string {
	var parts []string
	for i, t := range m.tables {
		params := make([]string, n)
		for j := range params {
			params[j] = m.engine.keyParam(i*n+j+1, m.kind, m.key.Type)
		}
		column := m.column(t)
		parts = append(parts, "SELECT "+strings.Join(append([]string{m.engine.keyText(column, m.kind), column}, fields...), ", ")+
			" "+m.from(t)+m.where(column+" IN ("+strings.Join(params, ", ")+")"))
	}
	return strings.Join(parts, " UNION ALL ")
}

// arguments are those of a statement in which each table has the same ones.
func (m *messages) arguments(keys ...Key) ([]any, error) {
	var all []any
	for range m.tables {
		for _, k := range keys {
			a, err := m.engine.keyArgument(k, m.kind)
			if err != nil {
				return nil, err
			}
			all = append(all, a)
		}
	}
	return all, nil
}

// section is how the rows of a side table are read.
type section struct {
	mapping.Section
	engine Engine
	from   string
	keyed  bool     // keys is the primary key
	keys   []string // expressions that tell the rows apart: their order is that of pages
	types  []string // of keys, for casts of PostgreSQL
	kinds  []keyKind
}

// section resolves a side table: pages go by its primary key, or else by what the rows
// say, so that a table without a key can be read as well.
func (s *Tables) section(sec mapping.Section) (section, error) {
	r := section{Section: sec, engine: s.engine, from: "FROM " + sec.From.From}
	if sec.From.Join != "" {
		r.from += " " + sec.From.Join
	}
	table := sec.From.Table()
	t := s.tableOf(&sec.From)
	if table != "" && t == nil {
		return r, s.noTable(sec.Name+".from", table)
	}
	if t != nil {
		if c := t.Key(); c != nil && (sec.From.PK == "" || strings.EqualFold(sec.From.PK, c.Name)) {
			r.keyed = true
			r.keys, r.types, r.kinds = []string{sec.From.Qualifier() + "." + s.engine.Quote(c.Name)}, []string{c.Type}, []keyKind{kindOf(c, s.engine)}
			return r, nil
		}
	}
	for _, name := range sec.Identity {
		r.keys = append(r.keys, s.engine.text(mapping.Expand(sec.Field(name))))
		r.types, r.kinds = append(r.types, "text"), append(r.kinds, keyText)
	}
	return r, nil
}

// separator is between the parts of a key of several.
const separator = "\x1f"

// page selects the keys as text and the fields of up to limit rows. The arguments go
// with it.
func (r *section) page(after Key, limit int) (statement string, args []any, err error) {
	var selected []string
	for i, k := range r.keys {
		selected = append(selected, r.engine.keyText(k, r.kinds[i]))
	}
	for _, f := range r.Fields {
		selected = append(selected, r.engine.text(mapping.Expand(f.Expr)))
	}
	var where []string
	if w := r.From.Where; w != "" {
		where = append(where, "("+w+")")
	}
	if len(r.Identity) > 0 && !r.keyed {
		for _, k := range r.keys {
			where = append(where, k+" IS NOT NULL")
		}
	}
	if after != "" {
		condition, a, err := r.behind(after)
		if err != nil {
			return "", nil, err
		}
		where, args = append(where, condition), a
	}
	statement = "SELECT " + strings.Join(selected, ", ") + " " + r.from
	if len(where) > 0 {
		statement += " WHERE " + strings.Join(where, " AND ")
	}
	return statement + " ORDER BY " + strings.Join(r.keys, ", ") + " LIMIT " + strconv.Itoa(limit), args, nil
}

// behind is the condition for rows behind a key: of two parts, (a > x OR a = x AND b > y).
func (r *section) behind(after Key) (condition string, args []any, err error) {
	parts := strings.Split(string(after), separator)
	if len(parts) != len(r.keys) {
		return "", nil, invalid("%s: a page does not begin behind %q", r.Name, string(after))
	}
	var any []string
	for i := range r.keys {
		var all []string
		for j := 0; j <= i; j++ {
			a, err := r.engine.keyArgument(Key(parts[j]), r.kinds[j])
			if err != nil {
				return "", nil, err
			}
			args = append(args, a)
			operator := " = "
			if j == i {
				operator = " > "
			}
			all = append(all, r.keys[j]+operator+r.engine.keyParam(len(args), r.kinds[j], r.types[j]))
		}
		any = append(any, strings.Join(all, " AND "))
	}
	return "(" + strings.Join(any, " OR ") + ")", args, nil
}
