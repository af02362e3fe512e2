package survey

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/roomtide/roomtide/adopt/mapping"
	"github.com/roomtide/roomtide/adopt/source"
	"github.com/roomtide/roomtide/chat"
)

// Wanted is what is known beforehand of the tables; the zero value is nothing.
type Wanted struct {
	Preset string
	Table  string // of the messages
	TZ     string
}

// Found is a mapping for a database, made by a preset or proposed.
type Found struct {
	Title    string           `json:"title"`            // of the preset, or that there is none
	Preset   string           `json:"preset,omitempty"` // "" for a proposal
	Table    string           `json:"table"`
	Left     []string         `json:"left_out"` // parts of the preset that this database does not have
	Unsure   []string         `json:"unsure"`   // what a person has to look at
	Others   []string         `json:"others"`   // presets that fit as well, with their tables
	Document mapping.Document `json:"-"`
}

// Find makes a mapping for the tables of a source. Errors are Invalid where no table
// looks like one of messages.
func Find(ctx context.Context, src mapping.Source, w Wanted, o source.Options) (*Found, error) {
	if src.Name == "" {
		src.Name = NameOf(src.DSN)
	}
	db, engine, remove, err := source.Connect(ctx, src, o)
	if err != nil {
		return nil, err
	}
	defer func() {
		db.Close()
		if remove != nil {
			remove() //nolint:errcheck // it is in a directory of temporary files
		}
	}()
	catalog, err := source.Catalog(ctx, db, engine)
	if err != nil {
		return nil, err
	}
	f, tz, err := choose(catalog, w, engine, newest(ctx, db, engine, catalog))
	if err != nil {
		return nil, err
	}
	switch {
	case w.TZ != "":
		src.TZ = w.TZ
	case tz != "":
		src.TZ = tz
	case src.TZ == "":
		src.TZ = "UTC"
	}
	f.Document.Source = src
	f.Document.What = "the chat in " + src.Name + " (" + f.Title + ")"
	return f, f.fit(ctx, o)
}

// choose takes a preset or a proposal.
func choose(c mapping.Catalog, w Wanted, e source.Engine, look mapping.Look) (f *Found, tz string, err error) {
	matches := mapping.Recognise(c)
	if w.Preset != "" && !slices.ContainsFunc(mapping.Presets(), func(p mapping.Preset) bool { return p.Name == w.Preset }) {
		return nil, "", noPreset(w.Preset)
	}
	matches = slices.DeleteFunc(matches, func(m mapping.Match) bool {
		return w.Preset != "" && m.Preset.Name != w.Preset || w.Table != "" && m.Table != w.Table
	})
	if len(matches) > 0 {
		m := matches[0]
		f = &Found{Title: m.Preset.Title, Preset: m.Preset.Name, Table: m.Table, Left: []string{}, Unsure: []string{}, Others: []string{}}
		for _, other := range matches[1:] {
			f.Others = append(f.Others, other.Preset.Name+" ("+other.Table+")")
		}
		f.Document.Text = m.Text()
		return f, m.Preset.TZ, nil
	}
	if w.Preset != "" {
		return nil, "", chat.E(chat.Invalid, "the tables do not have the columns of the preset "+w.Preset)
	}
	if w.Table != "" && c.Table(w.Table) == nil {
		return nil, "", chat.E(chat.Invalid, "there is no table "+w.Table+" that this user may read")
	}
	p, ok := mapping.Propose(c, w.Table, e.Quote, look)
	if !ok {
		return nil, "", chat.E(chat.Invalid, noMessages(c, w.Table))
	}
	return &Found{Title: "no known schema; made of the names of its columns", Table: p.Table, Left: []string{}, Unsure: p.Unsure, Others: []string{},
		Document: mapping.Document{Text: p.Text}}, "", nil
}

