package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/store/sqldb"
)

func (s *Shard) Acquire(ctx context.Context, lane store.LaneID) (at store.Position, err error) {
	err = s.lane.with(ctx, func(c *pgx.Conn) error {
		return c.QueryRow(ctx, s.lane.sql(acquireLane), int64(lane)).Scan(&at.Epoch, &at.N)
	})
	return at, fail("acquire", s.lane.name, err)
}

// Commit sends one batch, which is one transaction: it has ended when the server is
// ready for the next one.
func (s *Shard) Commit(ctx context.Context, lane store.LaneID, at store.Position, ch *store.Changes) error {
	b := batch{e: s.lane}
	b.add(advanceLane, int64(lane), at.Epoch, at.N)
	updates := b.changes(ch)
	for _, keys := range [][]store.RowKey{ch.Delete, ch.Drop} {
		if err := b.drop(keys); err != nil {
			return fail("commit", s.lane.name, err)
		}
	}
	if ch.Put != nil {
		b.put(ch.Put)
	}
	b.outbox(lane, at.Next().N, ch)
	if ch.Taken != nil {
		b.add(s.lane.dialect.Put(&sqldb.Taken), sqldb.TakenValues(nil, lane, ch.Taken)...)
	}
	err := s.lane.with(ctx, func(c *pgx.Conn) error { return run(ctx, c, &b.Batch) })
	var r *refused
	if errors.As(err, &r) && sqlState(err) == divisionByZero {
		switch r.index {
		case 0:
			return &chat.Error{Kind: chat.Fenced, Op: "postgres.commit", Subject: s.lane.name,
				Err: fmt.Errorf("lane %d does not stand at %d of epoch %d", lane, at.N, at.Epoch)}
		case updates:
			err = errors.New("a message to update does not exist")
		}
	}
	return fail("commit", s.lane.name, err)
}

// batch is a transaction to be sent.
type batch struct {
	pgx.Batch
	e *engine
}

func (b *batch) add(text string, args ...any) { b.Queue(b.e.sql(text), escapeAll(args)...) }

// addRows adds a statement that takes rows with the columns, unless there are none.
func addRows[T any](b *batch, text string, columns []sqldb.Column, list []T, values func([]any, *T) []any, more ...any) {
	if len(list) == 0 {
		return
	}
	as := newArrays(columns).grow(len(list))
	row := make([]any, 0, len(columns))
	for i := range list {
		row = values(row[:0], &list[i])
		as.add(row)
	}
	b.add(text, append(as.args(), more...)...)
}

// putRows adds a statement that inserts or replaces rows.
func putRows[T any](b *batch, t *sqldb.Table, list []T, values func([]any, *T) []any) {
	addRows(b, putTexts[t], t.Columns, list, values)
}

// putTexts and removeTexts are the statements for each table that has them.
var putTexts, removeTexts = map[*sqldb.Table]string{}, map[*sqldb.Table]string{}

func init() {
	for _, t := range []*sqldb.Table{&sqldb.Rooms, &sqldb.Members, &sqldb.Messages, &sqldb.Online, &sqldb.UserRooms,
		&sqldb.Users, &sqldb.Access, &sqldb.Devices, &sqldb.PushSettings, &sqldb.PushJobs, &sqldb.PushOwners, &sqldb.UserNodes, &sqldb.Cursors} {
		putTexts[t], removeTexts[t] = put(t), remove(t)
	}
}

// changes adds what a lane has decided, and returns the index of the statement that
// updates messages, -1 if there is none.
func (b *batch) changes(ch *store.Changes) (updates int) {
	putRows(b, &sqldb.Rooms, ch.Rooms, sqldb.RoomValues)
	putRows(b, &sqldb.Members, ch.Members, sqldb.MemberValues)
	addRows(b, insertMessages, sqldb.Messages.Columns, ch.Insert, sqldb.MessageValues)
	updates = -1
	if len(ch.Update) > 0 {
		updates = b.Len()
		addRows(b, updateMessages, changed.Columns, ch.Update, changedValues, int64(len(ch.Update)))
	}
	b.reactions(ch.Reactions)
	addRows(b, unreact, messageKey, ch.Unreact, refValues)
	putRows(b, &sqldb.UserRooms, ch.UserRooms, sqldb.UserRoomValues)
	putRows(b, &sqldb.Users, ch.Users, sqldb.UserValues)
	putRows(b, &sqldb.Access, ch.Access, sqldb.AccessValues)
	b.putPush(ch.Devices, ch.PushSettings, ch.PushJobs, ch.PushOwners)
	putRows(b, &sqldb.UserNodes, ch.UserNodes, sqldb.UserNodesValues)
	b.online(ch.Online)
	for _, r := range ch.Removals {
		b.removal(r)
	}
	return updates
}

