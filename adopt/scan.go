package adopt

import (
	"context"
	"database/sql"
	"encoding/json"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/roomtide/roomtide/adopt/source"
)

const (
	scanRows    = 1000      // of the source, at a time
	seenMembers = 128 << 10 // pairs of room and author that are remembered
)

// scan reads all rows in the order of their keys, and sorts them. The next page is read
// while one is sorted.
func (m *Move) scan(outer context.Context) error {
	if m.Beat().Total == 0 {
		_, _, count, err := m.cfg.Source.Bounds(outer)
		if err != nil {
			return err
		}
		m.count(func(b *Beat) { b.Total = count })
	}
	s, err := m.newScanner(outer)
	if err != nil {
		return err
	}
	after := s.after
	work, ctx := errgroup.WithContext(outer)
	read := make(chan scanned)
	work.Go(func() error {
		defer close(read)
		for {
			rows, made, err := m.rowsToCopy(ctx, after)
			if err != nil || len(rows) == 0 {
				return err
			}
			after = rows[len(rows)-1].Key
			select {
			case read <- scanned{rows, made}:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	work.Go(func() error {
		for p := range read {
			if err := s.add(ctx, p); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	if err := work.Wait(); err != nil {
		return err
	}
	return s.store(outer)
}

// scanned is rows of the source, and which of them the mirror has made.
type scanned struct {
	rows []source.Row
	made map[source.Key]bool
}

// scanner sorts what is read. What it holds is in the file when store has returned.
type scanner struct {
	m        *Move
	after    source.Key // of the last row that is in the file
	number   int64      // of the next run
	run      run
	rows     int64                   // that were read
	last     source.Key              // that was read
	time     time.Time               // of that row, and of rows behind it without one
	seen     map[memberItem]struct{} // members of rooms by a message
	members  []memberItem            // of them, those that are not in the file
	problems []source.Row            // rows with problems, without their texts
}

func (m *Move) newScanner(ctx context.Context) (*scanner, error) {
	s := &scanner{m: m, seen: map[memberItem]struct{}{}, run: run{text: make([]byte, 0, runBytes)}}
	after, err := m.cfg.State.fact(ctx, "scanned")
	if err != nil {
		return nil, err
	}
	at, err := m.cfg.State.fact(ctx, "scanned time")
	if err != nil {
		return nil, err
	}
	rows, err := m.cfg.State.fact(ctx, "scanned rows")
	if err != nil {
		return nil, err
	}
	s.rows, _ = strconv.ParseInt(rows, 10, 64) // "" is none
	m.count(func(b *Beat) { b.Read = s.rows })
	s.after, s.last = source.Key(after), source.Key(after)
	if s.time, err = time.Parse(time.RFC3339Nano, at); err != nil {
		s.time = time.Now().UTC() // nothing was read yet
	}
	err = m.cfg.State.db.QueryRowContext(ctx, "SELECT coalesce(max(run), 0) + 1 FROM chunks").Scan(&s.number)
	return s, err
}

// add takes a page. Rows that the mirror has made are messages already.
func (s *scanner) add(ctx context.Context, p scanned) error {
	for i := range p.rows {
		r := &p.rows[i]
		if r.Time.IsZero() {
			r.Time = s.time
		}
		s.last, s.time = r.Key, r.Time
		if p.made[r.Key] {
			continue
		}
		if len(r.Problems) > 0 {
			s.problems = append(s.problems, source.Row{Key: r.Key, Problems: r.Problems})
		}
		if r.Refused() {
			continue
		}
		if err := s.stage(r); err != nil {
			return err
		}
	}
	s.rows += int64(len(p.rows))
	s.m.count(func(b *Beat) { b.Read = s.rows })
	if s.run.size()+entryBytes*(len(s.members)+len(s.problems)) >= runBytes {
		return s.store(ctx)
	}
	return nil
}

// stage adds a row to the run, and notes the members that its room has by it.
func (s *scanner) stage(r *source.Row) error {
	i := itemOf(s.m.name, r)
	body, err := json.Marshal(&i)
	if err != nil {
		return err
	}
	s.run.add(&staged{
		place: placeOf(r.Room, r.Time.UnixMicro(), r.Key), Key: r.Key, Reply: r.Reply, User: i.User, Hash: i.hash(), Deleted: i.Deleted, Item: body,
	})
	for _, i := range s.m.membersBy(r) {
		if _, ok := s.seen[i]; ok {
			continue
		}
		if len(s.seen) == seenMembers {
			clear(s.seen)
		}
		s.seen[i] = struct{}{}
		s.members = append(s.members, i)
	}
	return nil
}

// membersBy are the members that a room has by a row, where the mapping does not say who is
// in a room.
func (m *Move) membersBy(r *source.Row) (all []memberItem) {
	if len(m.cfg.Mapping.Members) > 0 || r.Kind == source.System {
		return nil
	}
	for _, user := range []string{r.User, r.To} {
		if user != "" {
			all = append(all, memberItem{Room: r.Room, User: user})
		}
	}
	return all
}

// store writes the run and all that goes with it in one transaction.
func (s *scanner) store(ctx context.Context) error {
	err := s.m.cfg.State.write(ctx, func(tx *sql.Tx) error {
		if err := s.run.store(ctx, tx, s.number); err != nil {
			return err
		}
		for i := range s.problems {
			if err := putProblems(ctx, tx, &s.problems[i]); err != nil {
				return err
			}
		}
		if err := putMembers(ctx, tx, s.members); err != nil {
			return err
		}
		for name, value := range map[string]string{
			"scanned": string(s.last), "scanned time": s.time.Format(time.RFC3339Nano), "scanned rows": strconv.FormatInt(s.rows, 10),
		} {
			if err := putFact(ctx, tx, name, value); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.run.reset()
	s.number++
	s.members, s.problems = s.members[:0], nil
	return nil
}

func putMembers(ctx context.Context, tx *sql.Tx, all []memberItem) error {
	insert, err := tx.PrepareContext(ctx, "INSERT OR IGNORE INTO members (room, user) VALUES (?, ?)")
	if err != nil {
		return err
	}
	defer insert.Close()
	for _, i := range all {
		if _, err := insert.ExecContext(ctx, i.Room, i.User); err != nil {
			return err
		}
	}
	return nil
}

func putProblems(ctx context.Context, tx *sql.Tx, r *source.Row) error {
	for _, p := range r.Problems {
		if err := putProblem(ctx, tx, string(p.Class), r.Key, p.Field, p.Detail, p.Refused); err != nil {
			return err
		}
	}
	return nil
}
