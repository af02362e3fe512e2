package adopt

import (
	"context"
	"database/sql"
	"time"

	"github.com/roomtide/roomtide/adopt/follow"
	"github.com/roomtide/roomtide/adopt/source"
	"github.com/roomtide/roomtide/internal/crashpoint"
	"github.com/roomtide/roomtide/store"
)

const (
	applyKeys = 500             // rows that are read and imported at once
	sawNone   = 2 * time.Second // without a word of the follower: everything is there, as far as it sees
)

// follow keeps the node in step with the source.
func (m *Move) follow(ctx context.Context) error {
	m.count(func(b *Beat) { b.Phase = "follow" })
	for {
		err := m.again(ctx, m.followOnce)
		if err != nil {
			return err
		}
	}
}

// followOnce follows until an error, from the position that is stored.
func (m *Move) followOnce(ctx context.Context) error {
	if err := m.putAuthors(ctx, false); err != nil { // those of rows behind which it was cut off
		return err
	}
	position, err := m.cfg.State.fact(ctx, "position")
	if err != nil {
		return err
	}
	cfg := m.cfg.Follow
	cfg.Known = m.cfg.State
	f, err := follow.Open(ctx, cfg, position)
	if err != nil {
		return err
	}
	defer f.Close()
	ctx, cancel := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		m.watchLag(ctx, f)
	}()
	defer func() { cancel(); <-watched }()
	for {
		if err := m.applyDirty(ctx); err != nil {
			return err
		}
		keys, at, err := m.next(ctx, f)
		if err != nil {
			return err
		}
		seen := time.Now().Add(-f.Lag())
		if err := m.apply(ctx, keys); err != nil {
			return err
		}
		crashpoint.Hit("adopt-applied")
		if at != "" {
			if err := m.cfg.State.setFact(ctx, "position", at); err != nil {
				return err
			}
		}
		m.trouble(nil)
		m.count(func(b *Beat) { b.CaughtUp = seen })
	}
}

// next is Follower.Next, which ends without keys after a while, so that what a comparison
// has named is applied.
func (m *Move) next(ctx context.Context, f follow.Follower) ([]source.Key, string, error) {
	wait, cancel := context.WithTimeout(ctx, sawNone)
	defer cancel()
	keys, at, err := f.Next(wait)
	if err != nil && wait.Err() != nil && ctx.Err() == nil {
		return nil, "", nil
	}
	return keys, at, err
}

// watchLag notes how far behind the follower is.
func (m *Move) watchLag(ctx context.Context, f follow.Follower) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			lag := f.Lag()
			m.count(func(b *Beat) { b.Lag = lag.Seconds() })
		}
	}
}

// applyDirty applies the rows that a comparison has named.
func (m *Move) applyDirty(ctx context.Context) error {
	keys, err := m.cfg.State.takeDirty(ctx, applyKeys)
	if err != nil || len(keys) == 0 {
		return err
	}
	if err := m.apply(ctx, keys); err != nil {
		return err
	}
	return m.cfg.State.dropDirty(ctx, keys)
}

// apply brings the node in step with the rows, and with the read marks that are named.
// Doing so again changes nothing.
func (m *Move) apply(ctx context.Context, keys []source.Key) error {
	keys, reads := source.SplitReads(keys)
	if err := m.applyMessages(ctx, keys); err != nil || len(reads) == 0 {
		return err
	}
	marks, err := m.cfg.Source.ReadsOf(ctx, reads)
	for len(marks) > 0 && err == nil {
		n := min(len(marks), applyKeys)
		err = m.applyMarks(ctx, marks[:n])
		marks = marks[n:]
	}
	return err
}

