package adopt

import (
	"context"
	"database/sql"
	"time"

	"github.com/roomtide/roomtide/adopt/source"
)

// Read marks. They only go forward, on both sides: so applying one again changes nothing,
// no mark goes round in circles, and nothing has to be remembered of where one came from.
//
// Old to new: rows of a table that the follower sees are read as it names them. Beside that
// all marks of the source are gone through, again and again, with pauses: that finds what is
// computed, such as the newest message that was seen. The node answers where each mark
// stands, so that the same round finds what goes the other way.
//
// New to old: a mark that has moved since it was first seen, on either side, is written
// where the section can be read backwards. One that Roomtide gave a new member is not.

const (
	marksEvery = 2 * time.Second // between two rounds, at least
	marksShare = 9               // pauses are so many times as long as the work
)

// copyReads moves the read marks that there are when the copy ends.
func (m *Move) copyReads(ctx context.Context) error {
	return m.eachMarks(ctx, func(context.Context, time.Time) error { return nil })
}

// followMarks keeps read marks in step until ctx ends.
func (m *Move) followMarks(ctx context.Context) error {
	for {
		err := m.again(ctx, func(ctx context.Context) error { return m.eachMarks(ctx, rest) })
		if err != nil {
			return err
		}
		if err := pause(ctx, marksEvery); err != nil {
			return err
		}
	}
}

// rest leaves the source to others for longer than the work since then took.
func rest(ctx context.Context, began time.Time) error {
	return pause(ctx, marksShare*time.Since(began))
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// eachMarks goes through all marks once, and calls between after each page.
func (m *Move) eachMarks(ctx context.Context, between func(context.Context, time.Time) error) error {
	began := time.Now()
	err := pages(ctx, m.cfg.Source.Reads, func(r *source.ReadRow) source.Key { return r.Key }, func(rows []source.ReadRow) error {
		err := m.applyMarks(ctx, rows)
		if err == nil {
			err = between(ctx, began)
		}
		began = time.Now()
		return err
	})
	if err != nil || m.marks == nil {
		return err
	}
	return m.eachMember(ctx, func(all []readItem) error {
		err := m.stepMarks(ctx, all)
		if err == nil {
			err = between(ctx, began)
		}
		began = time.Now()
		return err
	})
}

// eachMember goes through those who may have a mark in Roomtide alone.
func (m *Move) eachMember(ctx context.Context, do func([]readItem) error) error {
	if len(m.cfg.Mapping.Members) > 0 {
		return pages(ctx, m.cfg.Source.Members, func(r *source.MemberRow) source.Key { return r.Key }, func(rows []source.MemberRow) error {
			var all []readItem
			for i := range rows {
				if !rows[i].Left {
					all = append(all, readItem{Room: rows[i].Room, User: rows[i].User})
				}
			}
			return do(all)
		})
	}
	for after := (roomUser{}); ; {
		page, err := m.cfg.State.authors(ctx, after, partItems)
		if err != nil || len(page) == 0 {
			return err
		}
		var all []readItem
		for _, p := range page {
			all = append(all, readItem{Room: p.room, User: p.user})
		}
		if err := do(all); err != nil {
			return err
		}
		after = page[len(page)-1]
	}
}

// applyMarks brings both sides in step with marks of the source.
func (m *Move) applyMarks(ctx context.Context, rows []source.ReadRow) error {
	all, err := m.cfg.State.readItems(ctx, rows)
	if err != nil {
		return err
	}
	return m.stepMarks(ctx, all)
}

// readItems are the marks by the numbers of messages. One whose message is not in Roomtide
// is at the last one before it.
func (s *State) readItems(ctx context.Context, rows []source.ReadRow) (all []readItem, err error) {
	var keys []source.Key
	for i := range rows {
		if rows[i].Upto != "" {
			keys = append(keys, rows[i].Upto)
		}
	}
	known, err := s.known(ctx, keys)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		r := &rows[i]
		seq := int64(0)
		switch k, ok := known[r.Upto]; {
		case ok && k.Room == r.Room:
			seq = k.Seq
		case r.Upto != "":
			seq, err = s.lastUpTo(ctx, r.Room, r.Upto)
		default:
			seq, err = s.lastUntil(ctx, r.Room, r.Time)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, readItem{r.Room, r.User, seq})
	}
	return all, nil
}

// stepMarks moves the node's marks forward, and those of the old tables where the node's
// have moved. A number of 0 is a mark that the old tables may not have.
func (m *Move) stepMarks(ctx context.Context, all []readItem) error {
	if len(all) == 0 {
		return nil
	}
	stand, err := m.cfg.Node.marks(ctx, all)
	if err != nil {
		return err
	}
	had, err := m.cfg.State.marks(ctx, all)
	if err != nil {
		return err
	}
	then := map[roomUser]int64{}
	for i := range all {
		p := roomUser{all[i].Room, all[i].User}
		was, seen := had[p]
		switch now := stand[i]; {
		case now < 0 || seen && now <= was:
		case !seen || now == all[i].Seq || m.marks == nil:
			then[p] = now
		default:
			at, err := m.marks.forward(ctx, p, max(was, all[i].Seq), now)
			if err != nil {
				return err
			}
			then[p] = at
		}
	}
	if len(then) == 0 {
		return nil
	}
	return m.cfg.State.write(ctx, func(tx *sql.Tx) error {
		for p, seq := range then {
			if err := putMark(ctx, tx, p, seq); err != nil {
				return err
			}
		}
		return nil
	})
}
