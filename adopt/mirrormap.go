package adopt

import (
	"context"
	"database/sql"
	"encoding/hex"
	"strconv"

	"github.com/roomtide/roomtide/adopt/source"
)

// roomtide_map, in which each write of the mirror stands, and how the state learns of it.

// rowsToCopy are the next rows of the source, and which of them the mirror has made: these are in
// Roomtide, also where the state was lost.
func (m *Move) rowsToCopy(ctx context.Context, after source.Key) (rows []source.Row, made map[source.Key]bool, err error) {
	err = m.inTurn(func() error {
		if rows, err = m.cfg.Source.Rows(ctx, after, scanRows); err != nil || m.mirror == nil {
			return err
		}
		if err := m.mirror.settle(ctx); err != nil || m.mirror.written == 0 {
			return err
		}
		if err := m.cfg.State.indexRows(ctx); err != nil {
			return err
		}
		keys := make([]source.Key, len(rows))
		for i := range rows {
			keys[i] = rows[i].Key
		}
		known, err := m.cfg.State.known(ctx, keys)
		made = make(map[source.Key]bool, len(known))
		for k := range known {
			made[k] = true
		}
		return err
	})
	return rows, made, err
}

// settle has the state know of all writes there are. Without that a row that the mirror has
// written would be taken for one that was changed the old way.
func (r *mirror) settle(ctx context.Context) error {
	if !r.unsure {
		return nil
	}
	if r.written == 0 {
		text, err := r.move.cfg.State.fact(ctx, mirroredFact)
		if err == nil && text != "" {
			r.written, err = strconv.ParseInt(text, 10, 64)
		}
		if err != nil {
			return err
		}
	}
	for {
		page, last, err := r.since(ctx, r.written)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			r.unsure = false
			return nil
		}
		if err := r.learn(ctx, page, last); err != nil {
			return err
		}
	}
}

// mirroredFact is the number of the last write of the mirror that the state knows of.
const mirroredFact = "mirrored"

// learn notes writes in the state.
func (r *mirror) learn(ctx context.Context, all []known, last int64) error {
	err := r.move.cfg.State.write(ctx, func(tx *sql.Tx) error {
		for i := range all {
			if err := putKnown(ctx, tx, &all[i]); err != nil {
				return err
			}
		}
		return putFact(ctx, tx, mirroredFact, strconv.FormatInt(last, 10))
	})
	if err == nil {
		r.written = last
	}
	return err
}

// mapPage is how many rows of the map are read at once.
const mapPage = 500

// since reads writes behind a number, and returns the number of the last one of them.
func (r *mirror) since(ctx context.Context, after int64) (page []known, last int64, err error) {
	rows, err := r.db.QueryContext(ctx, r.engine.Bind("SELECT source_key, room, seq, author, hash, gone, ms, n FROM "+mapTable+" WHERE n > ? ORDER BY n LIMIT "+strconv.Itoa(mapPage)), after)
	err = each(rows, err, func() error {
		var k known
		var key, h string
		err := rows.Scan(&key, &k.Room, &k.Seq, &k.User, &h, &k.Deleted, &k.Time, &last)
		k.Key, k.Hash = source.Key(key), parseHash(h)
		page = append(page, k)
		return err
	})
	return page, last, r.failed("the map cannot be read", err)
}

// noteWrite notes a write in the map.
func (r *mirror) noteWrite(ctx context.Context, tx *sql.Tx, k *known, n int64) error {
	_, err := tx.ExecContext(ctx, r.engine.Bind("DELETE FROM "+mapTable+" WHERE source_key = ? OR room = ? AND seq = ?"), string(k.Key), k.Room, k.Seq)
	if err != nil {
		return err
	}
	gone := 0
	if k.Deleted {
		gone = 1
	}
	_, err = tx.ExecContext(ctx, r.engine.Bind("INSERT INTO "+mapTable+" (source_key, room, seq, author, hash, gone, ms, n) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"),
		string(k.Key), k.Room, k.Seq, k.User, k.Hash.String(), gone, k.Time, n)
	return err
}

func parseHash(s string) (h hash) {
	b, err := hex.DecodeString(s)
	if err == nil {
		copy(h[:], b)
	}
	return h
}
