package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/store/sqldb"
	"github.com/roomtide/roomtide/store/sqlite"
)

// farm is a database server that keeps each database, by its name and prefix, in
// SQLite files. Hosts and users do not matter, as with several names of one host.
type farm struct {
	dir  string
	down error // of every call

	mu     sync.Mutex
	stamps map[string]string // deployment and name of each shard
	opened []sqldb.Options
}

func (f *farm) driver() driver {
	return driver{
		shard: func(ctx context.Context, o sqldb.Options, create bool) (store.Driver, error) {
			path, err := f.find(o, "shard", create)
			if err == nil {
				err = f.stamp(o, path)
			}
			if err != nil {
				return nil, err
			}
			return sqlite.Open(ctx, path, slog.New(slog.DiscardHandler))
		},
		control: func(ctx context.Context, o sqldb.Options, create bool) (store.Control, error) {
			path, err := f.find(o, "control", create)
			if err != nil {
				return nil, err
			}
			return sqlite.OpenControl(ctx, path, slog.New(slog.DiscardHandler))
		},
	}
}

func (f *farm) find(o sqldb.Options, what string, create bool) (string, error) {
	if f.down != nil {
		return "", f.down
	}
	u, err := url.Parse(o.DSN)
	if err != nil {
		return "", err
	}
	path := filepath.Join(f.dir, strings.Trim(u.Path, "/")+"-"+o.Prefix+what)
	if _, err := os.Stat(path); err != nil && !create {
		return "", chat.Wrap(chat.NotFound, "farm.open", err)
	}
	return path, nil
}

func (f *farm) stamp(o sqldb.Options, path string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.opened = append(f.opened, o)
	if f.stamps == nil {
		f.stamps = map[string]string{}
	}
	mine := o.Deployment + " " + o.Name
	if have := f.stamps[path]; have != "" && have != mine {
		return chat.E(chat.Invalid, "it is "+have)
	}
	f.stamps[path] = mine
	return nil
}

// dbWorld is a data directory and a farm.
type dbWorld struct {
	t    *testing.T
	cfg  *config.Config
	farm *farm
}

func newDBWorld(t *testing.T, dsns ...string) *dbWorld {
	w := &dbWorld{t: t, cfg: config.Default(), farm: &farm{dir: t.TempDir()}}
	w.cfg.DataDir, w.cfg.SQLiteShards = t.TempDir(), 2
	w.shards(dsns...)
	return w
}

func (w *dbWorld) shards(dsns ...string) {
	w.cfg.Shards = nil
	for _, dsn := range dsns {
		w.cfg.Shards = append(w.cfg.Shards, config.Shard{DSN: dsn})
	}
}

