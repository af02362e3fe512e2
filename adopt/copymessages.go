package adopt

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/roomtide/roomtide/adopt/source"
	"github.com/roomtide/roomtide/change"
)

// messagesBytes is how much of messages a request of the copy has, nearly.
const messagesBytes = 1 << 20

// copyMessages imports what was sorted. Each part is imported in order, room after room:
// members who are online are told of each room's history at once.
func (m *Move) copyMessages(ctx context.Context) error {
	work, ctx := errgroup.WithContext(ctx)
	for n := range copyParts {
		work.Go(func() error { return m.copyPart(ctx, n) })
	}
	return work.Wait()
}

func (m *Move) copyPart(ctx context.Context, n int) error {
	fact := "copied part " + strconv.Itoa(n)
	var after place
	text, err := m.cfg.State.fact(ctx, fact)
	if err == nil && text != "" {
		err = json.Unmarshal([]byte(text), &after)
	}
	if err != nil {
		return err
	}
	rows, err := m.cfg.State.merge(ctx, n, after)
	if err != nil {
		return err
	}
	for {
		b, err := rows.batch(ctx)
		if err != nil || len(b) == 0 {
			return err
		}
		t, err := m.importBatch(ctx, b)
		if err != nil {
			return err
		}
		err = m.cfg.State.write(ctx, func(tx *sql.Tx) error {
			if err := putCopied(ctx, tx, b, t); err != nil {
				return err
			}
			if err := rows.drop(ctx, tx); err != nil {
				return err
			}
			at, err := json.Marshal(b[len(b)-1].place)
			if err != nil {
				return err
			}
			return putFact(ctx, tx, fact, string(at))
		})
		if err != nil {
			return err
		}
		m.count(func(beat *Beat) { beat.Imported += int64(len(b)) })
	}
}

// batch is what comes next.
func (m *merged) batch(ctx context.Context) (all []staged, err error) {
	size := 0
	for s := m.peek(); s != nil && len(all) < change.MaxImported; s = m.peek() {
		if size += len(s.Item); len(all) > 0 && size > messagesBytes {
			break
		}
		all = append(all, *s)
		if err := m.take(ctx); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// importBatch sends messages to the node. One that answers another of the batch, whose
// number is not known yet, names its place.
func (m *Move) importBatch(ctx context.Context, all []staged) (*told, error) {
	body := append(make([]byte, 0, messagesBytes/4), `{"history":true,"raise":true,"messages":[`...)
	places := map[source.Key]int{}
	for i := range all {
		s := &all[i]
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, s.Item...)
		at, here := places[s.Reply]
		if here = here && all[at].Room == s.Room; here {
			body = strconv.AppendInt(append(body[:len(body)-1], `,"reply_item":`...), int64(at), 10)
			body = append(body, '}')
		}
		if places[s.Key] = i; here || s.Reply == "" {
			continue
		}
		seq, err := m.cfg.State.seqOf(ctx, s.Room, s.Reply)
		if err != nil {
			return nil, err
		}
		if seq > 0 {
			body = strconv.AppendInt(append(body[:len(body)-1], `,"reply_to":`...), seq, 10)
			body = append(body, '}')
		}
	}
	return m.cfg.Node.importBody(ctx, append(body, "]}"...), len(all))
}

// putCopied notes what the messages of the rows are.
func putCopied(ctx context.Context, tx *sql.Tx, all []staged, t *told) error {
	put, err := tx.PrepareContext(ctx, putRow)
	if err != nil {
		return err
	}
	defer put.Close()
	for i := range all {
		s, r := &all[i], t.Messages[i]
		if r == nil {
			continue
		}
		if _, err := put.ExecContext(ctx, stateKey(s.Key), s.Room, s.User, r.Seq, s.Hash[:], s.Deleted, s.Time/1000); err != nil {
			return err
		}
	}
	return putRefused(ctx, tx, t, func(_ string, i int) string { return string(all[i].Key) })
}

// seqOf is the number of the message that a row of a room is, 0 if none is known.
func (s *State) seqOf(ctx context.Context, room string, key source.Key) (seq int64, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT seq FROM rows WHERE room = ? AND key = ?", room, stateKey(key)).Scan(&seq)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return seq, err
}

// indexRows makes the index by which rows are found by their keys alone. It is made behind
// the copy, which has them in the order of their rooms.
func (s *State) indexRows(ctx context.Context) error {
	_, err := s.db.ExecContext(ctx, "CREATE UNIQUE INDEX IF NOT EXISTS rows_by_key ON rows (key)")
	return err
}
