package adopt

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"

	"github.com/roomtide/roomtide/adopt/mapping"
	"github.com/roomtide/roomtide/adopt/source"
	"github.com/roomtide/roomtide/chat"
)

// inverseRead is a section of read marks read backwards.
type inverseRead struct {
	table, room, user, upto string
	clock                   // of upto, if byTime
	byTime                  bool
	rows                    bool // rows may be made: they say nothing but the mark
}

// invertReads reads the sections of read marks backwards, and says why some cannot be.
func invertReads(m *mapping.Mapping) (all []*inverseRead, why []string) {
	if len(m.Reads) == 0 || m.Mirror.Off {
		return nil, nil
	}
	zone, err := time.LoadLocation(m.Source.TZ)
	if err != nil {
		return nil, []string{err.Error()}
	}
	for i := range m.Reads {
		r := &m.Reads[i]
		in := &inverseRead{table: r.From.Table(), clock: clock{r.Unit, zone}, byTime: r.By == "time"}
		reason := ""
		for _, c := range []struct {
			name, expr string
			to         *string
		}{{"room", r.Room, &in.room}, {"user", r.User, &in.user}, {"upto", r.Upto, &in.upto}} {
			var plain bool
			if *c.to, plain = r.Column(c.expr); !plain {
				reason = "read." + c.name + " is not a column of it"
			}
		}
		switch {
		case in.table == "" || r.From.Glob() || r.Join != "":
			reason = "they are not in one table of their own"
		case r.Where != "" && !noMark(r):
			reason = "read.where chooses rows by more than that there is a mark"
		}
		if reason != "" {
			why = append(why, "read marks that are set in Roomtide are not written into the old chat ("+r.From.From+"): "+reason)
			continue
		}
		in.rows = len(m.Reads) == 1 && onlyReads(m, in.table)
		all = append(all, in)
	}
	return all, why
}

// noMark reports whether a section leaves out nothing but rows without a mark.
func noMark(r *mapping.Read) bool {
	g := isNotNull.FindStringSubmatch(strings.TrimSpace(r.Where))
	if g == nil {
		return false
	}
	left, ok := r.Column(g[1])
	right, ok2 := r.Column(r.Upto)
	return ok && ok2 && left == right
}

// onlyReads reports whether no other section reads the table.
func onlyReads(m *mapping.Mapping, table string) bool {
	return !slices.ContainsFunc(m.Sections(), func(s mapping.Section) bool { return s.Name != "read" && s.From.Table() == table })
}

// marker writes read marks into tables of the old chat.
type marker struct {
	*mirror
	sections []*inverseRead
}

// forward moves a mark of the old tables from one message to another, or to the last one before
// that has a row, and returns which one it is at. What a table does not take is noted, and
// not tried again until the mark moves.
func (w *marker) forward(ctx context.Context, p roomUser, was, now int64) (int64, error) {
	k, ok, err := w.move.cfg.State.rowBefore(ctx, p.room, now)
	if err != nil || !ok || k.Seq <= was {
		return was, err
	}
	for _, in := range w.sections {
		upto := stateKey(k.Key)
		if in.byTime {
			upto = in.at(time.UnixMilli(k.Time))
		}
		err := w.within(ctx, func(tx *sql.Tx) error { return w.set(ctx, tx, in, p, upto) })
		if err == nil {
			w.move.count(func(b *Beat) { b.Marked++ })
			continue
		}
		if w.move.passes(err) {
			return was, err
		}
		w.move.log.Warn("adopt: a read mark cannot be written into the old table", "room", p.room, "user", p.user, "err", err)
		err = w.move.cfg.State.write(ctx, func(tx *sql.Tx) error {
			return putProblem(ctx, tx, "mark_not_mirrored", source.Key(p.room+" "+p.user), "read", chat.Public(err).Text, true)
		})
		if err != nil {
			return was, err
		}
	}
	return k.Seq, nil
}

// set moves the mark of a row forward, or makes the row.
func (w *marker) set(ctx context.Context, tx *sql.Tx, in *inverseRead, p roomUser, upto any) error {
	q := w.engine.QuotePath
	where := " WHERE " + q(in.room) + " = ? AND " + q(in.user) + " = ?"
	var n int
	if err := tx.QueryRowContext(ctx, w.engine.Bind("SELECT COUNT(*) FROM "+q(in.table)+where), p.room, p.user).Scan(&n); err != nil {
		return err
	}
	if n > 0 {
		_, err := tx.ExecContext(ctx, w.engine.Bind("UPDATE "+q(in.table)+" SET "+q(in.upto)+" = ?"+where+" AND ("+q(in.upto)+" IS NULL OR "+q(in.upto)+" < ?)"), upto, p.room, p.user, upto)
		return err
	}
	if !in.rows {
		return nil
	}
	columns := strings.Join([]string{q(in.room), q(in.user), q(in.upto)}, ", ")
	_, err := tx.ExecContext(ctx, w.engine.Bind("INSERT INTO "+q(in.table)+" ("+columns+") VALUES (?, ?, ?)"), p.room, p.user, upto)
	return err
}
