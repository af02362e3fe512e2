package follow

import (
	"context"
	"database/sql"
	"time"

	"github.com/roomtide/roomtide/adopt/source"
)

// session is a connection to a source that is followed, with its configuration.
type session struct {
	Config
	db     *sql.DB
	engine source.Engine

	// unseen has all rows compared, as some were changed in a way that names no keys;
	// nil: there is no sweep that would.
	unseen func(reason string)
}

// missed has all rows compared. Without a sweep the log says that it was due.
func (s *session) missed(reason string) {
	if s.unseen == nil {
		s.Log.Warn("follow: rows were changed in a way that cannot be followed, and no sweep compares them", "reason", reason)
		return
	}
	s.unseen(reason)
}

// connections is how many a follower uses at once: its parts wait for each other rarely.
const connections = 3

// dial opens a session. It writes where rows of the table of changes are deleted.
func dial(ctx context.Context, c Config, write bool) (*session, error) {
	db, engine, err := source.Dial(c.Source, c.Secret, write)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	if err := db.PingContext(ctx); err != nil {
		db.Close()
		return nil, fail("dial", "", err)
	}
	return &session{Config: c.withDefaults(), db: db, engine: engine}, nil
}

// followed is a table whose rows are messages, or belong to messages.
type followed struct {
	table   *described
	key     column // of the message: the primary key, or the column of a watched table
	watched bool
	changed string // the configured column of changes
}

// describeAll describes the tables of the configuration.
func (s *session) describeAll(ctx context.Context) ([]followed, error) {
	var all []followed
	for _, t := range s.Tables {
		d, err := describe(ctx, s.db, s.engine, t.Name)
		if err != nil {
			return nil, err
		}
		key, err := d.keyColumn(t.Key)
		if err != nil {
			return nil, err
		}
		all = append(all, followed{table: d, key: key, changed: t.Changed})
	}
	for _, w := range s.Watch {
		d, err := describe(ctx, s.db, s.engine, w.Name)
		if err != nil {
			return nil, err
		}
		key, ok := d.column(w.Column)
		if !ok {
			return nil, invalid("describe", w.Name, "the watched table "+w.Name+" has no column "+w.Column)
		}
		key.prefix = w.Prefix
		all = append(all, followed{table: d, key: key, watched: true})
	}
	if len(s.Tables) == 0 {
		return nil, invalid("describe", "", "no table is followed")
	}
	return all, nil
}

func (c Config) withDefaults() Config {
	set := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	set(&c.Interval, 200*time.Millisecond)
	set(&c.MaxAge, 10*time.Minute)
	set(&c.Settle, 10*time.Second)
	if c.Sweep == 0 {
		c.Sweep = 2000
	}
	if c.Log == nil {
		c.Log = discard
	}
	return c
}
