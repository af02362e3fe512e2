package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/store/mysql"
	"github.com/roomtide/roomtide/store/postgres"
	"github.com/roomtide/roomtide/store/sqldb"
	"github.com/roomtide/roomtide/store/sqlite"
)

// driver opens databases of one kind that are reached over a network. create makes
// our tables where they are missing; without it that is NotFound.
type driver struct {
	shard   func(ctx context.Context, o sqldb.Options, create bool) (store.Driver, error)
	control func(ctx context.Context, o sqldb.Options, create bool) (store.Control, error)
}

// databases is store.Opener for a deployment: the files of the data directory, and
// the databases that are configured, each with the driver of its engine. No other
// place picks a driver of the store.
type databases struct {
	// Set once.
	cfg     *config.Config
	drivers map[string]driver
	dir     *sqlite.Dir
	shards  []config.Database          // in the order of the settings
	byName  map[string]config.Database // the same
	control *config.Database           // nil: not configured
	logs    map[string]*slog.Logger    // for each server

	shared     bool   // nodes of a cluster use the databases together; set before anything is opened
	look       bool   // another node may use the databases: they stay as they are
	deployment string // set by OpenControl
}

var _ store.Opener = (*databases)(nil)

// newDatabases returns the opener of the databases that are configured.
func newDatabases(cfg *config.Config, log *slog.Logger) (*databases, error) {
	d := &databases{
		cfg: cfg, drivers: drivers, byName: map[string]config.Database{}, logs: map[string]*slog.Logger{},
		dir: sqlite.NewDir(cfg.DataDir, cfg.SQLiteShards, log),
	}
	var err error
	if d.shards, err = cfg.Databases(); err != nil {
		return nil, err
	}
	if d.control, err = cfg.ControlDatabase(); err != nil {
		return nil, err
	}
	for _, s := range d.shards {
		d.byName[s.Name] = s
		d.logs[s.Server()] = nil
	}
	if d.control != nil {
		d.logs[d.control.Server()] = nil
	}
	for server := range d.logs {
		d.logs[server] = once(log)
	}
	return d, nil
}

func (d *databases) Names(first bool) []string {
	if len(d.shards) == 0 {
		return d.dir.Names(first)
	}
	names := make([]string, len(d.shards))
	for i := range d.shards {
		names[i] = d.shards[i].Name
	}
	return names
}

var _ store.Examiner = (*databases)(nil)

// Examine is store.Examiner: that of the data directory if all is there. Databases over a
// network are looked at beside the node that uses them.
func (d *databases) Examine(ctx context.Context) []store.Examined {
	network := d.control != nil && d.control.Engine != config.SQLite
	for i := range d.shards {
		network = network || d.shards[i].Engine != config.SQLite
	}
	if !network {
		return d.dir.Examine(ctx)
	}
	d.look = true
	return store.Examine(ctx, struct{ store.Opener }{d}) // by opening them
}

// Lock locks the data directory. Databases over a network are claimed by their
// drivers.
func (d *databases) Lock(ctx context.Context) error { return d.dir.Lock(ctx) }

func (d *databases) Close() error { return d.dir.Close() }

func (d *databases) OpenControl(ctx context.Context, create bool) (store.Control, error) {
	c, err := d.openControl(ctx, create)
	if err != nil {
		return nil, err
	}
	level, err := c.Level(ctx)
	if err == nil {
		err = knowsLevel(level)
	}
	if err == nil {
		d.deployment, err = c.Deployment(ctx)
	}
	if err != nil {
		if e := c.Close(); e != nil { // a join of errors is a line each for the operator
			err = errors.Join(err, e)
		}
		return nil, err
	}
	return c, nil
}

// openControl opens the control database where it is.
func (d *databases) openControl(ctx context.Context, create bool) (store.Control, error) {
	file := d.exists(sqlite.ControlFile)
	switch {
	case d.control != nil && d.control.Engine != config.SQLite:
		c, err := d.networkControl(ctx, d.control, create && !file)
		if chat.KindOf(err) == chat.NotFound && create {
			return nil, &chat.Error{Kind: chat.Invalid, Op: "server.control", Subject: d.control.Name, Err: err,
				Text: "the setting control names a database without a slot map, but the data dir has a control database, " + sqlite.ControlFile +
					": take the setting away to go on with that one, move it with roomtide control move, or move the file away to begin anew"}
		}
		return c, err
	case file || d.control != nil || len(d.shards) == 0 || d.shards[0].Engine == config.SQLite:
		return d.dir.OpenControl(ctx, create)
	}
	return d.findControl(ctx, create)
}

// findControl opens the control database in the first of the configured databases
// that has one with a slot map, or else one without: a first start that did not get to
// its end, or was refused, has left it. If none has, the first one gets it at a first
// start.
func (d *databases) findControl(ctx context.Context, create bool) (store.Control, error) {
	var without *config.Database
	for i := range d.shards {
		if d.shards[i].Engine == config.SQLite {
			continue
		}
		c, err := d.networkControl(ctx, &d.shards[i], false)
		if chat.KindOf(err) == chat.NotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		_, err = c.Map(ctx)
		if err == nil {
			return c, nil
		}
		if err := c.Close(); err != nil {
			return nil, err
		}
		if chat.KindOf(err) != chat.NotFound {
			return nil, explain(&d.shards[i], err)
		}
		if without == nil {
			without = &d.shards[i]
		}
	}
	if without != nil {
		return d.networkControl(ctx, without, create)
	}
	if name := d.dir.Names(true)[0]; create && d.exists(name) && d.byName[name].Name == "" {
		return nil, &chat.Error{Kind: chat.Invalid, Op: "server.control", Subject: name,
			Text: "the data dir has databases such as " + name + " but no " + sqlite.ControlFile +
				", which says what is in them: put it back, or choose another data dir to begin anew"}
	}
	return d.networkControl(ctx, &d.shards[0], create)
}