// start starts and stops a node, and returns its shards with the slots they own.
func (w *dbWorld) start() (shards []string, version int64, err error) {
	w.t.Helper()
	dbs, err := newDatabases(w.cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, 0, err
	}
	dbs.drivers = map[string]driver{config.MySQL: w.farm.driver(), config.PostgreSQL: w.farm.driver()}
	st, err := store.Open(w.t.Context(), dbs, nil)
	if err != nil {
		return nil, 0, err
	}
	for _, s := range st.Shards() {
		shards = append(shards, s.Name())
	}
	m, err := st.Control.Map(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return shards, m.Version, errors.Join(err, st.Close())
}

func (w *dbWorld) starts(version int64, shards ...string) {
	w.t.Helper()
	got, v, err := w.start()
	if err != nil || v != version || !slices.Equal(got, shards) {
		w.t.Fatalf("shards %v, map %d, %v; want %v and %d", got, v, err, shards, version)
	}
}

// refused starts a node, which must not start, and returns the error.
func (w *dbWorld) refused(kind chat.Kind, words ...string) {
	w.t.Helper()
	got, _, err := w.start()
	if err == nil || chat.KindOf(err) != kind {
		w.t.Fatalf("shards %v, %v; want kind %s", got, err, kind.Code())
	}
	for _, word := range append(words, "") {
		if !strings.Contains(err.Error(), word) {
			w.t.Errorf("no %q in: %v", word, err)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		w.t.Errorf("the password is shown: %v", err)
	}
}

// files are the databases in the data dir.
func (w *dbWorld) files() []string {
	w.t.Helper()
	paths, err := filepath.Glob(filepath.Join(w.cfg.DataDir, "*.db"))
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range paths {
		paths[i] = filepath.Base(paths[i])
	}
	return paths
}

const (
	dbA = "mysql://chat:hunter2@db/a"
	dbB = "postgres://chat:hunter2@db2/b"
)

func TestNewcomerAddsADatabase(t *testing.T) {
	w := newDBWorld(t)
	w.starts(1, "shard-0.db", "shard-1.db")
	w.shards(dbA, "sqlite:extra.db")
	for range 2 {
		w.starts(2, "shard-0.db", "shard-1.db", "db/a", "extra.db")
	}
	if got := w.files(); !slices.Equal(got, []string{"control.db", "extra.db", "shard-0.db", "shard-1.db"}) {
		t.Errorf("the data dir has %v", got)
	}
	o := w.farm.opened[0]
	if o.DSN != dbA || o.Prefix != "roomtide_" || o.Node != "local" || len(o.Deployment) < 20 || o.RequireDurable || o.Log == nil {
		t.Errorf("opened with %+v", o)
	}
	w.shards() // it owns nothing, and is not wanted any more; the files stay
	w.starts(3, "shard-0.db", "shard-1.db", "extra.db")
}

func TestFirstStartWithDatabases(t *testing.T) {
	w := newDBWorld(t, dbA, dbB)
	w.cfg.RequireDurable = true
	w.starts(1, "db/a", "db2/b")
	if got := w.files(); got != nil {
		t.Errorf("the data dir has %v", got)
	}
	if !w.farm.opened[0].RequireDurable {
		t.Error("require_durable did not reach the driver")
	}
	w.cfg.DataDir = t.TempDir() // the disk of the node is lost
	w.starts(1, "db/a", "db2/b")
	w.shards(dbB, dbA) // the control database is found in the other one
	w.starts(1, "db/a", "db2/b")
	w.shards(dbB)
	w.refused(chat.Invalid, "db2/b") // begins anew, and finds the stamp of the other deployment
	w.shards(dbB, dbA)
	w.starts(1, "db/a", "db2/b") // what that has left behind is not taken for the control database
	w.shards(dbA)
	w.refused(chat.Internal, "db2/b", "missing", "neither in [[shards]] nor a file", "set its name to db2/b")
}

// Databases of one server share a log, which passes each warning on once.
func TestOneLogForAServer(t *testing.T) {
	w := newDBWorld(t, dbA, dbA+"?prefix=x_", dbB)
	w.starts(1, "db/a", "db/a/x_", "db2/b")
	logs := map[string]*slog.Logger{}
	for _, o := range w.farm.opened {
		logs[o.Name] = o.Log
	}
	if logs["db/a"] == nil || logs["db/a"] != logs["db/a/x_"] || logs["db/a"] == logs["db2/b"] {
		t.Errorf("logs %v", logs)
	}
}

// A database under another address is another shard, unless it keeps its name.
func TestDatabaseMovesToAnotherAddress(t *testing.T) {
	w := newDBWorld(t, dbA)
	w.starts(1, "db/a")
	w.shards("mysql://chat:hunter2@other/a")
	w.refused(chat.Internal, "db/a", "set its name to db/a")
	w.cfg.Shards[0].Name = "db/a"
	w.starts(1, "db/a")
}

func TestTwoNamesOfOneDatabase(t *testing.T) {
	w := newDBWorld(t, dbA, "mysql://chat:hunter2@alias/a")
	w.refused(chat.Invalid, "it is ")
}

func TestMapOfAnotherDeployment(t *testing.T) {
	w, other := newDBWorld(t), newDBWorld(t)
	other.starts(1, "shard-0.db", "shard-1.db")
	w.starts(1, "shard-0.db", "shard-1.db")
	w.shards(dbA)
	w.starts(2, "shard-0.db", "shard-1.db", "db/a")
	data, err := os.ReadFile(filepath.Join(other.cfg.DataDir, "control.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.cfg.DataDir, "control.db"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	w.refused(chat.Invalid, "db/a", "mysql://chat:xxxxx@db/a", "it is ")
}

func TestControlDatabase(t *testing.T) {
	const control = "mysql://chat:hunter2@db/control"
	w := newDBWorld(t)
	w.cfg.Control = control
	w.starts(1, "shard-0.db", "shard-1.db") // SQLite with a control database elsewhere
	if got := w.files(); !slices.Equal(got, []string{"shard-0.db", "shard-1.db"}) {
		t.Errorf("the data dir has %v", got)
	}
	w.cfg.Control = ""
	w.shards(dbA)
	w.refused(chat.Invalid, "no control.db", "put it back")

	w = newDBWorld(t, dbA, dbB)
	w.cfg.Control = "sqlite:control.db"
	w.starts(1, "db/a", "db2/b")
	w.cfg.Control = ""
	w.starts(1, "db/a", "db2/b") // it is there, so it is used
	w.cfg.Control = "db2/b"
	w.refused(chat.Invalid, "control", "without a slot map", "control.db")
	if got := w.files(); !slices.Equal(got, []string{"control.db"}) {
		t.Errorf("the data dir has %v", got)
	}
}

func TestToolsFindTheControlDatabase(t *testing.T) {
	w := newDBWorld(t, dbA)
	open := func() (store.Control, error) {
		dbs, err := newDatabases(w.cfg, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		dbs.drivers = map[string]driver{config.MySQL: w.farm.driver()}
		return store.OpenControl(t.Context(), dbs)
	}
	if _, err := open(); chat.KindOf(err) != chat.NotFound {
		t.Errorf("before the first start: %v", err)
	}
	w.starts(1, "db/a")
	c, err := open()
	if err != nil {
		t.Fatal(err)
	}
	if m, err := c.Map(t.Context()); err != nil || !slices.Equal(m.Shards, []string{"db/a"}) {
		t.Errorf("%+v, %v", m, err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// What the documentation of settings says of defaults is what the drivers do.
func TestDefaultsOfDatabases(t *testing.T) {
	f, _ := reflect.TypeFor[config.Shard]().FieldByName("MaxConnections")
	if want := fmt.Sprintf("0: %d.", sqldb.DefaultConns); !strings.Contains(f.Tag.Get("help"), want) {
		t.Errorf("max_connections does not say %q", want)
	}
	f, _ = reflect.TypeFor[config.Shard]().FieldByName("ConnectTimeout")
	if want := fmt.Sprintf("0s: %s.", sqldb.DefaultConnectTimeout); !strings.Contains(f.Tag.Get("help"), want) {
		t.Errorf("connect_timeout does not say %q", want)
	}
	if config.DefaultPrefix != sqldb.DefaultPrefix {
		t.Errorf("prefixes %s and %s", config.DefaultPrefix, sqldb.DefaultPrefix)
	}
}

func TestDatabaseThatIsDown(t *testing.T) {
	w := newDBWorld(t, dbA)
	w.farm.down = chat.Wrap(chat.Unavailable, "farm.open", errors.New("connection refused"))
	w.refused(chat.Unavailable, "the database db/a (mysql://chat:xxxxx@db/a)", "connection refused")
}
