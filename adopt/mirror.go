package adopt

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/roomtide/roomtide/adopt/source"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/crashpoint"
)

// The tables of the mirror in the database of the old chat.
const (
	mapTable  = "roomtide_map"
	feedTable = "roomtide_feed"

	feedWait   = 5 * time.Second
	feedEvents = 500 // that are asked for at once
)

// mirror writes what is said in Roomtide into the old table.
//
// Each write has a number, which is in the map with it, and in the state behind it. So it can
// be told which writes the state does not know of: those of a process that was killed, or
// whose commit was not answered.
type mirror struct {
	*inverse
	move   *Move
	db     *sql.DB
	engine source.Engine

	// Owned by the holder of the move's turn.
	written int64 // the number of the last write that the state knows of
	unsure  bool  // there may be later ones
}

func newMirror(m *Move, in *inverse) *mirror {
	in.key = m.cfg.Key
	return &mirror{inverse: in, move: m, db: m.cfg.Writer, engine: m.cfg.Engine, unsure: true}
}

// prepare makes the tables that are missing, and learns what earlier runs have written.
func (r *mirror) prepare(ctx context.Context) error {
	for _, text := range MirrorStatements(r.engine) {
		if _, err := r.db.ExecContext(ctx, text); err != nil {
			return r.failed("the tables of the mirror cannot be made: the user of mirror.dsn needs CREATE, or make them by hand (roomtide adopt check prints them)", err)
		}
	}
	return r.move.inTurn(func() error { return r.settle(ctx) })
}

