package follow

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/roomtide/roomtide/adopt/source"
)

// Poll asks for changes again and again. It needs the right to SELECT, and on MySQL and
// MariaDB works best with PROCESS, which shows it the open transactions.
//
// New rows are seen exactly, whatever the order of their commits. Changes and deletions
// are seen among the newest rows, and everywhere where a column such as updated_at
// tells them; a sweep finds the others.
type Poll struct {
	// Set once.
	c        *session
	trackers []*tracker    // of tables whose key is an integer, and of watched ones
	changes  []*changeScan // of tables with a column that tells changes
	newest   []*newest     // of tables whose key is an integer
	caughtUp atomic.Int64  // when the last round began that left nothing; unix nanoseconds

	// Owned by the caller of Next.
	pending    []source.Key // found, and not returned yet: a round may fail halfway
	round      time.Time    // when the last one began
	slow       time.Time    // when old gaps and the newest rows were last looked at
	unlistable bool         // transactions cannot be listed, which was logged
}

// slowly is the time between two looks at gaps that are no longer young, at the newest
// rows, and at open transactions. What MySQL says of these is up to a second old.
const (
	slowly   = time.Second
	ownAfter = 2 * time.Second
)

func openPoll(ctx context.Context, c *session, position string) (*Poll, error) {
	at, err := decodePositions(position)
	if err != nil {
		return nil, err
	}
	p := &Poll{c: c}
	if err := p.prepare(ctx, at); err != nil {
		return nil, err
	}
	p.caughtUp.Store(time.Now().UnixNano())
	return p, nil
}

// beginPoll is the position of every part of a poll.
func beginPoll(ctx context.Context, c *session) (string, error) {
	parts, err := pollParts(ctx, c)
	at := map[string]string{}
	for _, part := range parts {
		if err == nil {
			at[part.name()], err = part.begin(ctx, c)
		}
	}
	if err != nil {
		return "", err
	}
	return encodePositions(at), nil
}

func (p *Poll) prepare(ctx context.Context, at map[string]string) error {
	parts, err := pollParts(ctx, p.c)
	if err != nil {
		return err
	}
	for _, part := range parts {
		position, ok := at[part.name()]
		if !ok { // a table that is watched since now
			if position, err = part.begin(ctx, p.c); err != nil {
				return err
			}
		}
		if part.changed != nil {
			p.changes = append(p.changes, newChangeScan(p.c.db, part.table, part.value, *part.changed, position))
			continue
		}
		t, err := newTracker(p.c.db, part.table, part.key, part.value, position)
		if err != nil {
			return err
		}
		p.trackers = append(p.trackers, t)
		if !part.watched {
			p.newest = append(p.newest, &newest{db: p.c.db, table: part.table, key: part.key})
		}
	}
	return nil
}

func (p *Poll) Next(ctx context.Context) ([]source.Key, string, error) {
	for {
		if err := sleep(ctx, p.pause()); err != nil {
			return nil, "", fail("poll", p.c.Tables[0].Name, err)
		}
		began := time.Now()
		p.round = began
		if err := p.look(ctx); err != nil {
			return nil, "", err
		}
		if !p.behind() && !p.full() {
			p.caughtUp.Store(began.UnixNano())
		}
		if keys := p.pending; len(keys) > 0 {
			p.pending = nil
			return keys, p.position(), nil
		}
	}
}

// pause is the time until the next round, none while there is more to read.
func (p *Poll) pause() time.Duration {
	if p.behind() {
		return 0
	}
	return p.c.Interval - time.Since(p.round)
}

// behind reports whether the last round has left rows that were there.
func (p *Poll) behind() bool {
	for _, t := range p.trackers {
		if t.behind {
			return true
		}
	}
	for _, s := range p.changes {
		if s.behind {
			return true
		}
	}
	return false
}

// full reports whether a table is not read any further, as too many keys are missing. There
// is nothing more to read for that round, and there may be rows.
func (p *Poll) full() bool {
	return slices.ContainsFunc(p.trackers, func(t *tracker) bool { return t.gaps.full() })
}

