package follow

import (
	"context"
	"fmt"
	"hash/maphash"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/roomtide/roomtide/adopt/source"
)

// Sweep compares all rows of a table in small steps, again and again, and yields what
// differs: changes that nothing else has shown. It remembers one sum for each range of
// rows; the keys of a range are yielded when its sum is another, or is not known yet, as
// after a start. Keys that the caller knows and the table does not hold any more are
// yielded as well.
type Sweep struct {
	// Set once.
	c     *Config
	table *described
	key   column
	rush  chan struct{} // has an element when the sums are to be forgotten

	// Owned by the caller of Next.
	from    source.Key // where the next range begins
	known   source.Key // where the next page of known keys begins
	sums    map[source.Key]rangeSum
	pending []source.Key               // found, and not returned yet: a step may fail halfway
	next    time.Time                  // when the next step is due
	hurry   struct{ rows, known bool } // which passes go on without pauses

	// Guarded by mu.
	mu     sync.Mutex
	passes int64
}

// rangeSum is what is remembered of the rows behind a key.
type rangeSum struct {
	last source.Key
	sum  uint64
}

// sweepRows is how many rows a step compares.
const sweepRows = 500

func openSweep(ctx context.Context, c *Config) (*Sweep, error) {
	t, err := describe(ctx, c.DB, c.Engine, c.Table.Name)
	if err != nil {
		return nil, err
	}
	key, err := t.keyColumn(c.Table.Key)
	if err != nil {
		return nil, err
	}
	return &Sweep{c: c, table: t, key: key, rush: make(chan struct{}, 1), sums: map[source.Key]rangeSum{}}, nil
}

// Hurry makes the sweep yield every row once more, without pauses. A follower calls it
// when rows were changed in a way that names no keys. Any goroutine may call.
func (s *Sweep) Hurry(reason string) {
	s.c.Log.Warn("follow: rows were changed in a way that cannot be followed; all are compared", "table", s.table.name, "reason", reason)
	select {
	case s.rush <- struct{}{}:
	default:
	}
}

func (s *Sweep) Next(ctx context.Context) ([]source.Key, string, error) {
	for {
		if err := s.wait(ctx); err != nil {
			return nil, "", fail("sweep", s.table.name, err)
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
	select {
	case <-s.rush:
		s.restart()
		return nil
	default:
	}
	pause := time.Until(s.next)
	if s.hurry.rows || s.hurry.known || pause <= 0 {
		pause = 0
	}
	s.next = time.Now().Add(pause + time.Duration(sweepRows)*time.Second/time.Duration(s.c.Sweep))
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
	s.from, s.known = "", ""
	s.hurry.rows, s.hurry.known = true, s.c.Known != nil
	clear(s.sums)
}

// step compares a range of rows, and asks for a page of known keys.
func (s *Sweep) step(ctx context.Context) error {
	if err := s.compare(ctx); err != nil || s.c.Known == nil {
		return err
	}
	return s.missing(ctx)
}

// compare reads the range behind from, and finds its keys if its sum has changed. A range
// ends where it ended before, so that a row more or less changes one range alone; the
// last one is open.
func (s *Sweep) compare(ctx context.Context) error {
	before, known := s.sums[s.from]
	keys, sum, err := s.read(ctx, before.last)
	if err != nil {
		return err
	}
	if known && len(keys) > 4*sweepRows { // it has grown: it becomes several
		if keys, sum, err = s.read(ctx, ""); err != nil {
			return err
		}
		known = false
	}
	at := s.from
	closed := before.last
	if !known || before.last == "" {
		closed = ""
		if len(keys) >= sweepRows {
			closed = keys[len(keys)-1]
		}
	}
	if s.from = closed; closed == "" {
		s.finish()
	}
	if known && before.sum == sum {
		return nil
	}
	s.sums[at] = rangeSum{closed, sum}
	s.pending = append(s.pending, keys...)
	return nil
}

// read reads the keys of the range up to a key, "" for a page, with a sum over them all.
func (s *Sweep) read(ctx context.Context, last source.Key) (keys []source.Key, sum uint64, err error) {
	e := s.table.engine
	name := "r." + e.quote(s.key.name)
	var conditions []string
	var args []any
	limit := sweepRows
	if s.from != "" {
		conditions, args = append(conditions, name+" > "+s.key.place(e)), append(args, s.key.argument(e, s.from))
	}
	if last != "" {
		conditions, args = append(conditions, name+" <= "+s.key.place(e)), append(args, s.key.argument(e, last))
		limit = 4*sweepRows + 1
	}
	where := ""
	if len(conditions) > 0 {
		where = "WHERE " + strings.Join(conditions, " AND ")
	}
	var h maphash.Hash
	h.SetSeed(seed)
	err = eachSum(ctx, s.c.DB, s.table, s.key, fmt.Sprintf("%s ORDER BY %s LIMIT %d", where, name, limit), args, func(k source.Key, sum uint64) {
		keys = append(keys, k)
		h.WriteString(string(k) + " " + strconv.FormatUint(sum, 16) + " ")
	})
	return keys, h.Sum64(), err
}

// finish ends a pass.
func (s *Sweep) finish() {
	s.hurry.rows = false
	s.mu.Lock()
	s.passes++
	s.mu.Unlock()
}

// Passes counts how often the whole table was compared since the start.
func (s *Sweep) Passes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.passes
}

// missing finds the keys of the next page of known ones that the table does not hold.
func (s *Sweep) missing(ctx context.Context) error {
	page, err := s.c.Known.KnownKeys(ctx, s.known, sweepRows)
	if err != nil {
		return err
	}
	if len(page) == 0 {
		s.known, s.hurry.known = "", false
		return nil
	}
	there, err := existing(ctx, s.c.DB, s.table, s.key, page)
	if err != nil {
		return err
	}
	s.known = page[len(page)-1]
	for _, k := range page {
		if !there[k] {
			s.pending = append(s.pending, k)
		}
	}
	return nil
}

// Lag is none: what a sweep finds, nobody has promised to find sooner.
func (s *Sweep) Lag() time.Duration { return 0 }

func (s *Sweep) Close() error { return nil }
