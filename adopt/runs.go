package adopt

import (
	"cmp"
	"container/heap"
	"context"
	"database/sql"
	"encoding/binary"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/roomtide/roomtide/adopt/source"
	"github.com/roomtide/roomtide/chat"
)

// Rows are sorted outside of memory: those that fit are sorted and stored as a run, in
// chunks, and then all runs are read side by side. Rooms are divided into parts, each of
// which is read and imported on its own.
const (
	copyParts  = 4        // requests under way at once: as many as a node works at
	runBytes   = 16 << 20 // rows that are sorted in memory
	entryBytes = 96       // what one of them takes beside its text
	chunkBytes = 16 << 10 // of each run one is in memory
)

// place is where a row stands among those of its part.
type place struct {
	Room   string
	Time   int64 // Unix microseconds
	Number int64 // the key, where it is a number
	Text   string
}

func placeOf(room string, at int64, key source.Key) place {
	p := place{Room: room, Time: at}
	if n, ok := stateKey(key).(int64); ok {
		p.Number = n
	} else {
		p.Text = string(key)
	}
	return p
}

// compare orders keys as the file of the move does: numbers before texts.
func (p *place) compare(q *place) int {
	return cmp.Or(strings.Compare(p.Room, q.Room), cmp.Compare(p.Time, q.Time), strings.Compare(p.Text, q.Text), cmp.Compare(p.Number, q.Number))
}

// byTime orders rows as a room has them.
func byTime(rows []source.Row) {
	slices.SortStableFunc(rows, func(a, b source.Row) int {
		x, y := placeOf("", a.Time.UnixMicro(), a.Key), placeOf("", b.Time.UnixMicro(), b.Key)
		return x.compare(&y)
	})
}

// partOf is the part of a room.
func partOf(room string) int {
	h := fnv.New32a()
	h.Write([]byte(room)) //nolint:errcheck // it cannot fail
	return int(h.Sum32() % copyParts)
}

// staged is a row that waits for its turn.
type staged struct {
	place
	Key, Reply source.Key
	User       string
	Hash       hash
	Deleted    bool
	Item       []byte // as the node is told
}

// append writes a row.
func (s *staged) append(b []byte) []byte {
	for _, text := range []string{s.Room, string(s.Key), string(s.Reply), s.User} {
		b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
	}
	b = append(binary.AppendVarint(b, s.Time), s.Hash[:]...)
	deleted := byte(0)
	if s.Deleted {
		deleted = 1
	}
	b = append(b, deleted)
	return append(binary.AppendUvarint(b, uint64(len(s.Item))), s.Item...)
}

// stagedOf reads a row, and returns what is behind it. The row shares memory with b.
func stagedOf(b []byte) (s staged, rest []byte, err error) {
	bad := chat.E(chat.Internal, "the state file has a row that cannot be read")
	take := func() []byte {
		n, width := binary.Uvarint(b)
		if width <= 0 || n > uint64(len(b)-width) {
			err = bad
			return nil
		}
		v := b[width : width+int(n)]
		b = b[width+int(n):]
		return v
	}
	s.Room, s.Key, s.Reply, s.User = string(take()), source.Key(take()), source.Key(take()), string(take())
	at, width := binary.Varint(b)
	if err != nil || width <= 0 || len(b) < width+len(s.Hash)+1 {
		return s, nil, bad
	}
	b = b[width+copy(s.Hash[:], b[width:]):]
	s.Deleted = b[0] != 0
	b = b[1:]
	s.Item = take()
	s.place = placeOf(s.Room, at, s.Key)
	return s, b, err
}

// run is rows that are sorted in memory.
type run struct {
	text    []byte
	entries []entry
}

type entry struct {
	place
	part     int
	from, to int // in text
}

func (r *run) add(s *staged) {
	from := len(r.text)
	r.text = s.append(r.text)
	r.entries = append(r.entries, entry{s.place, partOf(s.Room), from, len(r.text)})
}

func (r *run) size() int { return len(r.text) + entryBytes*len(r.entries) }

func (r *run) reset() {
	clear(r.entries)
	r.text, r.entries = r.text[:0], r.entries[:0]
}

