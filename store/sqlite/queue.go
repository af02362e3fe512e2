package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// entryBody is the stored form of store.Entry; its position is a column. The
// names are short because every commit writes one.
type entryBody struct {
	Rooms   []spanBody   `json:"r,omitempty"`
	Members []memberBody `json:"m,omitempty"`
}

type spanBody struct {
	Room chat.RoomID `json:"r"`
	From chat.Rev    `json:"f"`
	To   chat.Rev    `json:"t"`
	Seq  chat.Seq    `json:"s,omitempty"`
}

type memberBody struct {
	Room  chat.RoomID `json:"r"`
	User  chat.UserID `json:"u"`
	Name  string      `json:"n,omitempty"`
	Role  chat.Role   `json:"o,omitempty"`
	Rev   chat.Rev    `json:"v"`
	Since int64       `json:"s,omitempty"`
}

func encodeEntry(e *store.Entry) ([]byte, error) {
	b := entryBody{Rooms: make([]spanBody, len(e.Rooms)), Members: make([]memberBody, len(e.Members))}
	for i, r := range e.Rooms {
		b.Rooms[i] = spanBody(r)
	}
	for i, m := range e.Members {
		b.Members[i] = memberBody(m)
	}
	return json.Marshal(b)
}

func decodeEntry(raw []byte, e *store.Entry) error {
	var b entryBody
	if err := json.Unmarshal(raw, &b); err != nil {
		return fmt.Errorf("outbox entry %d: %w", e.Position, err)
	}
	for _, r := range b.Rooms {
		e.Rooms = append(e.Rooms, store.RoomSpan(r))
	}
	for _, m := range b.Members {
		e.Members = append(e.Members, chat.Member(m))
	}
	return nil
}

// putQueue writes the commit's outbox entry and the cursors, and deletes what
// every consumer has passed. An outbox that nobody has a cursor in is kept.
func (s *Shard) putQueue(tx *sql.Tx, lane store.LaneID, position int64, ch *store.Changes) error {
	if ch.Outbox != nil {
		if ch.Outbox.Position != position {
			return fmt.Errorf("the outbox entry says position %d, the commit moves to %d", ch.Outbox.Position, position)
		}
		body, err := encodeEntry(ch.Outbox)
		if err != nil {
			return err
		}
		if _, err := tx.Stmt(s.put.outbox).Exec(lane, position, body); err != nil {
			return err
		}
	}
	err := each(tx, s.put.cursor, ch.Cursors, func(st *sql.Stmt, c *store.Cursor) error {
		_, err := st.Exec(lane, c.Consumer, c.Position)
		return err
	})
	if err != nil || len(ch.Cursors) == 0 {
		return err
	}
	_, err = tx.Stmt(s.put.trim).Exec(lane)
	return err
}

func (s *Shard) Outbox(ctx context.Context, lane store.LaneID, after int64, limit int) ([]store.Entry, error) {
	rows, err := s.list.outbox.QueryContext(ctx, lane, after, max(limit, 0))
	if err != nil {
		return nil, s.db.fail("outbox", err)
	}
	es, err := collect(rows, 0, func(e *store.Entry) error {
		var raw sql.RawBytes
		if err := rows.Scan(&e.Position, &raw); err != nil {
			return err
		}
		return decodeEntry(raw, e)
	})
	return es, s.db.fail("outbox", err)
}

func (s *Shard) Cursor(ctx context.Context, lane store.LaneID, consumer string) (position int64, err error) {
	err = s.list.cursor.QueryRowContext(ctx, lane, consumer).Scan(&position)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return position, s.db.fail("cursor", err)
}

// memberPage is how many rows EachMember reads at a time.
const memberPage = 500

// EachMember reads page after page. No transaction is open while fn runs: one
// that lasts would keep the write-ahead log from being used again, and fn may
// take its time, or ask this shard something itself.
func (s *Shard) EachMember(ctx context.Context, fn func(chat.Member) error) error {
	var last chat.Member
	slot := int64(-1)
	for {
		rows, err := s.list.everyMember.QueryContext(ctx, slot, last.Room, last.User, memberPage)
		if err != nil {
			return s.db.fail("each_member", err)
		}
		page, err := collect(rows, memberPage, func(m *chat.Member) error {
			return rows.Scan(&slot, (*string)(&m.Room), (*string)(&m.User), &m.Name, &m.Role, (*int64)(&m.Rev), &m.Since)
		})
		if err != nil {
			return s.db.fail("each_member", err)
		}
		for _, m := range page {
			if err := fn(m); err != nil {
				return err
			}
		}
		if len(page) < memberPage {
			return nil
		}
		last = page[len(page)-1]
	}
}