func noPreset(name string) error {
	var names []string
	for _, p := range mapping.Presets() {
		names = append(names, p.Name)
	}
	return chat.E(chat.Invalid, fmt.Sprintf("there is no preset %q; there are %s", name, strings.Join(names, ", ")))
}

func noMessages(c mapping.Catalog, table string) string {
	if table != "" {
		return "the table " + table + " has no column that looks like an author beside one with text: write the mapping by hand, as docs/adopt.md explains"
	}
	if len(c) == 0 {
		return "this user sees no tables at all: give it SELECT on those of the chat"
	}
	var names []string
	for _, t := range c {
		names = append(names, t.Name)
	}
	if len(names) > 30 {
		names = append(names[:30], "…")
	}
	return "no table looks like one of messages; name it with --table. There are " + strings.Join(names, ", ")
}

// newest looks at the row of a table with the largest key.
func newest(ctx context.Context, db *sql.DB, e source.Engine, c mapping.Catalog) mapping.Look {
	return func(table, column string) string {
		t := c.Table(table)
		if t == nil {
			return ""
		}
		order := ""
		if k := t.Key(); k != nil {
			order = " ORDER BY " + e.Quote(k.Name) + " DESC"
		}
		var v sql.NullString
		err := db.QueryRowContext(ctx, "SELECT "+e.Quote(column)+" FROM "+e.Quote(table)+order+" LIMIT 1").Scan(&v)
		if err != nil {
			return "" // the table is empty, or cannot be read, which opening the source tells
		}
		return v.String
	}
}

// NameOf makes the name of a source of its address.
func NameOf(dsn string) string {
	if u, err := url.Parse(dsn); err == nil && u.Host != "" {
		if name := strings.Trim(u.Path, "/"); name != "" {
			return name
		}
	}
	_, path, _ := strings.Cut(dsn, ":")
	path, _, _ = strings.Cut(path, "?")
	base := filepath.Base(path)
	if name := strings.TrimSuffix(base, filepath.Ext(base)); name != "" && name != "." && name != "/" {
		return name
	}
	return "chat"
}

// needed are the fields without which a section says nothing: where one does not fit, the section goes.
var needed = map[string][]string{"room": {"id"}, "member": {"room", "user"}, "user": {"id", "name"}, "read": {"room", "user", "upto"}}

// fit takes out of the mapping what these tables do not have. Messages themselves have to fit.
func (f *Found) fit(ctx context.Context, o source.Options) error {
	for {
		m, err := mapping.Parse("adopt.toml", []byte(f.Document.String()))
		if err != nil {
			return err
		}
		s, err := source.Open(ctx, m, o)
		if err == nil {
			return s.Close()
		}
		misfits, ok := source.Misfits(err)
		if !ok || f.Preset == "" {
			return err
		}
		before := f.Document.Text
		// The last ones first: the numbers of sections count those before.
		for _, x := range slices.Backward(misfits) {
			if p := x.Part; p.Section == "message" && !optional(p.Field) {
				return err
			}
			f.drop(x)
		}
		if f.Document.Text == before {
			return err
		}
	}
}

// optional reports whether messages can be read without a field.
func optional(field string) bool {
	switch field {
	case "edited", "deleted", "reply", "kind", "to":
		return true
	}
	return strings.HasPrefix(field, "data.") || strings.HasPrefix(field, "watch.")
}

func (f *Found) drop(x *source.Misfit) {
	part := x.Part
	if slices.Contains(needed[part.Section], part.Field) {
		part.Field = ""
	}
	reason := chat.Public(x.Err).Text
	text := mapping.Drop(f.Document.Text, part, reason)
	if name, ok := strings.CutPrefix(part.Field, "data."); ok {
		text = mapping.Drop(text, mapping.Part{Section: "message", Field: "data_decode." + name}, "as message.data."+name+" is")
	}
	if text != f.Document.Text {
		f.Document.Text = text
		f.Left = append(f.Left, reason)
	}
}