// store writes the run into the file, under a number of its own.
func (r *run) store(ctx context.Context, tx *sql.Tx, number int64) error {
	slices.SortFunc(r.entries, func(a, b entry) int { return cmp.Or(cmp.Compare(a.part, b.part), a.compare(&b.place)) })
	insert, err := tx.PrepareContext(ctx, "INSERT INTO chunks (part, run, n, body) VALUES (?, ?, ?, ?)")
	if err != nil {
		return err
	}
	defer insert.Close()
	var chunk []byte
	for i, n := 0, 0; i < len(r.entries); i++ {
		e := &r.entries[i]
		chunk = append(chunk, r.text[e.from:e.to]...)
		last := i+1 == len(r.entries) || r.entries[i+1].part != e.part
		if !last && len(chunk) < chunkBytes {
			continue
		}
		if _, err := insert.ExecContext(ctx, e.part, number, n, chunk); err != nil {
			return err
		}
		if n++; last {
			n = 0
		}
		chunk = chunk[:0]
	}
	return nil
}

// merged reads the rows of a part in order. Of each run it holds a chunk.
type merged struct {
	state *State
	part  int
	runs  cursors
	read  []chunkID // chunks all of whose rows were returned
}

type chunkID struct{ run, n int64 }

// cursor is a place in a run.
type cursor struct {
	chunkID
	head staged
	rest []byte // of the chunk
}

// merge opens a part behind a place.
func (s *State) merge(ctx context.Context, part int, after place) (*merged, error) {
	m := &merged{state: s, part: part}
	rows, err := s.db.QueryContext(ctx, "SELECT run, min(n) FROM chunks WHERE part = ? GROUP BY run", part)
	err = each(rows, err, func() error {
		c := &cursor{}
		m.runs = append(m.runs, c)
		return rows.Scan(&c.run, &c.n)
	})
	if err != nil {
		return nil, err
	}
	var open cursors
	for _, c := range m.runs {
		ok, err := m.load(ctx, c)
		for ok && err == nil && c.head.compare(&after) <= 0 {
			ok, err = m.advance(ctx, c)
		}
		if err != nil {
			return nil, err
		}
		if ok {
			open = append(open, c)
		}
	}
	m.runs = open
	heap.Init(&m.runs)
	return m, nil
}

// load reads the chunk at which the cursor stands; ok is false behind the last one.
func (m *merged) load(ctx context.Context, c *cursor) (ok bool, err error) {
	rows, err := m.state.db.QueryContext(ctx, "SELECT body FROM chunks WHERE part = ? AND run = ? AND n = ?", m.part, c.run, c.n)
	err = each(rows, err, func() error { ok = true; return rows.Scan(&c.rest) })
	if err == nil && ok {
		c.head, c.rest, err = stagedOf(c.rest)
	}
	return ok, err
}

// advance moves the cursor on.
func (m *merged) advance(ctx context.Context, c *cursor) (ok bool, err error) {
	if len(c.rest) > 0 {
		c.head, c.rest, err = stagedOf(c.rest)
		return true, err
	}
	m.read = append(m.read, c.chunkID)
	c.n++
	return m.load(ctx, c)
}

// peek is the next row, nil at the end. It is valid until take.
func (m *merged) peek() *staged {
	if len(m.runs) == 0 {
		return nil
	}
	return &m.runs[0].head
}

// take goes behind the next row.
func (m *merged) take(ctx context.Context) error {
	ok, err := m.advance(ctx, m.runs[0])
	switch {
	case err != nil:
		return err
	case ok:
		heap.Fix(&m.runs, 0)
	default:
		heap.Pop(&m.runs)
	}
	return nil
}

// drop deletes chunks that were read, which makes place for what is known of their rows.
func (m *merged) drop(ctx context.Context, tx *sql.Tx) error {
	for _, c := range m.read {
		if _, err := tx.ExecContext(ctx, "DELETE FROM chunks WHERE part = ? AND run = ? AND n = ?", m.part, c.run, c.n); err != nil {
			return err
		}
	}
	m.read = m.read[:0]
	return nil
}

// cursors are a heap, the lowest row first.
type cursors []*cursor

func (c cursors) Len() int           { return len(c) }
func (c cursors) Less(i, j int) bool { return c[i].head.compare(&c[j].head.place) < 0 }
func (c cursors) Swap(i, j int)      { c[i], c[j] = c[j], c[i] }
func (c *cursors) Push(x any)        { *c = append(*c, x.(*cursor)) }
func (c *cursors) Pop() any {
	last := len(*c) - 1
	out := (*c)[last]
	(*c)[last] = nil
	*c = (*c)[:last]
	return out
}
