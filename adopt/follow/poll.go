package follow

import (
	"context"
	"database/sql"
	"sync/atomic"
	"time"

	"github.com/roomtide/roomtide/adopt/source"
	"github.com/roomtide/roomtide/chat"
)

// Poll asks for changes again and again. It needs the right to SELECT, and on MySQL and
// MariaDB works best with PROCESS, which shows it the open transactions.
//
// New rows are seen exactly, whatever the order of their commits. Changes and deletions
// are seen among the newest rows, and everywhere where a column such as updated_at
// tells them; a sweep finds the others.
type Poll struct {
	// Set once.
	c        *Config
	trackers []*tracker // of the table, if its key is an integer, and of watched ones
	changes  *changeScan
	newest   *newest
	caughtUp atomic.Int64 // when the last round began that left nothing; unix nanoseconds

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

func openPoll(ctx context.Context, c *Config, position string) (*Poll, error) {
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
func beginPoll(ctx context.Context, c *Config) (string, error) {
	parts, err := pollParts(ctx, c)
	if err != nil {
		return "", err
	}
	at := map[string]string{}
	for _, part := range parts.tracked {
		if at[part.table.name], err = beginTracker(ctx, c.DB, part.table, part.key); err != nil {
			return "", err
		}
	}
	if parts.changed != nil {
		if at[changedPart], err = beginChangeScan(ctx, c.DB, parts.table, *parts.changed); err != nil {
			return "", err
		}
	}
	return encodePositions(at), nil
}

// changedPart is the name of the position among changed rows. No table is called so.
const changedPart = "changed rows"

func (p *Poll) prepare(ctx context.Context, at map[string]string) error {
	parts, err := pollParts(ctx, p.c)
	if err != nil {
		return err
	}
	for _, part := range parts.tracked {
		position, ok := at[part.table.name]
		if !ok { // a table that is watched since now
			if position, err = beginTracker(ctx, p.c.DB, part.table, part.key); err != nil {
				return err
			}
		}
		t, err := newTracker(p.c.DB, part.table, part.key, part.value, position)
		if err != nil {
			return err
		}
		p.trackers = append(p.trackers, t)
	}
	if parts.changed != nil {
		position, ok := at[changedPart]
		if !ok {
			if position, err = beginChangeScan(ctx, p.c.DB, parts.table, *parts.changed); err != nil {
				return err
			}
		}
		p.changes = newChangeScan(p.c.DB, parts.table, parts.key, *parts.changed, position)
	}
	if parts.key.integer {
		p.newest = &newest{db: p.c.DB, table: parts.table, key: parts.key}
	}
	return nil
}

func (p *Poll) Next(ctx context.Context) ([]source.Key, string, error) {
	for {
		if err := sleep(ctx, p.pause()); err != nil {
			return nil, "", fail("poll", p.c.Table.Name, err)
		}
		began := time.Now()
		p.round = began
		if err := p.look(ctx); err != nil {
			return nil, "", err
		}
		if !p.behind() {
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
	return p.changes != nil && p.changes.behind
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
	if p.changes == nil {
		return nil
	}
	keys, err := p.changes.scan(ctx)
	p.pending = append(p.pending, keys...)
	return err
}

func (p *Poll) lookSlowly(ctx context.Context) error {
	open, known, err := openTransactions(ctx, p.c.DB, p.c.Engine)
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
	if p.newest == nil {
		return nil
	}
	keys, err := p.newest.scan(ctx)
	p.pending = append(p.pending, keys...)
	return err
}

func (p *Poll) position() string {
	at := map[string]string{}
	for _, t := range p.trackers {
		at[t.table.name] = t.position()
	}
	if p.changes != nil {
		at[changedPart] = p.changes.position()
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

// parts are what a poll asks for.
type parts struct {
	table   *described
	key     column
	tracked []part
	changed *column // of the table; nil: none
}

// part is a table whose new rows are seen by its key.
type part struct {
	table      *described
	key, value column
}

// pollParts finds out how the configured tables can be polled.
func pollParts(ctx context.Context, c *Config) (*parts, error) {
	t, err := describe(ctx, c.DB, c.Engine, c.Table.Name)
	if err != nil {
		return nil, err
	}
	p := &parts{table: t}
	if p.key, err = t.keyColumn(c.Table.Key); err != nil {
		return nil, err
	}
	if p.changed, err = changedColumn(t, c.Table.Changed, p.key); err != nil {
		return nil, err
	}
	switch {
	case p.key.integer:
		p.tracked = append(p.tracked, part{t, p.key, p.key})
	case p.changed == nil:
		return nil, &chat.Error{Kind: chat.Invalid, Op: "follow.poll", Subject: t.name,
			Text: "the keys of " + t.name + " have no order, so that polling cannot tell new rows: follow it by the binlog or triggers, " +
				"or name an indexed column that grows with each row, such as created_at or updated_at"}
	}
	for _, w := range c.Watch {
		part, ok, err := watchPart(ctx, c.DB, c.Engine, w)
		if err != nil {
			return nil, err
		}
		if ok {
			p.tracked = append(p.tracked, part)
		}
	}
	return p, nil
}

// watchPart is a watched table, and whether its new rows can be told by its key.
func watchPart(ctx context.Context, db *sql.DB, e Engine, w Watch) (part, bool, error) {
	t, err := describe(ctx, db, e, w.Name)
	if err != nil {
		return part{}, false, err
	}
	value, ok := t.column(w.Column)
	if !ok {
		return part{}, false, &chat.Error{Kind: chat.Invalid, Op: "follow.watch", Subject: w.Name,
			Text: "the watched table " + w.Name + " has no column " + w.Column}
	}
	for _, c := range t.columns {
		if c.primary && c.integer {
			return part{t, c, value}, true, nil
		}
	}
	return part{}, false, nil
}