func (d *databases) networkControl(ctx context.Context, db *config.Database, create bool) (store.Control, error) {
	o := d.options(db)
	o.MaxConns = 2 // it is asked a few questions a minute
	c, err := d.drivers[db.Engine].control(ctx, o, create)
	if err != nil {
		return nil, explain(db, err)
	}
	return c, nil
}

func (d *databases) OpenShard(ctx context.Context, name string, create bool) (store.Driver, error) {
	db, ok := d.byName[name]
	switch {
	case ok && db.Engine != config.SQLite:
		s, err := d.drivers[db.Engine].shard(ctx, d.options(&db), create)
		if err != nil {
			return nil, explain(&db, err)
		}
		return s, nil
	case !ok && !create && !d.exists(name):
		return nil, &chat.Error{Kind: chat.NotFound, Op: "server.shard", Subject: name,
			Text: "it is neither in [[shards]] nor a file of the data dir: put it back; if its address has changed, set its name to " + name}
	case d.shared: // one that owns nothing is passed over: rooms have left it for the cluster
		return nil, &chat.Error{Kind: chat.NotFound, Op: "server.shard", Subject: name,
			Text: "it is a SQLite file, which belongs to one node: move its rooms first, see docs/cluster.md"}
	}
	return d.dir.OpenShard(ctx, name, create)
}

func (d *databases) options(db *config.Database) sqldb.Options {
	o := sqldb.Options{
		Name: db.Name, DSN: db.DSN, Prefix: db.Prefix, MaxConns: db.MaxConnections, ConnectTimeout: db.ConnectTimeout,
		Node: d.cfg.Node, Shared: d.shared, Deployment: d.deployment, RequireDurable: d.cfg.RequireDurable, Log: d.logs[db.Server()],
	}
	if d.look {
		o.Node, o.Look = "", true
	}
	return o
}

// exists reports whether the data dir has the file.
func (d *databases) exists(name string) bool {
	if name != filepath.Base(name) {
		return false
	}
	_, err := os.Stat(filepath.Join(d.cfg.DataDir, name))
	return err == nil
}

// where says in words where the control database is looked for.
func (d *databases) where() string {
	switch {
	case d.control != nil && d.control.Engine != config.SQLite:
		return d.control.Name
	case len(d.shards) > 0 && d.shards[0].Engine != config.SQLite:
		return d.cfg.DataDir + " and the configured shards"
	}
	return d.cfg.DataDir
}

// noData is the error of OpenControl where there is no control database, in words that
// say what to do; other errors stay as they are.
func (d *databases) noData(err error) error {
	if chat.KindOf(err) != chat.NotFound {
		return err
	}
	return &chat.Error{Kind: chat.NotFound, Op: "server.control", Err: err,
		Text: "there is no database in " + d.where() + " yet: start the server once, or name its --data-dir (or its --shard)"}
}

// snapshotter returns what copies the databases while a node uses them, if they are
// files.
func (d *databases) snapshotter() (store.Snapshotter, bool) {
	network := func(db config.Database) bool { return db.Engine != config.SQLite }
	if slices.ContainsFunc(d.shards, network) || d.control != nil && network(*d.control) {
		return nil, false
	}
	return d.dir, true
}

// explain adds to an error of a driver which database it is about.
func explain(db *config.Database, err error) error {
	e := &chat.Error{Kind: chat.KindOf(err), Op: "server.databases", Subject: db.Name, Text: "it cannot be opened", Err: err}
	own := (*chat.Error)(nil)
	if errors.As(err, &own) && own.Text != "" {
		e.Text, e.Err = own.Text, own.Err
	}
	network := (net.Error)(nil)
	switch {
	case e.Kind != chat.Unavailable:
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		e.Text = "it does not answer: is it a database server, and does a firewall let the connection through?"
	case network != nil:
		e.Text = "it cannot be reached: does the server run, and is its address right?"
	}
	e.Text = "the database " + db.Name + " (" + config.Mask(db.DSN) + "): " + e.Text
	return e
}

// drivers are those of databases over a network, by the names that config has for them.
var drivers = map[string]driver{
	config.MySQL:      newDriver(mysql.Open, mysql.OpenControl),
	config.PostgreSQL: newDriver(postgres.Open, postgres.OpenControl),
}

// newDriver makes a driver of the functions of its package.
func newDriver[S store.Driver, C store.Control](
	shard func(context.Context, sqldb.Options, bool) (S, error), control func(context.Context, sqldb.Options, bool) (C, error),
) driver {
	return driver{
		shard: func(ctx context.Context, o sqldb.Options, create bool) (store.Driver, error) {
			s, err := shard(ctx, o, create)
			if err != nil { // a nil pointer in an interface is not nil
				return nil, err
			}
			return s, nil
		},
		control: func(ctx context.Context, o sqldb.Options, create bool) (store.Control, error) {
			c, err := control(ctx, o, create)
			if err != nil {
				return nil, err
			}
			return c, nil
		},
	}
}
