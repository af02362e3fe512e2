package sqlite

import (
	"cmp"
	"database/sql"
	"slices"
	"strconv"
	"strings"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// reactionsOf are the emoji under a run of messages, with the first users that chose
// each and when the first did. What it costs is bounded by the different emoji and
// chat.ReactionUsers, however many reactions there are. A line end is in no id.
var reactionsOf = `SELECT seq, emoji, count,
	(SELECT min(ts) FROM reactions r INDEXED BY reactions_order
		WHERE r.slot = c.slot AND r.room_id = c.room_id AND r.seq = c.seq AND r.emoji = c.emoji),
	(SELECT group_concat(user_id, char(10)) FROM (SELECT user_id FROM reactions r INDEXED BY reactions_order
		WHERE r.slot = c.slot AND r.room_id = c.room_id AND r.seq = c.seq AND r.emoji = c.emoji
		ORDER BY ts, user_id LIMIT ` + strconv.Itoa(chat.ReactionUsers) + `))
	FROM reaction_counts c WHERE slot = ? AND room_id = ? AND seq BETWEEN ? AND ? ORDER BY seq`

// emojiRow is a row of reactionsOf.
type emojiRow struct {
	chat.Reaction
	first int64
}

// fillReactions fills the reactions of messages whose seqs have no hole between
// them, and returns how many of them fit into space, in the order they are in:
// ascending for st, or descending. A tombstone has no reactions, whatever was under
// the message.
func fillReactions(st *sql.Stmt, ms []chat.Message, space store.Space) (fit int, err error) {
	if len(ms) == 0 {
		return 0, nil
	}
	low, high := ms[0].Seq, ms[len(ms)-1].Seq
	rows, err := st.Query(ms[0].Room.Slot(), ms[0].Room, min(low, high), max(low, high))
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	next := rows.Next()
	var seq int64
	var row emojiRow
	scan := func() error {
		var users string
		row = emojiRow{}
		err := rows.Scan(&seq, &row.Emoji, &row.Count, &row.first, &users)
		for u := range strings.SplitSeq(users, "\n") {
			row.Users = append(row.Users, chat.UserID(u))
		}
		return err
	}
	if next {
		if err := scan(); err != nil {
			return 0, err
		}
	}
	for i := range ms {
		var list []emojiRow
		for next && chat.Seq(seq) == ms[i].Seq {
			list = append(list, row)
			if next = rows.Next(); next {
				if err := scan(); err != nil {
					return 0, err
				}
			}
		}
		if !ms[i].Deleted {
			ms[i].Reactions = inOrder(list)
		}
		if !space.Take(ms[i].Size()) {
			return i, rows.Close()
		}
	}
	return len(ms), rows.Err()
}

// inOrder lists emoji by their first use.
func inOrder(list []emojiRow) []chat.Reaction {
	if len(list) == 0 {
		return nil
	}
	slices.SortFunc(list, func(a, b emojiRow) int { return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.Emoji, b.Emoji)) })
	out := make([]chat.Reaction, len(list))
	for i := range list {
		out[i] = list[i].Reaction
	}
	return out
}
