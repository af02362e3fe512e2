package adopt

import (
	"context"
	"fmt"

	"github.com/roomtide/roomtide/adopt/source"
)

// readMarks compares the read marks of the source with those of Roomtide.
func (c *comparison) readMarks(ctx context.Context) error {
	c.out.Marks, c.marks = 0, map[roomUser]Finding{}
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
			if err := c.mark(ctx, p, all[i].Seq, stand[i], was, len(sections) > 0); err != nil {
				return err
			}
		}
		return nil
	})
}

// mark compares one mark: was is up to where both sides had it. It is the furthest of several
// of one user in a room that counts.
func (c *comparison) mark(ctx context.Context, p roomUser, old, now, was int64, back bool) error {
	what := ""
	switch {
	case now < 0 || old == now:
	case old > now:
		what = MarkAhead
	case back && now > was && old < now:
		k, ok, err := c.State.rowBefore(ctx, p.room, now)
		if err != nil {
			return err
		}
		if ok && k.Seq > max(old, was) {
			what = MarkBehind
		}
	}
	if what != "" && len(c.marks) < mostFindings {
		c.marks[p] = Finding{Room: p.room, User: p.user, What: what, Old: fmt.Sprint("message ", old), New: fmt.Sprint("message ", now)}
	}
	return nil
}

// recheckMarks looks at all marks again, and keeps those that were found before.
func (c *comparison) recheckMarks(ctx context.Context) error {
	before := c.marks
	if len(before) == 0 {
		return nil
	}
	if err := c.readMarks(ctx); err != nil {
		return err
	}
	for p := range c.marks {
		if _, was := before[p]; !was {
			delete(c.marks, p)
		}
	}
	return nil
}