// look is one round. Old gaps come first, with what could fill them: the list of open
// transactions is read before the rows, and what is still missing then stays missing.
func (p *Poll) look(ctx context.Context) error {
	if time.Since(p.slow) >= slowly {
		if err := p.lookSlowly(ctx); err != nil {
			return err
		}
		p.slow = time.Now()
	}
	for _, t := range p.trackers {
		keys, err := t.fill(ctx, t.gaps.younger(time.Now().Add(-slowly)))
		p.pending = append(p.pending, keys...)
		if err != nil {
			return err
		}
		keys, err = t.scan(ctx)
		p.pending = append(p.pending, keys...)
		if err != nil {
			return err
		}
	}
	for _, s := range p.changes {
		keys, err := s.scan(ctx)
		p.pending = append(p.pending, keys...)
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *Poll) lookSlowly(ctx context.Context) error {
	open, known, err := openTransactions(ctx, p.c.db, p.c.engine)
	if err != nil {
		return err
	}
	if !known && !p.unlistable {
		p.unlistable = true
		p.c.Log.Warn("follow: open transactions cannot be listed: a missing key is waited for as long as a transaction may last; GRANT PROCESS ends this",
			"wait", p.c.MaxAge)
	}
	for _, t := range p.trackers {
		keys, err := t.fill(ctx, t.gaps.list)
		p.pending = append(p.pending, keys...)
		if err != nil {
			return err
		}
		now := time.Now()
		t.gaps.settle(open, known, now, p.c.Settle, p.c.MaxAge)
		if known {
			t.gaps.own(open, now, ownAfter)
		}
	}
	for _, n := range p.newest {
		keys, err := n.scan(ctx)
		p.pending = append(p.pending, keys...)
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *Poll) position() string {
	at := map[string]string{}
	for _, t := range p.trackers {
		at[t.table.name] = t.position()
	}
	for _, s := range p.changes {
		at[s.table.name+changedPart] = s.position()
	}
	return encodePositions(at)
}

func (p *Poll) Lag() time.Duration {
	return max(0, time.Since(time.Unix(0, p.caughtUp.Load()))-p.c.Interval)
}

func (p *Poll) Close() error { return nil }

// sleep waits, and fails when the context ends before.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// part is one thing that a poll asks for: new rows of a table by its key, or changed
// ones by a column.
type part struct {
	table   *described
	key     column
	value   column // what is yielded
	watched bool
	changed *column // nil: new rows
}

// changedPart ends the name of a position among changed rows.
const changedPart = " changed"

func (p part) name() string {
	if p.changed != nil {
		return p.table.name + changedPart
	}
	return p.table.name
}

func (p part) begin(ctx context.Context, c *session) (string, error) {
	if p.changed != nil {
		return beginChangeScan(ctx, c.db, p.table, *p.changed)
	}
	return beginTracker(ctx, c.db, p.table, p.key)
}

// pollParts finds out how the configured tables can be polled. Of a watched table
// without an integer as its key nothing is seen.
func pollParts(ctx context.Context, c *session) (parts []part, err error) {
	all, err := c.describeAll(ctx)
	if err != nil {
		return nil, err
	}
	for _, f := range all {
		if f.key.prefix != "" {
			continue
		}
		if f.watched {
			for _, k := range f.table.columns {
				if k.primary && k.integer {
					parts = append(parts, part{table: f.table, key: k, value: f.key, watched: true})
				}
			}
			continue
		}
		changed, err := changedColumn(f.table, f.changed, f.key)
		if err != nil {
			return nil, err
		}
		if f.key.integer {
			parts = append(parts, part{table: f.table, key: f.key, value: f.key})
		} else if changed == nil {
			return nil, invalid("poll", f.table.name, "the keys of "+f.table.name+" have no order, so that polling cannot tell new rows: follow it by the binlog or triggers, "+
				"or add an index on a column that grows with each row, such as created_at or updated_at")
		}
		if changed != nil {
			parts = append(parts, part{table: f.table, key: f.key, value: f.key, changed: changed})
		}
	}
	return parts, nil
}