// putPush adds devices and what they are sent.
func (b *batch) putPush(devices []chat.Device, settings []chat.PushSettings, jobs []store.PushJob, owners []store.PushOwner) {
	putRows(b, &sqldb.Devices, devices, sqldb.DeviceValues)
	putRows(b, &sqldb.PushSettings, settings, sqldb.PushSettingsValues)
	putRows(b, &sqldb.PushJobs, jobs, sqldb.PushJobValues)
	putRows(b, &sqldb.PushOwners, owners, sqldb.PushOwnerValues)
}

func changedValues(row []any, m *chat.Message) []any {
	var data any
	if m.Data != nil {
		data = m.Data
	}
	return append(row, int64(m.Room.Slot()), string(m.Room), int64(m.Seq), int64(m.Rev), m.Text, data, m.Edited, sqldb.Flag(m.Deleted),
		store.JoinMentions(m.Mentions))
}

func refValues(row []any, r *store.MessageRef) []any {
	return append(row, int64(r.Room.Slot()), string(r.Room), int64(r.Seq))
}

func reactionKey(row []any, k *store.ReactionKey) []any {
	return append(row, int64(k.Room.Slot()), string(k.Room), int64(k.Seq), k.Emoji, string(k.User))
}

func (b *batch) reactions(list []store.ReactionChange) {
	var on []store.ReactionChange
	var off []store.ReactionKey
	for i := range list {
		if list[i].On {
			on = append(on, list[i])
		} else {
			off = append(off, list[i].ReactionKey)
		}
	}
	addRows(b, timeReactions, sqldb.Reactions.Columns, on, sqldb.ReactionValues)
	addRows(b, addReactions, sqldb.Reactions.Columns, on, sqldb.ReactionValues)
	addRows(b, deleteReactions, key(&sqldb.Reactions), off, reactionKey)
}

// online adds changes in their order, those of a kind that follow each other at once.
func (b *batch) online(list []store.OnlineChange) {
	kind := func(c *store.OnlineChange) int {
		switch {
		case c.On:
			return 0
		case c.Room != "":
			return 1
		}
		return 2
	}
	for len(list) > 0 {
		n := 1
		for n < len(list) && kind(&list[n]) == kind(&list[0]) {
			n++
		}
		switch kind(&list[0]) {
		case 0:
			addRows(b, setOnline, sqldb.Online.Columns, list[:n], sqldb.OnlineValues)
		case 1:
			addRows(b, removeTexts[&sqldb.Online], key(&sqldb.Online), list[:n], sqldb.OnlineValues)
		case 2:
			for i := range list[:n] {
				b.add(deleteNode, list[i].Node)
			}
		}
		list = list[n:]
	}
}

func (b *batch) removal(r *store.Removal) {
	addRows(b, removeTexts[&sqldb.Members], key(&sqldb.Members), r.Members, func(row []any, m *chat.Member) []any {
		return append(row, int64(r.Room.Slot()), string(r.Room), string(m.User))
	})
	addRows(b, deleteReactions, key(&sqldb.Reactions), r.Reactions, reactionKey)
	if r.To > 0 {
		b.add(deleteMessages, int64(r.Room.Slot()), string(r.Room), int64(r.From), int64(r.To))
	}
	addRows(b, removeTexts[&sqldb.Online], key(&sqldb.Online), r.Online, func(row []any, e *store.OnlineEntry) []any {
		return append(row, int64(r.Room.Slot()), string(r.Room), string(e.User), e.Node)
	})
}

// outbox adds the commit's entry and the cursors, and deletes what every consumer has
// passed.
func (b *batch) outbox(lane store.LaneID, position int64, ch *store.Changes) {
	if ch.Outbox != nil {
		b.add(insertOutbox, int64(lane), position, ch.Outbox)
	}
	var set, dropped []store.Cursor
	for _, c := range ch.Cursors {
		if c.Drop {
			dropped = append(dropped, c)
		} else {
			set = append(set, c)
		}
	}
	putRows(b, &sqldb.Cursors, set, func(row []any, c *store.Cursor) []any {
		return append(row, int64(lane), c.Consumer, c.Position)
	})
	addRows(b, removeTexts[&sqldb.Cursors], key(&sqldb.Cursors), dropped, func(row []any, c *store.Cursor) []any {
		return append(row, int64(lane), c.Consumer)
	})
	if len(ch.Cursors) > 0 {
		b.add(trimOutbox, int64(lane), int64(lane))
	}
}
