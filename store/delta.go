package store

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/roomtide/roomtide/chat"
)

// Delta returns what changed after rev, in pages of about limit items and about
// bytes (chat.Message.Size and chat.Member.Size; 0: no bound), at least one item. A
// message that changed again while pages are read may come twice; its Rev says
// which is newer. An after beyond Room.Rev (a client of a restored backup), or up to
// Room.Floor (of a room that was deleted), is answered with Reset, Room.Rev and
// nothing else. NotFound.
func (r *Reader) Delta(ctx context.Context, room chat.RoomID, after chat.Rev, limit, bytes int) (chat.Delta, error) {
	space := Space{Items: max(limit, 1), Bytes: bytes}
	rows, err := ask(ctx, r, "delta", func(ctx context.Context) (*DeltaRows, error) {
		return r.driver.DeltaRows(ctx, room, after, space)
	})
	if err != nil {
		return chat.Delta{}, err
	}
	return merge(rows, after, bytes), nil
}

// merge makes a page of three sources, each in the order of its own rev: messages
// created after the rev, messages changed after it, members changed after it. A
// source that has more is known up to its last row; the page is whole up to the
// smallest of these points, or to where its bytes are spent, and what lies behind
// it is left for the next page.
//
// Rows are as they are now, so a message that was created inside the page and
// changed behind it is told with its later rev, and once more by the page that
// holds the change. It rests on what Writer promises: a rev belongs to one
// change, and the revs of creation grow with seq.
func merge(rows *DeltaRows, after chat.Rev, bytes int) chat.Delta {
	d := chat.Delta{Room: rows.Room, After: after, Rev: rows.Room.Rev}
	if d.Reset = after > d.Room.Rev || after > 0 && after <= d.Room.Floor; d.Reset || after == d.Room.Rev {
		return d
	}
	d.Info = d.Room.InfoRev > after
	if end := min(rows.end(), rows.spent(after, bytes)); end < d.Room.Rev {
		d.Rev, d.More = end, true
	}
	created := slices.DeleteFunc(rows.Created, func(m chat.Message) bool { return m.Created > d.Rev })
	changed := slices.DeleteFunc(rows.Changed, func(m chat.Message) bool { return m.Rev > d.Rev || m.Created > after })
	d.Members = slices.DeleteFunc(rows.Members, func(m chat.Member) bool { return m.Rev > d.Rev })
	d.Messages = append(created, changed...)
	slices.SortFunc(d.Messages, func(a, b chat.Message) int { return cmp.Compare(a.Rev, b.Rev) })
	return d
}

// end is the rev up to which every source is known.
func (rows *DeltaRows) end() chat.Rev {
	end := chat.Rev(math.MaxInt64)
	if rows.MoreCreated {
		end = min(end, rows.Created[len(rows.Created)-1].Created)
	}
	if rows.MoreChanged {
		end = min(end, rows.Changed[len(rows.Changed)-1].Rev)
	}
	if rows.MoreMembers {
		end = min(end, rows.Members[len(rows.Members)-1].Rev)
	}
	return end
}

// spent is the rev of the last row for which so many bytes have space, all sources
// taken together.
func (rows *DeltaRows) spent(after chat.Rev, bytes int) chat.Rev {
	type row struct {
		rev  chat.Rev
		size int
	}
	var all []row
	total := 0
	add := func(rev chat.Rev, size int) {
		all = append(all, row{rev, size})
		total += size
	}
	for i := range rows.Created {
		add(rows.Created[i].Created, rows.Created[i].Size())
	}
	for i := range rows.Changed {
		if m := &rows.Changed[i]; m.Created <= after {
			add(m.Rev, m.Size())
		}
	}
	for i := range rows.Members {
		add(rows.Members[i].Rev, rows.Members[i].Size())
	}
	end := chat.Rev(math.MaxInt64)
	if bytes <= 0 || total <= bytes {
		return end
	}
	slices.SortFunc(all, func(a, b row) int { return cmp.Compare(a.rev, b.rev) })
	space := Space{Items: len(all), Bytes: bytes}
	for i, r := range all {
		if !space.Take(r.size) {
			return all[i-1].rev
		}
	}
	return end
}
