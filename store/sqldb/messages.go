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

// messages is the beginning of a statement that reads messages of one room r.
const messages = "SELECT " + messageColumns + " FROM {messages} m JOIN {rooms} r ON r.slot = m.slot AND r.room_id = m.room_id " +
	"WHERE m.slot = ? AND m.room_id = ? AND "

// run is a list of messages that is read while there is space.
type run struct {
	room  chat.RoomID
	space store.Space // by their size without reactions
	ms    []chat.Message
	more  bool // one did not fit, with all behind it
}

// question reads the messages of the room for which the condition holds.
func (r *run) question(where string, args ...any) Question {
	space := r.space
	return Question{Text: messages + where, Args: append(roomArgs(r.room), args...), Row: func(s Scanner) error {
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

// The reactions under messages of a room r, and under the messages that have changed
// after a rev.
const (
	underSome    = "JOIN {rooms} r ON r.slot = c.slot AND r.room_id = c.room_id WHERE c.slot = ? AND c.room_id = ? AND "
	underChanged = "JOIN (SELECT seq FROM {messages} WHERE slot = ? AND room_id = ? AND changed_rev > ? ORDER BY changed_rev LIMIT ?) x " +
		"ON x.seq = c.seq WHERE c.slot = ? AND c.room_id = ?"
)

// question reads reactions of one room. A line end is in no id.
func (rs reactions) question(d *Dialect, room chat.RoomID, which string, args ...any) Question {
	columns := d.Reacted
	if columns == "" {
		columns = "c.first_ts, c.first_users"
	}
	return Question{
		Text: "SELECT c.room_id, c.seq, c.emoji, c.n, " + columns + " FROM {reaction_counts} c " + which,
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
	page := run{room: room, space: store.Space{Items: items, Bytes: p.Bytes}}
	found, under := false, reactions{}
	qs := r.pickRooms([]chat.RoomID{room}, func(got *chat.Room) { found = !got.Deleted })
	if p.After != 0 {
		after := int64(max(p.After, 0))
		high := after + min(limit, math.MaxInt64-after)
		qs = append(qs, page.question("m.seq > ? ORDER BY m.seq LIMIT ?", after, limit),
			under.question(r.d, room, underSome+"c.seq > ? AND c.seq <= ?", append(roomArgs(room), after, high)...))
	} else {
		before := int64(p.Before)
		if before <= 0 {
			before = math.MaxInt64 // the newest
		}
		qs = append(qs, page.question("m.seq < ? ORDER BY m.seq DESC LIMIT ?", before, limit),
			under.question(r.d, room, underSome+"c.seq < ? AND c.seq > LEAST(?, r.last_seq) - ?", append(roomArgs(room), before, before-1, limit)...))
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