// run mirrors until ctx ends. While the old database is down it waits: the node keeps what
// was not acknowledged.
func (r *mirror) run(ctx context.Context) error {
	next, begun := "", false
	for ctx.Err() == nil {
		err := r.move.again(ctx, func(ctx context.Context) (err error) {
			if !begun {
				if next, err = r.place(ctx); err != nil {
					return err
				}
				begun = true
			}
			next, err = r.step(ctx, next)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// place is where the feed has been mirrored up to.
func (r *mirror) place(ctx context.Context) (next string, err error) {
	err = r.db.QueryRowContext(ctx, r.engine.Bind("SELECT next FROM "+feedTable+" WHERE name = ?"), r.move.feed()).Scan(&next)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return next, r.failed("the place in the feed cannot be read", err)
}

// step mirrors one page of the feed.
func (r *mirror) step(ctx context.Context, next string) (string, error) {
	if err := r.repair(ctx); err != nil {
		return next, err
	}
	asked := time.Now()
	page, err := r.move.cfg.Node.readFeed(ctx, r.move.feed(), next, feedEvents, feedWait)
	switch chat.KindOf(err) {
	case chat.NotFound: // it was dropped, as it was not read for a week
		if err := r.move.cfg.Node.makeFeed(ctx, r.move.feed()); err != nil {
			return next, err
		}
		r.move.log.Error("adopt: the feed was dropped, as it was not read for a week: what was said meanwhile may be missing in the old table; roomtide adopt compare --repair finds it")
		return "", nil
	case chat.Conflict: // the place is from a copy of their database
		r.move.log.Error("adopt: the old database says that it has less than it had: it was restored; roomtide adopt compare --repair finds what is missing")
		return "", nil
	}
	if err != nil {
		return next, err
	}
	for i := range page.Events {
		e := &page.Events[i]
		if !strings.HasPrefix(e.Type, "message.") {
			continue
		}
		if err := r.message(ctx, e.Type, &e.Data); err != nil {
			return next, err
		}
	}
	if page.Next != next {
		if err := r.save(ctx, r.db, page.Next); err != nil {
			return next, err
		}
	}
	if len(page.Events) < feedEvents { // there were no more; waiting for a page without any would have no end while clients write
		r.move.count(func(b *Beat) { b.Drained = asked })
	}
	return page.Next, nil
}

// repair mirrors messages that a comparison has not found in the old table.
func (r *mirror) repair(ctx context.Context) error {
	type place struct {
		room string
		seq  int64
	}
	var missing []place
	db := r.move.cfg.State.db
	rows, err := db.QueryContext(ctx, "SELECT room, seq FROM unmirrored LIMIT 100")
	err = each(rows, err, func() error {
		var p place
		err := rows.Scan(&p.room, &p.seq)
		missing = append(missing, p)
		return err
	})
	if err != nil {
		return err
	}
	for _, p := range missing {
		page, _, err := r.move.cfg.Node.messages(ctx, p.room, p.seq-1)
		if err == nil && len(page) > 0 && page[0].Seq == p.seq {
			page[0].Room = p.room
			err = r.message(ctx, "message.created", &page[0])
		}
		if err == nil || chat.KindOf(err) == chat.NotFound { // the room was deleted
			_, err = db.ExecContext(ctx, "DELETE FROM unmirrored WHERE room = ? AND seq = ?", p.room, p.seq)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// execer is a pool or a transaction.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

func (r *mirror) save(ctx context.Context, db execer, next string) error {
	text := "INSERT INTO " + feedTable + " (name, next) VALUES (?, ?) ON DUPLICATE KEY UPDATE next = VALUES(next)"
	if r.engine != source.MySQL {
		text = "INSERT INTO " + feedTable + " (name, next) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET next = excluded.next"
	}
	_, err := db.ExecContext(ctx, r.engine.Bind(text), r.move.feed(), next)
	return r.failed("the place in the feed cannot be saved", err)
}

// message mirrors a message as it is now. What cannot be written is noted, and not tried
// again until it changes.
func (r *mirror) message(ctx context.Context, kind string, msg *message) error {
	return r.move.inTurn(func() error { return r.inTurn(ctx, kind, msg) })
}

func (r *mirror) inTurn(ctx context.Context, kind string, msg *message) error {
	if err := r.settle(ctx); err != nil {
		return err
	}
	imported := strings.HasPrefix(msg.Key, keyPrefix(r.move.name))
	copied, err := r.move.cfg.State.fact(ctx, copiedMessages) // before the row is looked for: the copy may end meanwhile
	if err != nil {
		return err
	}
	k, found, err := r.move.cfg.State.bySeq(ctx, msg.Room, msg.Seq)
	if err != nil {
		return err
	}
	switch {
	case found:
		err = r.change(ctx, &k, msg)
	case imported && (kind == "message.created" || copied != ""): // behind the copy, its row has become another message, or is gone
		return nil
	case imported: // the copy has it under way
		return &chat.Error{Kind: chat.Busy, Op: "adopt.mirror", Text: "a message was changed while it was imported"}
	case msg.Deleted:
		return nil
	default:
		err = r.insert(ctx, msg)
	}
	if err == nil || r.move.passes(err) {
		return err
	}
	r.move.log.Warn("adopt: a message cannot be written into the old table", "room", msg.Room, "seq", msg.Seq, "err", err)
	return r.note(ctx, "not_mirrored", msg, chat.Public(err).Text)
}

func (r *mirror) note(ctx context.Context, class string, msg *message, detail string) error {
	return r.move.cfg.State.write(ctx, func(tx *sql.Tx) error {
		return putProblem(ctx, tx, class, source.Key(msg.Room+" "+strconv.FormatInt(msg.Seq, 10)), "mirror", detail, class == "not_mirrored")
	})
}

// insert writes a message that has no row, and its row of the map with it.
func (r *mirror) insert(ctx context.Context, msg *message) error {
	if msg.Text == "" {
		return r.note(ctx, "not_mirrored", msg, "it has data and no text")
	}
	columns, values, args, err := r.rowOf(msg)
	if err != nil {
		return err
	}
	k := known{Room: msg.Room, User: msg.User, Hash: msg.hash(msg.Room), Seq: msg.Seq, Time: r.shown(msg.Time).UnixMilli()}
	return r.write(ctx, &k, func(tx *sql.Tx) (bool, error) {
		key, err := r.insertRow(ctx, tx, columns, values, args)
		k.Key = source.Key(key)
		return err == nil, err
	})
}

// write runs a transaction in the old database that makes the row of a message say what k
// says, unless do finds that it is not to. The state follows behind it.
func (r *mirror) write(ctx context.Context, k *known, do func(*sql.Tx) (bool, error)) error {
	r.unsure = true
	wrote := false
	err := r.within(ctx, func(tx *sql.Tx) (err error) {
		if wrote, err = do(tx); err == nil && wrote {
			err = r.noteWrite(ctx, tx, k, r.written+1)
		}
		return err
	})
	if err != nil {
		return err
	}
	if wrote {
		crashpoint.Hit("mirror-written")
		if err := r.learn(ctx, []known{*k}, r.written+1); err != nil {
			return err
		}
		r.move.count(func(b *Beat) { b.Mirrored++ })
	}
	r.unsure = false
	return nil
}

// within runs a transaction in the old database.
func (r *mirror) within(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := r.db.BeginTx(ctx, nil)
	if err != nil {
		return r.failed("the old database does not answer", err)
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it does nothing
	if err := do(tx); err != nil {
		return r.failed("the old table does not take it", err)
	}
	return r.failed("the old database does not answer", tx.Commit())
}

// change makes the row of a message say what the message says, if the row is as it was when
// both were the same. Otherwise it was changed the old way, and that counts.
func (r *mirror) change(ctx context.Context, k *known, msg *message) error {
	h := msg.hash(msg.Room)
	if h == k.Hash {
		return nil
	}
	then := *k
	then.Hash, then.Deleted = h, msg.Deleted
	return r.write(ctx, &then, func(tx *sql.Tx) (bool, error) {
		lock := " FOR UPDATE"
		if r.engine == source.SQLite {
			lock = ""
		}
		var one int
		err := tx.QueryRowContext(ctx, r.engine.Bind("SELECT 1 FROM "+r.engine.QuotePath(r.table)+" WHERE "+r.engine.QuotePath(r.key)+" = ?"+lock), string(k.Key)).Scan(&one)
		if errors.Is(err, sql.ErrNoRows) {
			return false, nil // it is gone, which the follower sees
		}
		if err != nil {
			return false, err
		}
		rows, err := r.move.cfg.Source.ByKeys(ctx, []source.Key{k.Key})
		if err != nil || len(rows) == 0 {
			return false, err
		}
		if now := itemOf(r.move.name, &rows[0]); now.hash() != k.Hash {
			return false, nil
		}
		return true, r.update(ctx, tx, k, msg)
	})
}

// failed is what an error of the old database means: to try again, or that what was said
// cannot be written.
func (r *mirror) failed(what string, err error) error {
	if err == nil {
		return nil
	}
	var own *chat.Error
	if errors.As(err, &own) {
		return err
	}
	if source.Passes(err) {
		return &chat.Error{Kind: chat.Unavailable, Op: "adopt.mirror", Text: what, Err: err}
	}
	return &chat.Error{Kind: chat.Invalid, Op: "adopt.mirror", Text: fmt.Sprintf("%s: %v", what, err), Err: err}
}
