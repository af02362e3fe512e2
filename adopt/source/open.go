package source

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/roomtide/roomtide/adopt/decode"
	"github.com/roomtide/roomtide/adopt/mapping"
	"github.com/roomtide/roomtide/chat"
)

// Options are what a source needs besides its mapping.
type Options struct {
	Secret decode.Secret // values of environment variables; nil has none
	Limits chat.Limits   // of the node; the zero value is chat.DefaultLimits
	Dir    string        // where copies of files are made, "" for the directory of temporary files
	Now    func() time.Time
}

// Tables is a source in a database. It implements Source.
type Tables struct {
	// Set once.
	db       *sql.DB
	engine   Engine
	mapping  *mapping.Mapping
	catalog  mapping.Catalog
	options  Options
	zone     *time.Location
	decoders decoders
	messages messages
	rooms    []section
	members  []section
	users    []section
	reads    []section
	remove   func() error // the copy of files, nil if there is none
}

var _ Source = (*Tables)(nil)

// Open connects, and checks the mapping against the tables: every expression is tried
// on no row. Errors are Invalid, several at once where several things are wrong, or
// Unavailable where the server does not answer.
func Open(ctx context.Context, m *mapping.Mapping, o Options) (_ *Tables, err error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Limits == (chat.Limits{}) {
		o.Limits = chat.DefaultLimits()
	}
	if err := m.Check(o.Secret); err != nil {
		return nil, err
	}
	s := &Tables{mapping: m, options: o}
	if s.zone, err = time.LoadLocation(m.Source.TZ); err != nil {
		return nil, err
	}
	if s.decoders, err = newDecoders(&m.Message, o.Secret); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if s.db, s.engine, s.remove, err = Connect(ctx, m.Source, o); err != nil {
		return nil, err
	}
	if s.catalog, err = Catalog(ctx, s.db, s.engine); err != nil {
		return nil, err
	}
	if err = s.resolve(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// decoders are those of the mapping.
type decoders struct {
	text, name decode.Pipeline
	data       map[string]decode.Pipeline
}

// newDecoders makes them. Names and titles are stored as text is, so that what repairs
// text, and what takes entities back, is right for them too; markup is not in them.
func newDecoders(m *mapping.Message, secret decode.Secret) (d decoders, err error) {
	if d.text, err = decode.New(m.Decode, secret); err != nil {
		return d, err
	}
	var names []string
	for _, n := range m.Decode {
		switch base, _, _ := strings.Cut(n, ":"); base {
		case "repair_utf8", "entities", "slashes":
			names = append(names, n)
		case "html", "phpbb_xml":
			names = append(names, "entities")
		}
	}
	if d.name, err = decode.New(names, nil); err != nil {
		return d, err
	}
	d.data = map[string]decode.Pipeline{}
	for name, list := range m.DataDecode {
		if d.data[name], err = decode.New(list, secret); err != nil {
			return d, err
		}
	}
	return d, nil
}

// connections is how many a source uses at once.
const connections = 4

// Connect opens the database of a source, and makes sure that it answers. Files are
// copied into a SQLite database, which remove takes away again; it is nil otherwise.
func Connect(ctx context.Context, src mapping.Source, o Options) (db *sql.DB, e Engine, remove func() error, err error) {
	dsn := src.DSN
	if IsFiles(dsn) {
		copied, err := copyFiles(ctx, src, o.Dir)
		if err != nil {
			return nil, "", nil, err
		}
		dsn, remove = "sqlite:"+copied.path, copied.remove
	}
	db, e, err = Dial(Address{DSN: dsn, PasswordEnv: src.PasswordEnv, SessionTZ: src.SessionTZ}, o.Secret, false)
	if err == nil {
		db.SetMaxOpenConns(connections)
		db.SetMaxIdleConns(connections)
		if err = db.PingContext(ctx); err != nil {
			db.Close()
			err = explained("source.dsn", err)
		}
	}
	if err != nil && remove != nil {
		remove() //nolint:errcheck // it is in a directory of temporary files
	}
	return db, e, remove, err
}

// Local copies the files of a source once, for several uses: the source that is returned
// reads the copy, which remove takes away. Other sources stay as they are.
func Local(ctx context.Context, src mapping.Source, o Options) (_ mapping.Source, remove func() error, err error) {
	if !IsFiles(src.DSN) {
		return src, func() error { return nil }, nil
	}
	c, err := copyFiles(ctx, src, o.Dir)
	if err != nil {
		return src, nil, err
	}
	src.DSN, src.Charset = "sqlite:"+c.path, ""
	return src, c.remove, nil
}

// Close ends the connections.
func (s *Tables) Close() error {
	var err error
	if s.db != nil {
		err = s.db.Close()
	}
	if s.remove != nil {
		if e := s.remove(); err == nil {
			err = e
		}
	}
	return err
}

// Table is one table of messages, as a follower needs it.
type Table struct {
	Name    string
	Key     string // column
	Integer bool   // the key is a whole number
	Watch   bool   // rows of it belong to messages: Key is the column with the message's key
	Prefix  string // rows of it are read marks, told by Key with this before it; see Source.ReadsOf
}

// Tables returns the tables that hold messages, and those that hold parts of them.
func (s *Tables) Tables() []Table {
	var all []Table
	for _, t := range s.messages.tables {
		all = append(all, Table{Name: t, Key: s.messages.key.Name, Integer: s.messages.kind == keyInteger})
	}
	for table, column := range s.mapping.Message.Watch {
		all = append(all, Table{Name: table, Key: column, Integer: s.messages.kind == keyInteger, Watch: true})
	}
	return append(all, s.readTables(all)...)
}

// DB is the pool of the source, which only reads.
func (s *Tables) DB() *sql.DB { return s.db }

// Engine is what the database is.
func (s *Tables) Engine() Engine { return s.engine }

// Catalog is the tables as they were when the source was opened.
func (s *Tables) Catalog() mapping.Catalog { return s.catalog }

// resolve finds the tables of the mapping and tries all expressions.
func (s *Tables) resolve(ctx context.Context) error {
	if err := s.resolveMessages(); err != nil {
		return err
	}
	m := s.mapping
	failed := s.try(ctx, s.messages.from(s.messages.tables[0]), s.messages.section, 0)
	prepare := func(list *[]section, sec mapping.Section) {
		r, err := s.section(sec)
		if err != nil {
			failed = append(failed, &Misfit{mapping.Part{Section: sec.Name, Number: len(*list)}, err})
		} else {
			failed = append(failed, s.try(ctx, r.from, sec, len(*list))...)
		}
		*list = append(*list, r)
	}
	for i := range m.Rooms {
		prepare(&s.rooms, m.Rooms[i].Section())
	}
	for i := range m.Members {
		prepare(&s.members, m.Members[i].Section())
	}
	for i := range m.Users {
		prepare(&s.users, m.Users[i].Section())
	}
	for i := range m.Reads {
		prepare(&s.reads, m.Reads[i].Section())
	}
	for table, column := range m.Message.Watch {
		part := mapping.Part{Section: "message", Field: "watch." + table}
		if t := s.catalog.Table(table); t == nil {
			failed = append(failed, &Misfit{part, invalid("message.watch: there is no table %s", table)})
		} else if t.Column(column) == nil {
			failed = append(failed, &Misfit{part, invalid("message.watch: %s", noColumn(t, column))})
		}
	}
	return several(failed)
}

// Misfit is the error for a part of a mapping that does not fit the tables.
type Misfit struct {
	Part mapping.Part // its Field is "" where the rows of the section cannot be read at all
	Err  error
}

func (m *Misfit) Error() string { return m.Err.Error() }
func (m *Misfit) Unwrap() error { return m.Err }

// Misfits are those in an error of Open, if it consists of them alone.
func Misfits(err error) (all []*Misfit, ok bool) {
	list := []error{err}
	if m, is := err.(*many); is {
		list = m.all
	}
	for _, e := range list {
		m, is := e.(*Misfit)
		if !is {
			return nil, false
		}
		all = append(all, m)
	}
	return all, true
}

// several is all errors as one, and one as itself.
func several(all []error) error {
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return &many{all}
}

type many struct{ all []error }

func (m *many) Error() string {
	var lines []string
	for _, err := range m.all {
		lines = append(lines, err.Error())
	}
	return strings.Join(lines, "\n")
}

func (m *many) Unwrap() []error { return m.all }

// try has the database look at every expression of a section, on no row.
func (s *Tables) try(ctx context.Context, from string, sec mapping.Section, number int) (failed []error) {
	ask := func(field, name, expr, where string) bool {
		err := s.none(ctx, "SELECT "+expr+" "+from+where+" LIMIT 0")
		if err != nil {
			failed = append(failed, &Misfit{mapping.Part{Section: sec.Name, Number: number, Field: field}, s.wrong(sec.Name+"."+name, sec, err)})
		}
		return err == nil
	}
	if !ask("", "from", "1", "") {
		return failed
	}
	if w := sec.From.Where; w != "" {
		ask("", "where", "1", " WHERE ("+w+")")
	}
	for _, f := range sec.Fields {
		ask(f.Name, f.Name, mapping.Expand(f.Expr), "")
	}
	return failed
}

// none runs a statement that returns no rows.
func (s *Tables) none(ctx context.Context, statement string) error {
	rows, err := s.db.QueryContext(ctx, statement)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		continue
	}
	return rows.Err()
}

// wrong is the error for a part of the mapping that the database does not take.
func (s *Tables) wrong(where string, sec mapping.Section, err error) error {
	if f, _ := faultOf(err); f != schema {
		return explained(where, err)
	}
	text := said(err)
	if name := unknownColumn(text); name != "" {
		if t := s.tableOf(&sec.From); t != nil && t.Column(name) == nil {
			return invalid("%s: %s", where, noColumn(t, name))
		}
	}
	return invalid("%s: %s", where, text)
}

// unknownColumn finds the name in what a server says of a column that is not there.
func unknownColumn(text string) string {
	for _, pattern := range []string{"Unknown column '", `column "`, "no such column: ", "column "} {
		_, rest, ok := strings.Cut(text, pattern)
		if !ok {
			continue
		}
		name := rest
		if i := strings.IndexAny(rest, `'" `); i >= 0 {
			name = rest[:i]
		}
		return name[strings.LastIndexByte(name, '.')+1:]
	}
	return ""
}

// tableOf is the first table of From, nil if it is none of the database.
func (s *Tables) tableOf(f *mapping.From) *mapping.Table {
	name := f.Table()
	if f.Glob() {
		if found := s.catalog.Match(name); len(found) > 0 {
			return found[0]
		}
		return nil
	}
	name = name[strings.LastIndexByte(name, '.')+1:]
	return s.catalog.Table(name)
}

// noTable says that a table is missing, and which there are.
func (s *Tables) noTable(where, name string) error {
	var names []string
	for i := range s.catalog {
		names = append(names, s.catalog[i].Name)
	}
	const most = 20
	more := ""
	if len(names) > most {
		names, more = names[:most], fmt.Sprintf(" and %d more", len(s.catalog)-most)
	}
	if len(names) == 0 {
		return invalid("%s: there is no table %s that this user may read; it sees none at all", where, name)
	}
	return invalid("%s: there is no table %s that this user may read; it sees %s%s", where, name, strings.Join(names, ", "), more)
}
