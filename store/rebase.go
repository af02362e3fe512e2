package store

import (
	"context"
	"fmt"
	"time"

	"github.com/roomtide/roomtide/chat"
)

// A Raiser is a Driver whose database may have been put back to an earlier state, from
// a backup.
type Raiser interface {
	// RaiseRevs replaces every rev in the shard by Raised: those of rooms (Floor and
	// InfoRev too, by as much as Rev), members, messages, outbox entries, and users'
	// rooms but for rev 0, which is that of no member row. It raises the epochs of the
	// lanes to that number at least, so that no owner of the lost state can commit, and
	// forgets who was online, and what the lanes have taken (Taken): a queue that goes on
	// is read from its first entry, and one that is new has other numbers. Everything happens in one transaction, or what was done is
	// found again: the same call once more changes nothing. It may take as long as it
	// needs.
	RaiseRevs(ctx context.Context, from, to chat.Rev) error
}

// Raised is the rev in a deployment whose base rises from one to another: as far beyond
// the new one as it was beyond the old one. Smaller revs are those of rooms that were
// imported from a deployment of another base, and one that is raised already stays.
func Raised(rev, from, to chat.Rev) chat.Rev {
	switch {
	case rev >= to:
		return rev
	case rev < from:
		return rev + to
	}
	return rev + to - from
}

// revsPerSecond is how many changes of one room a second are allowed for, on average,
// between the moment of a backup and the next restore.
const revsPerSecond = 1 << 14

// baseEpoch is where BaseAt begins to count: 2026-01-01.
var baseEpoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// BaseAt is the Base of a deployment that is put back to an earlier state at that time.
// It grows faster than the revs of any room, so that it is beyond all that were
// handed out before, in whatever history; and it stays below 2^53, up to which
// JavaScript counts, for 17,000 years.
func BaseAt(now time.Time) chat.Rev {
	return chat.Rev(now.Sub(baseEpoch)/time.Second) * revsPerSecond
}

// Rebase makes it safe to go on from an earlier state of the databases, which a backup
// held: it moves the revs of all rooms up by so much that every rev which a client can
// have from the lost history, and from before, is behind the beginning of its room
// (Room.Floor). Such a client is told to start over (chat.Delta.Reset), instead of
// getting changes of the new history after those of the lost one. Rooms that the backup
// does not know, and that are made again, begin beyond too.
//
// The node is stopped, and the Store is used for nothing else and opened again
// afterwards. What was interrupted is finished by the next Rebase, with the base of the
// first, and until then no lane is opened (Settled). Invalid if a shard cannot do it, or
// the base is not beyond that of before.
func (s *Store) Rebase(ctx context.Context, base chat.Rev) error {
	m := *s.slots.Load()
	if m.Rising != 0 {
		base = m.Rising
	}
	if base <= m.Base {
		return &chat.Error{Kind: chat.Invalid, Op: "store.rebase", Subject: "control",
			Text: fmt.Sprintf("the revs of this deployment begin at %d already: is the clock right?", m.Base)}
	}
	raisers, err := s.raisers()
	if err != nil {
		return err
	}
	if m.Rising == 0 {
		m.Version, m.Rising = m.Version+1, base
		if err := s.Control.SaveMap(ctx, &m); err != nil {
			return err
		}
	}
	for i, r := range raisers {
		err := s.shards[i].unbounded(ctx, "raise_revs", func(ctx context.Context) error { return r.RaiseRevs(ctx, m.Base, base) })
		if err != nil {
			return err
		}
	}
	m.Version, m.Base, m.Rising = m.Version+1, base, 0
	return s.Control.SaveMap(ctx, &m)
}

func (s *Store) raisers() ([]Raiser, error) {
	out := make([]Raiser, len(s.shards))
	for i, d := range s.shards {
		r, ok := d.driver.(Raiser)
		if !ok {
			return nil, &chat.Error{Kind: chat.Invalid, Op: "store.rebase", Subject: d.name,
				Text: fmt.Sprintf("the database of the shard %s cannot go on from an earlier state", d.name)}
		}
		out[i] = r
	}
	return out, nil
}

// Settled is an error while a Rebase was begun and not finished: nothing may be written.
func (s *Store) Settled() error {
	if s.slots.Load().Rising == 0 {
		return nil
	}
	return &chat.Error{Kind: chat.Unavailable, Op: "store.open", Subject: "control",
		Text: "putting these databases back was interrupted: run \"roomtide restore --mark\" again first"}
}
