package store

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/roomtide/roomtide/chat"
)

// Delta returns what changed after rev, in pages of about limit items. A
// message that changed again while pages are read may come twice; its Rev
// says which is newer. An after beyond Room.Rev (a client of a restored
// backup), or up to Room.Floor (of a room that was deleted), is answered with Reset,
// Room.Rev and nothing else. NotFound.
func (r *Reader) Delta(ctx context.Context, room chat.RoomID, after chat.Rev, limit int) (chat.Delta, error) {
	limit = max(limit, 1)
	rows, err := ask(ctx, r, "delta", func(ctx context.Context) (*DeltaRows, error) {
		return r.driver.DeltaRows(ctx, room, after, limit+1)
	})
	if err != nil {
		return chat.Delta{}, err
	}
	return merge(rows, after, limit), nil
}

// merge makes a page of three sources, each in the order of its own rev and with
// up to limit+1 rows: messages created after the rev, messages changed after it,
// members changed after it. A source with more than limit rows is known up to the
// last of limit; the page is whole up to the smallest of these points, and what
// lies behind it is left for the next page.
//
// Rows are as they are now, so a message that was created inside the page and
// changed behind it is told with its later rev, and once more by the page that
// holds the change. It rests on what Writer promises: a rev belongs to one
// change, and the revs of creation grow with seq.
func merge(rows *DeltaRows, after chat.Rev, limit int) chat.Delta {
	d := chat.Delta{Room: rows.Room, After: after, Rev: rows.Room.Rev}
	if d.Reset = after > d.Room.Rev || after > 0 && after <= d.Room.Floor; d.Reset || after == d.Room.Rev {
		return d
	}
	d.Info = d.Room.InfoRev > after
	end := chat.Rev(math.MaxInt64)
	created := page(rows.Created, limit, &end, func(m *chat.Message) chat.Rev { return m.Created })
	changed := page(rows.Changed, limit, &end, func(m *chat.Message) chat.Rev { return m.Rev })
	members := page(rows.Members, limit, &end, func(m *chat.Member) chat.Rev { return m.Rev })
	if end < d.Room.Rev {
		d.Rev, d.More = end, true
	}
	created = slices.DeleteFunc(created, func(m chat.Message) bool { return m.Created > d.Rev })
	changed = slices.DeleteFunc(changed, func(m chat.Message) bool { return m.Rev > d.Rev || m.Created > after })
	d.Members = slices.DeleteFunc(members, func(m chat.Member) bool { return m.Rev > d.Rev })
	d.Messages = append(created, changed...)
	slices.SortFunc(d.Messages, func(a, b chat.Message) int { return cmp.Compare(a.Rev, b.Rev) })
	return d
}

// page cuts rows, one more than limit if there are more, to limit, and lowers
// end to the last rev kept if something was cut.
func page[T any](rows []T, limit int, end *chat.Rev, rev func(*T) chat.Rev) []T {
	if len(rows) <= limit {
		return rows
	}
	rows = rows[:limit]
	*end = min(*end, rev(&rows[limit-1]))
	return rows
}
