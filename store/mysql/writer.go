package mysql

import (
	"context"
	"crypto/rand"
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/store/sqldb"
)

// writer is the one connection of a shard on which its lanes load and commit. It holds
// the claim on the shard. A connection that has failed is replaced when it is needed
// next.
type writer struct {
	// Set once.
	db    *database
	turn  chan struct{} // holds one value while the writer is idle
	mark  string        // a lock in the server that the connection of this writer holds
	claim *claim        // nil: the shard is not claimed

	// Owned by the holder of the turn.
	conn   conn // of nil after it has failed
	lanes  map[store.LaneID]bool
	closed bool
}

func newWriter(db *database) *writer {
	w := &writer{db: db, turn: make(chan struct{}, 1), mark: "roomtide:" + rand.Text(), lanes: map[store.LaneID]bool{}}
	w.turn <- struct{}{}
	return w
}

// inTurn runs fn with the connection. After an error the connection is closed, and what
// was open on it is rolled back.
func (w *writer) inTurn(ctx context.Context, fn func(conn) error) error {
	select {
	case <-w.turn:
		defer func() { w.turn <- struct{}{} }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if w.closed {
		return errClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if w.conn.Conn != nil && !w.conn.alive(ctx) {
		w.drop()
	}
	if w.conn.Conn == nil {
		if err := w.connect(ctx); err != nil {
			return err
		}
	}
	err := fn(w.conn)
	if err != nil && !w.rolledBack(ctx, err) {
		w.drop()
	}
	return err
}

// rolledBack ends the transaction after an error that the server has answered with. A
// server that may only be read is left: another may have taken its place.
func (w *writer) rolledBack(ctx context.Context, err error) bool {
	n := number(err)
	if chat.KindOf(err) == chat.Fenced {
		n = errNull
	}
	return n != 0 && kinds[n] != chat.ReadOnly && w.conn.exec(ctx, "ROLLBACK", nil) == nil
}

func (w *writer) drop() {
	if w.conn.Conn != nil {
		w.conn.Close() // of a connection that has failed: there is nothing to be done about an error
		w.conn.Conn = nil
	}
}

// connect opens a connection. One that was lost may live on in the server, with locks
// on rows and the claim: it is ended first.
func (w *writer) connect(ctx context.Context) error {
	raw, err := w.db.connector.Connect(ctx)
	if err != nil {
		return err
	}
	w.conn.Conn = raw
	err = w.endBefore(ctx)
	if err == nil && w.claim != nil {
		err = w.claim.take(ctx, w)
	}
	if err != nil {
		w.drop()
	}
	return err
}

// endBefore ends a connection of this writer that lives on. Numbers of connections start
// anew with the server, so that a lock says which it is.
func (w *writer) endBefore(ctx context.Context) error {
	var id, got int64
	if err := w.one(ctx, "SELECT coalesce(IS_USED_LOCK(?), 0)", &id, w.mark); err != nil {
		return err
	}
	if id != 0 {
		if err := w.conn.exec(ctx, "KILL "+strconv.FormatInt(id, 10), nil); err != nil && number(err) != errNoThread {
			return err
		}
	}
	return w.one(ctx, "SELECT coalesce(GET_LOCK(?, 2), 0)", &got, w.mark)
}

// one asks for one value.
func (w *writer) one(ctx context.Context, text string, dest any, args ...any) error {
	found := false
	_, err := w.conn.ask(ctx, w.db.d, "", "", []sqldb.Question{{Text: text, Args: args, Row: func(s sqldb.Scanner) error {
		found = true
		return s.Scan(dest)
	}}})
	if err == nil && !found {
		err = errors.New("no answer to " + text)
	}
	return err
}

// Ask answers the questions of Load.
func (w *writer) Ask(ctx context.Context, qs ...sqldb.Question) error {
	if len(qs) == 0 {
		return w.db.fail("load", ctx.Err())
	}
	before, after := beginSnapshot, end
	if len(qs) == 1 {
		before, after = "", ""
	}
	seen := false
	ask := func() error {
		return w.inTurn(ctx, func(c conn) (err error) {
			seen, err = c.ask(ctx, w.db.d, before, after, qs)
			return err
		})
	}
	err := ask()
	if err != nil && !seen && lost(ctx, err) {
		err = ask()
	}
	return w.db.fail("load", err)
}

func (w *writer) Acquire(ctx context.Context, lane store.LaneID) (at store.Position, err error) {
	const raise = "START TRANSACTION; INSERT INTO {lanes} (lane, epoch, position) VALUES (?, 1, 0) ON DUPLICATE KEY UPDATE epoch = epoch + 1"
	for range tries {
		err = w.inTurn(ctx, func(c conn) error {
			found := false
			_, err := c.ask(ctx, w.db.d, "", end, []sqldb.Question{{
				Text: raise + "; SELECT lane, epoch, position FROM {lanes} WHERE lane = ? FOR UPDATE", Args: []any{int64(lane), int64(lane)},
				Row: func(s sqldb.Scanner) error {
					var of int64
					err := s.Scan(&of, &at.Epoch, &at.N)
					if found = of == int64(lane); err == nil && !found {
						err = errors.New("another lane was answered")
					}
					return err
				},
			}})
			if err == nil && !found {
				err = errors.New("the lane was not made")
			}
			w.lanes[lane] = err == nil
			return err
		})
		if !again(err) {
			break
		}
	}
	return at, w.db.fail("acquire", err)
}

func (w *writer) Commit(ctx context.Context, lane store.LaneID, at store.Position, ch *store.Changes) error {
	packets, err := w.db.packets(lane, at, ch)
	if err != nil {
		return w.db.fail("commit", err)
	}
	for range tries {
		err = w.inTurn(ctx, func(c conn) error { return w.commit(ctx, c, lane, at, packets) })
		if !again(err) {
			break
		}
	}
	return w.db.fail("commit", err)
}

// commit sends the packets. An error in one of them ends it there, so that COMMIT, which
// is the end of the last, is not reached.
func (w *writer) commit(ctx context.Context, c conn, lane store.LaneID, at store.Position, packets []*packet) error {
	if err := w.known(ctx, lane); err != nil {
		return err
	}
	for _, p := range packets {
		err := c.exec(ctx, p.text.String(), p.args)
		switch n := number(err); {
		case n == errNull && strings.Contains(err.Error(), "'position'"):
			return w.fenced(lane, at, err)
		case n == errRows:
			return fmt.Errorf("a message to update does not exist: %w", err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// known makes sure that the lane has a row: the fence of one that has none would not
// be an error.
func (w *writer) known(ctx context.Context, lane store.LaneID) error {
	if w.lanes[lane] {
		return nil
	}
	var n int64
	if err := w.one(ctx, "SELECT count(*) FROM {lanes} WHERE lane = ?", &n, int64(lane)); err != nil {
		return err
	}
	if n == 0 {
		return w.fenced(lane, store.Position{}, nil)
	}
	w.lanes[lane] = true
	return nil
}

func (w *writer) fenced(lane store.LaneID, at store.Position, err error) error {
	return &chat.Error{Kind: chat.Fenced, Op: "mysql.commit", Subject: w.db.o.Name,
		Err: fmt.Errorf("lane %d does not stand at %d of epoch %d (%w)", lane, at.N, at.Epoch, firstErr(err, errNoLane))}
}

var errNoLane = errors.New("it was never acquired")

// keep uses the connection now and then, until done is closed: so the server does not
// give the claim back while nothing is written, and a claim that was lost is taken
// again.
func (w *writer) keep(done <-chan struct{}) {
	ticker := time.NewTicker(keepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		case <-ticker.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), keepEvery)
		err := w.inTurn(ctx, func(c conn) error { return c.Conn.(driver.Pinger).Ping(ctx) })
		cancel()
		if err != nil {
			w.db.o.Log.Warn("the database does not answer", "err", err)
		}
	}
}

// close waits for the transaction in progress.
func (w *writer) close() {
	<-w.turn
	w.closed = true
	w.drop()
	w.turn <- struct{}{}
}
