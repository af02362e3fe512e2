// Package mysql keeps shards and the control database in MySQL or MariaDB.
//
// A Shard is the tables with one prefix in one database. Its lanes load and commit on
// one connection: a commit is one packet of several statements, in which a fence that
// does not hold is an error, so that the COMMIT behind it is not reached. Readers use a
// small pool; what they ask is one packet too. Package sqldb has the questions.
//
// Statements are what MySQL 8.0 and MariaDB 10.6 both understand. There are no triggers
// and procedures: hosters seldom give the rights to make them.
package mysql

import (
	"context"
	"embed"
	"errors"
	"sync"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/store/sqldb"
)

// schemas holds the schema of a shard and that of the control database, as numbered
// steps. They go forward only, and a released one never changes.
//
//go:embed schema
var schemas embed.FS

// Shard is store.Driver on the tables of one shard.
type Shard struct {
	*sqldb.Reader
	db       *database
	leases   *database // one connection, made when a lease is asked for
	w        *writer
	findings []sqldb.Finding
	done     chan struct{} // closed to end background
	closing  sync.Once
	bg       sync.WaitGroup
}

var (
	_ store.Driver    = (*Shard)(nil)
	_ store.RowReader = (*Shard)(nil)
)

// Open opens a shard and brings its schema up to date. If the tables are missing they
// are made with create, and the error is NotFound without. Invalid says what is wrong
// with the settings, the rights or the server; Unavailable also that another node has
// claimed the shard. With Options.Node the shard is claimed until Close.
func Open(ctx context.Context, o sqldb.Options, create bool) (*Shard, error) {
	db, err := connect(o)
	if err != nil {
		return nil, err
	}
	s := &Shard{db: db, leases: db.beside(1), w: newWriter(db), done: make(chan struct{})}
	if err := s.open(ctx, create); err != nil {
		return nil, errors.Join(db.fail("open", err), s.Close())
	}
	return s, nil
}

func (s *Shard) open(ctx context.Context, create bool) (err error) {
	if s.findings, err = s.db.prepare(ctx, "shard", create); err != nil {
		return err
	}
	s.Reader = sqldb.NewReader(s.db.o.Name, s.db, s.w, s.leases)
	claimed := s.db.o.Node != "" && !s.db.o.Shared
	if s.db.o.Shared {
		if err := s.db.unclaimed(ctx); err != nil {
			return err
		}
	}
	if claimed {
		s.w.claim = &claim{o: &s.db.o, name: lockName(s.db, "shard")}
		if err := s.w.inTurn(ctx, func(conn) error { return nil }); err != nil {
			return err
		}
	}
	if err := s.db.o.Belong(ctx, s.db, claimed); err != nil || !claimed {
		return err
	}
	err = sqldb.Note(ctx, s.db, "node", s.db.o.Node)
	if err != nil && chat.KindOf(err) != chat.ReadOnly {
		return err
	}
	s.bg.Go(func() { s.w.keep(s.done) })
	return nil
}

// Warnings are what was found when the shard was opened.
func (s *Shard) Warnings() []sqldb.Finding { return s.findings }

func (s *Shard) Acquire(ctx context.Context, lane store.LaneID) (store.Position, error) {
	return s.w.Acquire(ctx, lane)
}

func (s *Shard) Commit(ctx context.Context, lane store.LaneID, at store.Position, ch *store.Changes) error {
	return s.w.Commit(ctx, lane, at, ch)
}

// Check looks at the structure of the tables too.
func (s *Shard) Check(ctx context.Context, owns func(chat.Slot) bool) ([]string, error) {
	broken, err := s.db.checkTables(ctx)
	if err != nil {
		return nil, s.db.fail("check", err)
	}
	found, err := s.Reader.Check(ctx, owns)
	if err != nil {
		return nil, err
	}
	return append(broken, found...), nil
}

// Close waits for the commit in progress and gives the claim back.
func (s *Shard) Close() error {
	var err error
	s.closing.Do(func() {
		close(s.done)
		s.bg.Wait()
		s.w.close()
		err = firstErr(s.leases.Close(), s.db.Close())
	})
	return err
}

// OpenControl opens the control database, which may share a database and a prefix with a
// shard. See Open; it is not claimed.
func OpenControl(ctx context.Context, o sqldb.Options, create bool) (*sqldb.Control, error) {
	db, err := connect(o)
	if err != nil {
		return nil, err
	}
	findings, err := db.prepare(ctx, "control", create)
	if err != nil {
		return nil, errors.Join(db.fail("open", err), db.Close())
	}
	return sqldb.NewControl(db.o.Name, db, findings), nil
}
