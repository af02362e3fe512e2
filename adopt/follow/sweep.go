package follow

import (
	"context"
	"fmt"
	"hash/maphash"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/roomtide/roomtide/adopt/source"
)

// Sweep compares all rows in small steps, again and again, and yields what differs:
// changes that nothing else has shown. It remembers one sum for each range of rows; the
// keys of a range are yielded when its sum is another, or is not known yet, as after a
// start. Keys that the caller knows and no table holds any more are yielded as well.
type Sweep struct {
	// Set once.
	c      *session
	tables []*swept
	rush   chan struct{} // has an element when the sums are to be forgotten
	passes atomic.Int64  // how often everything was compared

	// Owned by the caller of Next.
	at      int          // the table whose turn it is
	known   source.Key   // where the next page of known keys begins
	pending []source.Key // found, and not returned yet: a step may fail halfway
	due     time.Time    // when the next step is
	hurry   struct{ rows, known bool }
}

// swept is a table that is compared.
type swept struct {
	table *described
	key   column
	from  source.Key // where the next range begins
	sums  map[source.Key]rangeSum
}

// rangeSum is what is remembered of the rows behind a key: up to a last one, "" if the
// range is the last of the table, and open.
type rangeSum struct {
	last source.Key
	sum  uint64
}

// sweepRows is how many rows a range has when it is new.
const sweepRows = 500

func openSweep(ctx context.Context, c *session) (*Sweep, error) {
	all, err := c.describeAll(ctx)
	if err != nil {
		return nil, err
	}
	s := &Sweep{c: c, rush: make(chan struct{}, 1)}
	for _, f := range all {
		if !f.watched {
			s.tables = append(s.tables, &swept{table: f.table, key: f.key, sums: map[source.Key]rangeSum{}})
		}
	}
	return s, nil
}

// Hurry makes the sweep yield every row once more, without pauses. A follower calls it
// when rows were changed in a way that names no keys. Any goroutine may call.
func (s *Sweep) Hurry(reason string) {
	s.c.Log.Warn("follow: rows were changed in a way that cannot be followed; all are compared", "reason", reason)
	select {
	case s.rush <- struct{}{}:
	default:
	}
}

// Passes counts how often everything was compared since the start. Any goroutine may
// call.
func (s *Sweep) Passes() int64 { return s.passes.Load() }

func (s *Sweep) Next(ctx context.Context) ([]source.Key, string, error) {
	for {
		if err := s.wait(ctx); err != nil {
			return nil, "", fail("sweep", "", err)
		}
		if err := s.step(ctx); err != nil {
			return nil, "", err
		}
		if keys := s.pending; len(keys) > 0 {
			s.pending = nil
			return keys, "", nil
		}
	}
}

// wait keeps the rate, unless all rows are to be compared at once.
func (s *Sweep) wait(ctx context.Context) error {
	pause := time.Until(s.due)
	if s.hurry.rows || s.hurry.known || pause < 0 {
		pause = 0
	}
	s.due = time.Now().Add(pause + sweepRows*time.Second/time.Duration(s.c.Sweep))
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.rush:
		s.restart()
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

func (s *Sweep) restart() {
	s.at, s.known = 0, ""
	s.hurry.rows, s.hurry.known = true, s.c.Known != nil
	for _, t := range s.tables {
		t.from = ""
		clear(t.sums)
	}
}

// step compares a range of rows, and asks for a page of known keys.
func (s *Sweep) step(ctx context.Context) error {
	t := s.tables[s.at]
	keys, err := t.compare(ctx, s.c)
	if err != nil {
		return err
	}
	s.pending = append(s.pending, keys...)
	if t.from == "" {
		s.at++
	}
	if s.at == len(s.tables) {
		s.at, s.hurry.rows = 0, false
		s.passes.Add(1)
	}
	if s.c.Known == nil {
		return nil
	}
	return s.missing(ctx)
}

// missing finds the keys of the next page of known ones that no table holds.
func (s *Sweep) missing(ctx context.Context) error {
	page, err := s.c.Known.KnownKeys(ctx, s.known, sweepRows)
	if err != nil {
		return err
	}
	if len(page) == 0 {
		s.known, s.hurry.known = "", false
		return nil
	}
	there := map[source.Key]bool{}
	for _, t := range s.tables {
		if err := existing(ctx, s.c.db, t.table, t.key, page, there); err != nil {
			return err
		}
	}
	s.known = page[len(page)-1]
	for _, k := range page {
		if !there[k] {
			s.pending = append(s.pending, k)
		}
	}
	return nil
}

// Lag is none: there is no promise of how soon a sweep finds a change.
func (s *Sweep) Lag() time.Duration { return 0 }

func (s *Sweep) Close() error { return nil }

// compare reads the range behind from, and returns its keys if its sum has changed. A
// range ends where it ended before, so that a row more or less changes one range alone.
// At the end of the table from is "" again.
func (t *swept) compare(ctx context.Context, c *session) ([]source.Key, error) {
	before, known := t.sums[t.from]
	keys, sum, err := t.read(ctx, c, before.last)
	if err == nil && before.last != "" && len(keys) > 4*sweepRows { // it has grown: it becomes several
		before, known = rangeSum{}, false
		keys, sum, err = t.read(ctx, c, "")
	}
	if err != nil {
		return nil, err
	}
	at := t.from
	if t.from = before.last; before.last == "" && len(keys) == sweepRows {
		t.from = keys[len(keys)-1]
	}
	if known && before.sum == sum && before.last == t.from {
		return nil, nil
	}
	t.sums[at] = rangeSum{t.from, sum}
	return keys, nil
}

// read reads the keys of a range up to a key, "" for a new range, with a sum over them.
func (t *swept) read(ctx context.Context, c *session, last source.Key) (keys []source.Key, sum uint64, err error) {
	name := "r." + c.engine.QuotePath(t.key.name)
	var conditions []string
	var args []any
	limit := sweepRows
	if t.from != "" {
		conditions, args = append(conditions, name+" > "+t.key.place(c.engine)), append(args, t.key.argument(c.engine, t.from))
	}
	if last != "" {
		conditions, args = append(conditions, name+" <= "+t.key.place(c.engine)), append(args, t.key.argument(c.engine, last))
		limit = 4*sweepRows + 1
	}
	where := ""
	if len(conditions) > 0 {
		where = "WHERE " + strings.Join(conditions, " AND ")
	}
	var h maphash.Hash
	h.SetSeed(seed)
	err = eachSum(ctx, c.db, t.table, t.key, fmt.Sprintf("%s ORDER BY %s LIMIT %d", where, name, limit), args, func(k source.Key, sum uint64) {
		keys = append(keys, k)
		h.WriteString(string(k) + " " + strconv.FormatUint(sum, 16) + " ")
	})
	return keys, h.Sum64(), err
}
