package adopt

import (
	"context"

	"github.com/roomtide/roomtide/adopt/source"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// room compares the messages of a room with what is known of their rows.
func (c *comparison) room(ctx context.Context, room string) error {
	after := int64(0)
	for more := true; more; {
		var page []message
		var err error
		page, more, err = c.Node.messages(ctx, room, after)
		if chat.KindOf(err) == chat.NotFound {
			if ended, err := c.inForce(ctx); err != nil || ended { // Roomtide has deleted it
				return err
			}
			break
		}
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		c.out.Messages += int64(len(page))
		last := page[len(page)-1].Seq
		if err := c.compareMessages(ctx, room, page, after, last, c.note); err != nil {
			return err
		}
		after = last
	}
	return c.behind(ctx, room, after)
}

// inForce reports whether Roomtide is the chat in force.
func (c *comparison) inForce(ctx context.Context) (bool, error) {
	a, err := c.Node.Adoption(ctx)
	return a.State == string(store.AdoptionSwitched), err
}

// behind looks at the rows that are known behind the last message of a room: a node that was
// restored from a backup has lost their messages.
func (c *comparison) behind(ctx context.Context, room string, after int64) error {
	last, err := c.State.last(ctx, "SELECT seq FROM rows WHERE room = ? ORDER BY seq DESC LIMIT 1", room)
	for ; err == nil && after < last; after += applyKeys {
		err = c.compareMessages(ctx, room, nil, after, after+applyKeys, c.note)
	}
	return err
}

// compareMessages compares all messages of a room with the numbers after to to with what is
// known of their rows, and with whether these are there.
func (c *comparison) compareMessages(ctx context.Context, room string, page []message, after, to int64, note func(Finding)) error {
	rows, err := c.knownIn(ctx, room, after, to)
	if err != nil {
		return err
	}
	said := make(map[int64]bool, len(page))
	for i := range page {
		said[page[i].Seq] = true
		if f, ok := compareMessage(room, &page[i], rows); !ok {
			note(f)
		}
	}
	held := make(map[source.Key]known, len(rows))
	for seq, k := range rows {
		switch {
		case k.Deleted:
		case said[seq]:
			held[k.Key] = k
		default:
			note(Finding{Key: k.Key, Room: room, Seq: seq, User: k.User, What: NotImported, Old: says(k.Hash, false)})
		}
	}
	return c.compareHeld(ctx, held, note)
}

// compareHeld looks for rows that are known, and are not in the source any more.
func (c *comparison) compareHeld(ctx context.Context, held map[source.Key]known, note func(Finding)) error {
	if len(held) == 0 {
		return nil
	}
	keys := make([]source.Key, 0, len(held))
	for key := range held {
		keys = append(keys, key)
	}
	rows, err := c.src.ByKeys(ctx, keys)
	if err != nil {
		return err
	}
	for i := range rows {
		delete(held, rows[i].Key)
	}
	for _, k := range held {
		note(Finding{Key: k.Key, Room: k.Room, Seq: k.Seq, User: k.User, What: RowGone, New: says(k.Hash, false)})
	}
	return nil
}

// compareMessage compares a message with what is known of its row.
func compareMessage(room string, m *message, rows map[int64]known) (Finding, bool) {
	k, ok := rows[m.Seq]
	switch {
	case !ok:
		return Finding{Room: room, Seq: m.Seq, User: m.User, What: NotMirrored, New: says(m.hash(room), m.Deleted)}, m.Deleted || m.Text == ""
	case k.Hash != m.hash(room):
		return Finding{Key: k.Key, Room: room, Seq: m.Seq, User: m.User, What: Differs, Old: says(k.Hash, k.Deleted), New: says(m.hash(room), m.Deleted)}, false
	}
	return Finding{}, true
}

// says tells what a side says without saying it.
func says(h hash, deleted bool) string {
	if deleted {
		return "it is deleted"
	}
	return "text " + h.String()[:8]
}

func (c *comparison) knownIn(ctx context.Context, room string, after, to int64) (map[int64]known, error) {
	all := map[int64]known{}
	rows, err := c.State.db.QueryContext(ctx, "SELECT key, room, user, seq, hash, deleted, time FROM rows WHERE room = ? AND seq > ? AND seq <= ?", room, after, to)
	err = each(rows, err, func() error {
		k, err := scanKnown(rows)
		all[k.Seq] = k
		return err
	})
	return all, err
}
