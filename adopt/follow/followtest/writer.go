package followtest

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/roomtide/roomtide/adopt/source"
)

// writer writes transactions as an application does: short and long ones, of one row or
// several, some of which are rolled back.
type writer struct {
	s   *Subject
	n   int
	t   testing.TB
	ctx context.Context
	own []int64 // rows of this writer, which it changes and deletes
}

func (w *writer) run() {
	for i := 0; i < w.s.Rows/w.s.Writers && w.ctx.Err() == nil; {
		i += w.transaction(i)
	}
}

func (w *writer) transaction(i int) (rows int) {
	tx := begin(w.ctx, w.t, w.s.DB)
	if tx == nil {
		return w.s.Rows
	}
	var made []int64
	for range 1 + rand.IntN(3) {
		made = append(made, insert(w.ctx, w.t, tx, w.s.Engine, fmt.Sprintf("writer %d row %d", w.n, i)))
	}
	gone := w.change(tx)
	if w.s.Engine != source.SQLite {
		w.think()
	}
	if rand.IntN(20) == 0 {
		if err := tx.Rollback(); err != nil && w.ctx.Err() == nil {
			w.t.Error(err)
		}
		return 0
	}
	commit(w.t, tx)
	w.own = append(w.own[gone:], made...)
	return len(made)
}

// think is the time that a transaction takes: none, up to 30 ms, and now and then long.
func (w *writer) think() {
	switch d := rand.IntN(100); {
	case d < 2:
		pause(w.s.Longest * time.Duration(1+rand.IntN(4)) / 4)
	case d < 50:
		pause(time.Duration(rand.IntN(30)) * time.Millisecond)
	}
}

// now is the time as an application writes it into a row that it changes.
var now = map[source.Engine]string{source.MySQL: "NOW(6)", source.Postgres: "clock_timestamp()", source.SQLite: "strftime('%Y-%m-%d %H:%M:%f')"}

// change changes a row now and then, or deletes the oldest one, and returns how many.
func (w *writer) change(tx *sql.Tx) (gone int) {
	text := ""
	switch d := rand.IntN(10); {
	case len(w.own) == 0:
	case d < 2:
		text = fmt.Sprintf("UPDATE messages SET body = 'changed %d', updated_at = %s WHERE id = %d",
			rand.IntN(1e6), now[w.s.Engine], w.own[rand.IntN(len(w.own))])
	case d == 2 && w.s.Deletes:
		text, gone = fmt.Sprintf("DELETE FROM messages WHERE id = %d", w.own[0]), 1
	}
	if text == "" {
		return 0
	}
	if _, err := tx.ExecContext(w.ctx, text); err != nil && w.ctx.Err() == nil {
		w.t.Error(err)
	}
	return gone
}

func begin(ctx context.Context, t testing.TB, db *sql.DB) *sql.Tx {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil && ctx.Err() == nil {
		t.Error(err)
	}
	return tx
}

func commit(t testing.TB, tx *sql.Tx) {
	if err := tx.Commit(); err != nil {
		t.Error(err)
	}
}

// insert inserts a row and returns its key, as an application is told it.
func insert(ctx context.Context, t testing.TB, tx *sql.Tx, e source.Engine, body string) (id int64) {
	var err error
	if e == source.Postgres {
		err = tx.QueryRowContext(ctx, "INSERT INTO messages (room, body) VALUES (1, $1) RETURNING id", body).Scan(&id)
	} else {
		var r sql.Result
		if r, err = tx.ExecContext(ctx, "INSERT INTO messages (room, body) VALUES (1, ?)", body); err == nil {
			id, err = r.LastInsertId()
		}
	}
	if err != nil && ctx.Err() == nil {
		t.Error(err)
	}
	return id
}

// repeat runs a statement until it succeeds: connections of before a restart fail.
func repeat(ctx context.Context, t testing.TB, db *sql.DB, text string) {
	for {
		_, err := db.ExecContext(ctx, text)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Error(err)
			return
		}
		pause(20 * time.Millisecond)
	}
}

// pause is how long a writer thinks, or a caller waits before it tries again.
func pause(d time.Duration) { time.Sleep(d) }
