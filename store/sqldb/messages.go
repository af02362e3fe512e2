package sqldb

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// messages is the statement that reads messages of one room r, whose key is before the
// arguments of the condition.
func (d *Dialect) messages(where string) string {
	if d.Lateral {
		return "SELECT x.* FROM " + oneRoom + " CROSS JOIN LATERAL (SELECT " + messageColumns +
			" FROM {messages} m WHERE m.slot = r.slot AND m.room_id = r.room_id AND " + where + ") x"
	}
	return "SELECT " + messageColumns + " FROM {messages} m JOIN {rooms} r ON r.slot = m.slot AND r.room_id = m.room_id " +
		"WHERE m.slot = ? AND m.room_id = ? AND " + where
}

// oneRoom is the row r of a room.
const oneRoom = "(SELECT * FROM {rooms} WHERE slot = ? AND room_id = ?) r"

// run is a list of messages that is read while there is space.
type run struct {
	d     *Dialect
	room  chat.RoomID
	space store.Space // by their size without reactions
	ms    []chat.Message
	more  bool // one did not fit, with all behind it
}

// question reads the messages of the room for which the condition holds.
func (r *run) question(where string, args ...any) Question {
	space := r.space
	return Question{Text: r.d.messages(where), Args: append(roomArgs(r.room), args...), Row: func(s Scanner) error {
		if r.more {
			return nil
		}
		var m chat.Message
		if err := scanMessage(s, &m); err != nil {
			return err
		}
		if m.Room != r.room {
			return errMixed
		}
		if !space.Take(m.Size()) {
			r.more = true
			return nil
		}
		r.ms = append(r.ms, m)
		return nil
	}}
}

// reactions are the rows of {reaction_counts} under some messages of one room.
type reactions map[chat.Seq][]reacted

type reacted struct {
	chat.Reaction
	first int64
}

// under is the statement that reads the reactions c of one room r, whose key is before
// the arguments of the condition.
func (d *Dialect) under(where string) string {
	if d.Lateral {
		return "SELECT x.* FROM " + oneRoom + d.lateralReactions(where)
	}
	return "SELECT " + d.reacted() + " FROM {reaction_counts} c JOIN {rooms} r ON r.slot = c.slot AND r.room_id = c.room_id " +
		"WHERE c.slot = ? AND c.room_id = ? AND " + where
}

// underChanged is the statement that reads the reactions under the messages of a room
// that have changed after a rev, up to a number of them.
func (d *Dialect) underChanged(room chat.RoomID, after, limit int64) (string, []any) {
	const changed = " FROM {messages} WHERE slot = ? AND room_id = ? AND changed_rev > ? ORDER BY changed_rev LIMIT ?)"
	args := append(roomArgs(room), after, limit)
	if d.Lateral {
		return "SELECT x.* FROM (SELECT slot, room_id, seq" + changed + " r" + d.lateralReactions("c.seq = r.seq"), args
	}
	return "SELECT " + d.reacted() + " FROM {reaction_counts} c JOIN (SELECT seq" + changed + " x ON x.seq = c.seq " +
		"WHERE c.slot = ? AND c.room_id = ?", append(args, roomArgs(room)...)
}

func (d *Dialect) lateralReactions(where string) string {
	return " CROSS JOIN LATERAL (SELECT " + d.reacted() + " FROM {reaction_counts} c WHERE c.slot = r.slot AND c.room_id = r.room_id AND " +
		where + " OFFSET 0) x"
}

// reacted are the columns of a row of {reaction_counts} c.
func (d *Dialect) reacted() string {
	if d.Reacted != "" {
		return "c.room_id, c.seq, c.emoji, c.n, " + d.Reacted
	}
	return "c.room_id, c.seq, c.emoji, c.n, c.first_ts, c.first_users"
}

// question reads reactions of one room. A line end is in no id.
func (rs reactions) question(room chat.RoomID, text string, args ...any) Question {
	return Question{
		Text: text,
		Args: args,
		Row: func(s Scanner) error {
			var (
				of    chat.RoomID
				seq   chat.Seq
				n     int64
				users string
				row   reacted
			)
			if err := s.Scan((*string)(&of), (*int64)(&seq), &row.Emoji, &n, &row.first, &users); err != nil {
				return err
			}
			if of != room {
				return errMixed
			}
			row.Count = int(n)
			for u := range strings.SplitSeq(users, "\n") {
				row.Users = append(row.Users, chat.UserID(u))
			}
			rs[seq] = append(rs[seq], row)
			return nil
		},
	}
}

// fill fills the reactions of messages, and returns how many of these fit into space,
// in the order they are in. A tombstone has no reactions, whatever was under the
// message.
func (rs reactions) fill(ms []chat.Message, space store.Space) int {
	for i := range ms {
		if !ms[i].Deleted {
			ms[i].Reactions = inOrder(rs[ms[i].Seq])
		}
		if !space.Take(ms[i].Size()) {
			return i
		}
	}
	return len(ms)
}

// inOrder lists emoji by their first use.
func inOrder(list []reacted) []chat.Reaction {
	if len(list) == 0 {
		return nil
	}
	slices.SortFunc(list, func(a, b reacted) int { return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.Emoji, b.Emoji)) })
	out := make([]chat.Reaction, len(list))
	for i := range list {
		out[i] = list[i].Reaction
	}
	return out
}

// Messages asks for the room, the messages and their reactions at once: messages have
// numbers without a hole, so that those of the page are known before it is read.
func (r *Reader) Messages(ctx context.Context, room chat.RoomID, p store.Page) (ms []chat.Message, more bool, err error) {
	items := max(p.Limit, 0)
	limit := int64(items) + 1
	page := run{d: r.d, room: room, space: store.Space{Items: items, Bytes: p.Bytes}}
	found, under := false, reactions{}
	qs := r.pickRooms([]chat.RoomID{room}, func(got *chat.Room) { found = !got.Deleted })
	if p.After != 0 {
		after := int64(max(p.After, 0))
		high := after + min(limit, math.MaxInt64-after)
		qs = append(qs, page.question("m.seq > ? ORDER BY m.seq LIMIT ?", after, limit),
			under.question(room, r.d.under("c.seq > ? AND c.seq <= ?"), append(roomArgs(room), after, high)...))
	} else {
		before := int64(p.Before)
		if before <= 0 {
			before = math.MaxInt64 // the newest
		}
		qs = append(qs, page.question("m.seq < ? ORDER BY m.seq DESC LIMIT ?", before, limit),
			under.question(room, r.d.under("c.seq < ? AND c.seq > LEAST(?, r.last_seq) - ?"), append(roomArgs(room), before, before-1, limit)...))
	}
	if err := r.db.Ask(ctx, qs...); err != nil || !found {
		return nil, false, err
	}
	fit := under.fill(page.ms, page.space)
	ms, more = page.ms[:fit], page.more || fit < len(page.ms)
	if p.After == 0 {
		slices.Reverse(ms)
	}
	return ms, more, nil
}
