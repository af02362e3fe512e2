package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/pressly/goose/v3"

	"github.com/roomtide/roomtide/chat"
)

// Finding is something about a database that was noticed when it was opened.
type Finding struct {
	Setting string // its name in the database
	Value   string // what it is
	Risk    string // what can go wrong
	Fix     string // what to do

	// Loses says that it can lose what was acknowledged. Options.RequireDurable makes
	// it an error.
	Loses bool
}

func (f *Finding) String() string {
	return fmt.Sprintf("%s is %s: %s; %s", f.Setting, f.Value, f.Risk, f.Fix)
}

// Judge logs the findings, and returns an error if one of them may not be.
func (o *Options) Judge(findings []Finding) error {
	var refused []string
	for i := range findings {
		f := &findings[i]
		if o.RequireDurable && f.Loses {
			refused = append(refused, f.String())
			continue
		}
		o.Log.Warn("database setting", "setting", f.Setting, "value", f.Value, "risk", f.Risk, "fix", f.Fix)
	}
	if refused != nil {
		return o.Invalid("require_durable is set, and acknowledged messages can be lost: "+strings.Join(refused, "; "), nil)
	}
	return nil
}

// Belong compares the deployment and the name of the shard with the stamps in the
// database, and stamps a database that has none. claimed says that no other node has
// the shard open; without rooms it may then get another name. The table {meta} has
// names and values.
func (o *Options) Belong(ctx context.Context, db Engine, claimed bool) error {
	if o.Deployment == "" || o.Look {
		return nil
	}
	id, err := o.stamp(ctx, db, "deployment", o.Deployment)
	if err != nil {
		return err
	}
	if id != o.Deployment {
		return o.Invalid(fmt.Sprintf("the tables with the prefix %s belong to another deployment (%s, this one is %s): use another database or another prefix",
			o.Prefix, id, o.Deployment), nil)
	}
	name, err := o.stamp(ctx, db, "shard", o.Name)
	if err != nil || name == o.Name {
		return err
	}
	rooms := !claimed
	if claimed {
		err = db.Ask(ctx, Question{Text: "SELECT slot FROM {rooms} LIMIT 1", Row: func(s Scanner) error { rooms = true; return s.Scan(new(int64)) }})
	}
	if err != nil || !rooms {
		return errors.Join(err, Note(ctx, db, "shard", o.Name))
	}
	return o.Invalid(fmt.Sprintf("the tables with the prefix %s are those of the shard %s: if it is listed twice, under two addresses, take one out; if its address has changed, set name = %q",
		o.Prefix, name, name), nil)
}

// stamp notes something unless it is noted already, and returns what is.
func (o *Options) stamp(ctx context.Context, db Engine, name, value string) (have string, err error) {
	have, err = Meta(ctx, db, name)
	if err == nil && have == "" {
		err = db.Exec(ctx, Statement{Text: insert(&meta), Args: []any{name, value}})
		if err == nil || chat.KindOf(err) == chat.Conflict { // another node was first
			have, err = Meta(ctx, db, name)
		}
	}
	return have, err
}

var meta = Table{"meta", []Column{{Name: "name", Kind: ID}, {Name: "value", Kind: ID}}, 1}

// Meta is what is noted in a shard under a name, empty if nothing.
func Meta(ctx context.Context, db Engine, name string) (value string, err error) {
	err = db.Ask(ctx, Question{
		Text: "SELECT value FROM {meta} WHERE name = ?", Args: []any{name},
		Row: func(s Scanner) error { return s.Scan(&value) },
	})
	return value, err
}

// Note notes something in a shard, in place of what is under the name.
func Note(ctx context.Context, db Engine, name, value string) error {
	return db.Exec(ctx, Statement{Text: db.Dialect().Put(&meta), Args: []any{name, value}})
}

// Alone is an error if nodes that share the shard use it now, as their leases say. It is
// for a node that does not share it, before it writes anything.
func (o *Options) Alone(ctx context.Context, db Engine) error {
	holder, err := LeasedTo(ctx, db, o.Node)
	if err != nil || holder == "" {
		return err
	}
	return &chat.Error{Kind: chat.Unavailable, Op: "sqldb.open", Subject: o.Name,
		Text: fmt.Sprintf("the tables with the prefix %s are in use by node %s, which shares them with other nodes: set nats.url to be one of them", o.Prefix, holder)}
}

// Claimed is the error for a database that another node has claimed, whose name is in
// {meta} under "node".
func (o *Options) Claimed(ctx context.Context, db Engine) error {
	by, err := Meta(ctx, db, "node")
	if err != nil || by == "" {
		by = "another node"
	} else {
		by = "node " + by
	}
	if o.Shared {
		by += ", which uses them alone: nodes that work together all have the setting nats.url"
	}
	if by == "node "+o.Node && !o.Shared {
		by += ", which is this one: the shard is listed twice, under two addresses, or another process of the node still runs"
	}
	return &chat.Error{Kind: chat.Unavailable, Op: "sqldb.open", Subject: o.Name,
		Text: fmt.Sprintf("the tables with the prefix %s are in use by %s", o.Prefix, by), Err: err}
}

// Migrate brings a schema to the newest version this program knows: files named
// 0001_name.sql in dir, in the common form of Dialect.SQL, each of which may be run
// again after it was interrupted. It refuses a schema that a newer program has written.
// The caller holds a lock that keeps other nodes from doing the same.
func Migrate(ctx context.Context, db *sql.DB, dialect goose.Dialect, d *Dialect, files fs.FS, dir string, log *slog.Logger) error {
	steps, err := migrations(d, files, dir)
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(dialect, db, nil, goose.WithDisableGlobalRegistry(true),
		goose.WithTableName(VersionTable(d, dir)), goose.WithGoMigrations(steps...), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return err
	}
	have, known, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	if have > known {
		return chat.E(chat.Invalid, fmt.Sprintf("the schema with the prefix %s has version %d, which is newer than this program, which knows %d: use the newer program",
			d.Prefix, have, known))
	}
	if have == known {
		return nil
	}
	if _, err := p.Up(ctx); err != nil {
		return err
	}
	level := slog.LevelInfo
	if have == 0 { // the schema is new: nothing was changed
		level = slog.LevelDebug
	}
	log.Log(ctx, level, "schema brought up to date", "from", have, "to", known)
	return nil
}

// VersionTable is the table in which Migrate keeps the version of the schema in dir. It
// exists if the schema was ever made.
func VersionTable(d *Dialect, dir string) string { return d.Prefix + path.Base(dir) + "_version" }

func migrations(d *Dialect, files fs.FS, dir string) ([]*goose.Migration, error) {
	entries, err := fs.ReadDir(files, dir)
	if err != nil {
		return nil, err
	}
	var steps []*goose.Migration
	for _, e := range entries {
		number, _, _ := strings.Cut(e.Name(), "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return nil, err
		}
		text, err := fs.ReadFile(files, path.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		script := d.SQL(string(text))
		steps = append(steps, goose.NewGoMigration(version, &goose.GoFunc{RunDB: func(ctx context.Context, db *sql.DB) error {
			_, err := db.ExecContext(ctx, script)
			return err
		}}, nil))
	}
	slices.SortFunc(steps, func(a, b *goose.Migration) int { return int(a.Version - b.Version) })
	if len(steps) == 0 {
		return nil, errors.New("a schema without migrations")
	}
	return steps, nil
}