func (m *Move) applyMessages(ctx context.Context, keys []source.Key) error {
	keys, err := m.applyNew(ctx, keys)
	if err != nil {
		return err
	}
	for len(keys) > 0 {
		n := min(len(keys), applyKeys)
		if err := m.applySome(ctx, keys[:n]); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}

// step is what is to be done for one row.
type step struct {
	key  source.Key
	item item  // what the node is told
	then known // what is known afterwards
	new  bool
	old  time.Time // of the row

	members []memberItem // that the room has by a new row
}

func (m *Move) applySome(ctx context.Context, keys []source.Key) error {
	return m.inTurn(func() error { return m.applyInTurn(ctx, keys) })
}

func (m *Move) applyInTurn(ctx context.Context, keys []source.Key) error {
	if err := m.settle(ctx); err != nil {
		return err
	}
	rows, err := m.cfg.Source.ByKeys(ctx, keys)
	if err != nil {
		return err
	}
	byTime(rows)
	had, err := m.cfg.State.known(ctx, keys)
	if err != nil {
		return err
	}
	steps, refused := m.steps(keys, rows, had)
	if err := m.resolveReplies(ctx, rows, steps); err != nil {
		return err
	}
	err = m.cfg.State.write(ctx, func(tx *sql.Tx) error {
		for i := range refused {
			if err := putProblems(ctx, tx, refused[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return m.take(ctx, steps)
}

// steps compares rows with what is known of them.
func (m *Move) steps(keys []source.Key, rows []source.Row, had map[source.Key]known) (steps []step, refused []*source.Row) {
	there := map[source.Key]bool{}
	for i := range rows {
		r := &rows[i]
		there[r.Key] = true
		if len(r.Problems) > 0 {
			refused = append(refused, r)
		}
		if r.Refused() {
			continue
		}
		it := itemOf(m.name, r)
		k, ok := had[r.Key]
		h := it.hash()
		switch {
		case ok && k.Hash == h:
			continue
		case ok && (k.Room != it.Room || k.User != it.User): // it is another message now
			steps = append(steps, gone(&k))
			ok = false
		}
		s := step{key: r.Key, item: it, then: known{r.Key, it.Room, it.User, k.Seq, h, it.Deleted, timeOf(r)}, new: !ok, old: r.Time}
		if s.new {
			s.members = m.membersBy(r)
		} else {
			s.item = item{Room: it.Room, Seq: k.Seq, User: it.User, Text: it.Text, Data: it.Data, Edited: it.Edited, Deleted: it.Deleted}
		}
		steps = append(steps, s)
	}
	for _, key := range keys {
		if k, ok := had[key]; ok && !k.Deleted && !there[key] {
			steps = append(steps, gone(&k))
		}
	}
	return steps, refused
}

// gone makes a tombstone of a message whose row is not there any more.
func gone(k *known) step {
	then := *k
	then.Deleted = true
	then.Hash = hashOf(k.Room, k.User, "", nil, true)
	return step{key: k.Key, item: item{Room: k.Room, Seq: k.Seq, Deleted: true}, then: then}
}

// resolveReplies fills in which messages are answered.
func (m *Move) resolveReplies(ctx context.Context, rows []source.Row, steps []step) error {
	reply := map[source.Key]source.Key{}
	var parents []source.Key
	for i := range rows {
		if rows[i].Reply != "" {
			reply[rows[i].Key] = rows[i].Reply
			parents = append(parents, rows[i].Reply)
		}
	}
	found, err := m.cfg.State.known(ctx, parents)
	if err != nil {
		return err
	}
	for i := range steps {
		s := &steps[i]
		if k, ok := found[reply[s.key]]; ok && s.new && k.Room == s.item.Room {
			s.item.ReplyTo = k.Seq
		}
	}
	return nil
}

// take tells the node, and notes it. What is old comes as history, in a request of its own.
// Deletions come first: the state has one message of each row, and of a row that has become
// another message it is to be the new one. If that does not come to be, the row still differs.
func (m *Move) take(ctx context.Context, steps []step) error {
	var deleted, old, now []step
	for _, s := range steps {
		switch {
		case !s.new && s.then.Deleted:
			deleted = append(deleted, s)
		case s.new && !s.old.IsZero() && time.Since(s.old) > past:
			old = append(old, s)
		default:
			now = append(now, s)
		}
	}
	if err := m.takePart(ctx, deleted, false); err != nil {
		return err
	}
	if err := m.takePart(ctx, old, true); err != nil {
		return err
	}
	return m.takePart(ctx, now, false)
}

func (m *Move) takePart(ctx context.Context, steps []step, history bool) error {
	if len(steps) == 0 {
		return nil
	}
	p := &part{History: history, Raise: true}
	for i := range steps {
		p.Messages = append(p.Messages, steps[i].item)
	}
	t, err := m.importPart(ctx, p)
	if err != nil {
		return err
	}
	crashpoint.Hit("adopt-imported")
	members, err := m.putSteps(ctx, steps, t)
	if err != nil {
		return err
	}
	late := m.switched(ctx)
	m.count(func(b *Beat) {
		for i := range steps {
			if r := t.Messages[i]; r != nil && r.Created {
				b.Imported++
				if late {
					b.Late++
				}
			}
		}
	})
	if late {
		m.log.Warn("adopt: rows still come the old way", "rows", len(steps), "first", steps[0].key)
	}
	return m.newMembers(ctx, members)
}

// putSteps stores what was imported in the state, and returns the members by new messages. They
// are stored with it: a row that is known is no reason any more to make them members.
func (m *Move) putSteps(ctx context.Context, steps []step, t *told) (members []memberItem, err error) {
	err = m.cfg.State.write(ctx, func(tx *sql.Tx) error {
		for i := range steps {
			s, r := &steps[i], t.Messages[i]
			if r == nil {
				continue
			}
			s.then.Seq = r.Seq
			if err := putKnown(ctx, tx, &s.then); err != nil {
				return err
			}
			members = append(members, s.members...)
		}
		return putMembers(ctx, tx, members)
	})
	return members, err
}

// switched reports whether Roomtide is in force by now.
func (m *Move) switched(ctx context.Context) bool {
	if m.State().State == string(store.AdoptionSwitching) { // it may be over by now
		if now, err := m.cfg.Node.Adoption(ctx); err == nil {
			m.setState(now)
		}
	}
	return m.State().State == string(store.AdoptionSwitched)
}

// newMembers puts users into their rooms who were not there yet.
func (m *Move) newMembers(ctx context.Context, all []memberItem) error {
	p := &part{}
	for _, i := range all {
		var n int
		err := m.cfg.State.db.QueryRowContext(ctx, "SELECT count(*) FROM members WHERE room = ? AND user = ? AND done = 1", i.Room, i.User).Scan(&n)
		if err != nil {
			return err
		}
		if n == 0 {
			p.Members = append(p.Members, i)
		}
	}
	if len(p.Members) == 0 {
		return nil
	}
	if _, err := m.importPart(ctx, p); err != nil {
		return err
	}
	return m.cfg.State.write(ctx, func(tx *sql.Tx) error { return membersDone(ctx, tx, p.Members) })
}

func timeOf(r *source.Row) int64 {
	if r.Time.IsZero() {
		return time.Now().UnixMilli()
	}
	return r.Time.UnixMilli()
}
