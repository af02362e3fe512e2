package mover_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/store/mysql"
	"github.com/roomtide/roomtide/store/postgres"
	"github.com/roomtide/roomtide/store/sqldb"
)

// The servers of a move, and the calls to them at which one is killed.
const (
	source, target, control = "source", "target", "control"
	maria, postgresql       = "mariadb", "postgresql"

	calledRows   = "rows of slots"
	calledOutbox = "outbox"
	calledPut    = "rows put or dropped"
	calledInsert = "messages committed"
	calledCursor = "cursor saved"
	calledMap    = "slot map saved"
	calledRecord = "record saved"
)

// killAt is where a database server is killed: at a call to a database while the move
// is in a phase. answered: the call was done, and its answer is lost; otherwise it has
// still to be made.
type killAt struct {
	victim   string
	phase    store.MovePhase
	on, call string
	answered bool
}

func (k killAt) String() string {
	when := "before"
	if k.answered {
		when = "behind"
	}
	return fmt.Sprintf("%s killed while %s, %s: %s at the %s", k.victim, k.phase, when, k.call, k.on)
}

// kills are the points, over every phase. The control database is in the MariaDB
// server, which is the source of one move and the target of the next: those at which
// the map is saved come for both.
var kills = []killAt{
	{source, store.MoveCopying, source, calledRows, false},
	{target, store.MoveCopying, target, calledPut, false},
	{target, store.MoveCopying, target, calledPut, true},
	{source, store.MoveCopying, source, calledInsert, true},
	{source, store.MoveFollowing, source, calledOutbox, false},
	{target, store.MoveFollowing, source, calledOutbox, true},
	{source, store.MoveVerifying, source, calledRows, true},
	{target, store.MoveVerifying, target, calledRows, false},
	{source, store.MoveHolding, source, calledOutbox, false},
	{target, store.MoveHolding, source, calledOutbox, true},
	{source, store.MoveHolding, control, calledMap, false},
	{source, store.MoveHolding, control, calledMap, false},
	{target, store.MoveHolding, control, calledMap, true},
	{target, store.MoveHolding, control, calledMap, true},
	{source, store.MoveHolding, control, calledMap, true},
	{source, store.MoveHolding, control, calledMap, true},
	{target, store.MoveFlipped, control, calledRecord, false},
	{source, store.MoveFlipped, source, calledCursor, false},
	{source, store.MoveCleaning, source, calledPut, false},
	{target, store.MoveCleaning, source, calledPut, true},
	{source, store.MoveCleaning, source, calledPut, true},
}

// killer kills the server that a point names when it is reached. Moves go from one to
// the other and back.
type killer struct {
	w       *world
	servers map[string]*testdb.Server // by shard
	armed   atomic.Pointer[killAt]
	from    string // of the move under way; set before armed
	reached chan struct{}
	goOn    chan struct{}
}

// at is called at each call to a database: shard is its name, or control.
func (k *killer) at(shard, call string, answered bool) (hit bool) {
	p := k.armed.Load()
	if p == nil || p.call != call || p.answered != answered {
		return false
	}
	if on := map[bool]string{true: source, false: target}[shard == k.from]; p.on != on && p.on != shard {
		return false
	}
	moves := k.w.mover.Moves(0)
	if len(moves) == 0 {
		return false
	}
	if last := moves[len(moves)-1]; last.Phase != p.phase || p.phase == store.MoveHolding && last.Holds == 0 {
		return false
	}
	if !k.armed.CompareAndSwap(p, nil) {
		return false
	}
	k.reached <- struct{}{}
	<-k.goOn
	return true
}

// around makes a call with the points before and behind it.
func (k *killer) around(shard, call string, do func() error) error {
	if call == "" {
		return do()
	}
	k.at(shard, call, false)
	err := do()
	if k.at(shard, call, true) {
		return chat.E(chat.Unavailable, "the answer is lost")
	}
	return err
}

// killed is a shard with the points at its calls.
type killed struct {
	store.Driver
	name string
	k    *killer
}

func (d *killed) SlotRows(ctx context.Context, slot chat.Slot, after store.RowKey, limit, bytes int) (rows *store.Rows, next store.RowKey, err error) {
	err = d.k.around(d.name, calledRows, func() (err error) {
		rows, next, err = d.Driver.SlotRows(ctx, slot, after, limit, bytes)
		return err
	})
	return rows, next, err
}

func (d *killed) Outbox(ctx context.Context, lane store.LaneID, after int64, limit int) (rows []store.OutboxRow, err error) {
	err = d.k.around(d.name, calledOutbox, func() (err error) {
		rows, err = d.Driver.Outbox(ctx, lane, after, limit)
		return err
	})
	return rows, err
}

func (d *killed) Commit(ctx context.Context, lane store.LaneID, at store.Position, ch *store.Changes) error {
	call := ""
	switch {
	case ch.Put != nil || len(ch.Drop) > 0:
		call = calledPut
	case len(ch.Cursors) > 0:
		call = calledCursor
	case len(ch.Insert) > 0:
		call = calledInsert
	}
	return d.k.around(d.name, call, func() error { return d.Driver.Commit(ctx, lane, at, ch) })
}

// killedControl is the control database with the points at its calls.
type killedControl struct {
	store.Control
	k *killer
}

func (c *killedControl) SaveMap(ctx context.Context, m *store.Map) error {
	return c.k.around(control, calledMap, func() error { return c.Control.SaveMap(ctx, m) })
}

func (c *killedControl) SaveMove(ctx context.Context, row store.MoveRow, was []byte) error {
	return c.k.around(control, calledRecord, func() error { return c.Control.SaveMove(ctx, row, was) })
}

// open opens the databases on the two servers, for newWorld.
func (k *killer) open(urls map[string]string) func() *store.Store {
	options := func(name, prefix string) sqldb.Options {
		return sqldb.Options{Name: name, DSN: urls[name], Prefix: prefix, ConnectTimeout: 20 * time.Second, Node: "n", Deployment: "d", Log: slog.New(slog.DiscardHandler)}
	}
	return func() *store.Store {
		ctx, t := k.w.t.Context(), k.w.t
		fail := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		o := options(maria, "control_")
		o.Deployment = ""
		ctl, err := mysql.OpenControl(ctx, o, true)
		fail(err)
		a, err := mysql.Open(ctx, options(maria, "rt_"), true)
		fail(err)
		b, err := postgres.Open(ctx, options(postgresql, "rt_"), true)
		fail(err)
		m := store.NewMap([]string{maria, postgresql})
		fail(ctl.SaveMap(ctx, m))
		st, err := store.New(m, []store.Driver{&killed{a, maria, k}, &killed{b, postgresql, k}}, &killedControl{ctl, k}, nil)
		fail(err)
		return st
	}
}
