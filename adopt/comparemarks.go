package adopt

import (
	"context"
	"fmt"

	"github.com/roomtide/roomtide/adopt/source"
)

// readMarks compares the read marks of the source with those of Roomtide.
func (c *comparison) readMarks(ctx context.Context) error {
	c.marks = map[roomUser]Finding{}
	return c.eachMark(ctx, func(p roomUser, f Finding) { put(c, c.marks, p, f) })
}

// eachMark calls note for every mark that differs.
func (c *comparison) eachMark(ctx context.Context, note func(roomUser, Finding)) error {
	c.out.Marks = 0
	sections, _ := invertReads(c.Mapping)
	return pages(ctx, c.src.Reads, func(r *source.ReadRow) source.Key { return r.Key }, func(rows []source.ReadRow) error {
		c.out.Marks += int64(len(rows))
		all, err := c.State.readItems(ctx, rows)
		if err != nil {
			return err
		}
		asked := make([]readItem, len(all))
		for i := range all {
			asked[i] = readItem{Room: all[i].Room, User: all[i].User}
		}
		stand, err := c.Node.marks(ctx, asked)
		if err != nil {
			return err
		}
		had, err := c.State.marks(ctx, all)
		if err != nil {
			return err
		}
		for i := range all {
			p := roomUser{all[i].Room, all[i].User}
			was, seen := had[p]
			if !seen {
				was = stand[i]
			}
			what, err := c.mark(ctx, p, all[i].Seq, stand[i], was, len(sections) > 0)
			if err != nil {
				return err
			}
			if what != "" {
				note(p, Finding{Room: p.room, User: p.user, What: what, Old: fmt.Sprint("message ", all[i].Seq), New: fmt.Sprint("message ", stand[i])})
			}
		}
		return nil
	})
}

// mark compares one mark, and returns what differs: was is up to where both sides had it. It
// is the furthest of several of one user in a room that counts.
func (c *comparison) mark(ctx context.Context, p roomUser, old, now, was int64, back bool) (what string, err error) {
	switch {
	case now < 0 || old == now:
	case old > now:
		return MarkAhead, nil
	case back && now > was && old < now:
		k, ok, err := c.State.rowBefore(ctx, p.room, now)
		if err == nil && ok && k.Seq > max(old, was) {
			return MarkBehind, nil
		}
		return "", err
	}
	return "", nil
}

// recheckMarks looks at all marks again, and keeps those that were found before. Others
// take no place from these.
func (c *comparison) recheckMarks(ctx context.Context) error {
	if len(c.marks) == 0 {
		return nil
	}
	still := map[roomUser]Finding{}
	err := c.eachMark(ctx, func(p roomUser, f Finding) {
		if _, was := c.marks[p]; was {
			still[p] = f
		}
	})
	if err == nil {
		c.marks = still
	}
	return err
}
