package sqlite

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

const benchText = "A message of about the length that people write, which is a line or two; this one has about one hundred and twenty."

// benchWriter commits batches of messages spread over rooms, as a lane does
// when its clients only send.
type benchWriter struct {
	s     *Shard
	at    store.Position
	rooms []chat.Room
	users []chat.UserID
	n     int64
	keys  bool

	strip func(*store.Changes) // leaves something out of each commit, if set
	load  bool                 // look the keys up before each commit
}

func newBenchWriter(b *testing.B, s *Shard, rooms int, keys bool) *benchWriter {
	at, err := s.Acquire(ctx, 0)
	must(b, err)
	w := &benchWriter{s: s, at: at, keys: keys}
	for i := range rooms {
		w.rooms = append(w.rooms, chat.Room{ID: chat.RoomID(fmt.Sprintf("room-%d", i)), Title: "a room", Open: true, Created: 1})
		w.users = append(w.users, chat.UserID(fmt.Sprintf("user-%d", i)))
	}
	return w
}

func (w *benchWriter) commit(b *testing.B, size int) {
	ch := store.Changes{Insert: make([]chat.Message, 0, size)}
	var entry store.Entry
	from := int(w.n)
	for i := range size {
		r := &w.rooms[(from+i)%len(w.rooms)]
		r.LastSeq++
		r.Rev++
		w.n++
		m := chat.Message{Room: r.ID, Seq: r.LastSeq, Rev: r.Rev, Created: r.Rev, User: w.users[(from+i)%len(w.users)],
			Text: benchText, Time: 1_700_000_000_000 + w.n}
		if w.keys {
			m.Key, m.Digest = fmt.Sprintf("019a-%08x-%012x", w.n, w.n*2654435761%(1<<40)), w.n
		}
		ch.Insert = append(ch.Insert, m)
	}
	for i := range min(size, len(w.rooms)) {
		r := w.rooms[(from+i)%len(w.rooms)]
		ch.Rooms = append(ch.Rooms, r)
		span := store.RoomSpan{Room: r.ID, From: r.Rev, To: r.Rev - 1, Seq: r.LastSeq}
		span.Add(chat.EventMessage, r.LastSeq)
		entry.Rooms = append(entry.Rooms, span)
	}
	ch.Outbox = entry.Encode()
	if w.at.N%64 == 0 { // a consumer works off the outbox
		ch.Cursors = []store.Cursor{{Consumer: "bench", Position: w.at.N}}
	}
	if w.strip != nil {
		w.strip(&ch)
	}
	if w.load {
		var need store.Need
		for i := range ch.Insert {
			m := &ch.Insert[i]
			need.Keys = append(need.Keys, store.MessageKey{Room: m.Room, User: m.User, Key: m.Key})
		}
		_, err := w.s.Load(ctx, &need)
		must(b, err)
	}
	must(b, w.s.Commit(ctx, 0, w.at, &ch))
	w.at = w.at.Next()
}

func BenchmarkCommit(b *testing.B) {
	for _, keys := range []bool{false, true} {
		for _, size := range []int{1, 16, 128, 512} {
			b.Run(fmt.Sprintf("keys=%v/batch=%d", keys, size), func(b *testing.B) {
				w := newBenchWriter(b, open(b, filepath.Join(b.TempDir(), "b.db")), 50, keys)
				b.ReportAllocs()
				for b.Loop() {
					w.commit(b, size)
				}
				b.ReportMetric(float64(w.n)/b.Elapsed().Seconds(), "rows/s")
			})
		}
	}
}

// BenchmarkLoad looks up what a batch of sends depends on when nothing is
// remembered: 50 rooms, and for each of 128 messages a member and a key.
func BenchmarkLoad(b *testing.B) {
	w := newBenchWriter(b, open(b, filepath.Join(b.TempDir(), "b.db")), 50, true)
	for range 100 {
		w.commit(b, 128)
	}
	var need store.Need
	for i := range 128 {
		r := w.rooms[i%50]
		need.Rooms = append(need.Rooms, r.ID)
		need.Members = append(need.Members, store.MemberKey{Room: r.ID, User: w.users[i%50]})
		need.Keys = append(need.Keys, store.MessageKey{Room: r.ID, User: w.users[i%50], Key: fmt.Sprint("new key ", i)})
	}
	for b.Loop() {
		if _, err := w.s.Load(ctx, &need); err != nil {
			b.Fatal(err)
		}
	}
}

const (
	smallRoom = 100
	bigRoom   = 1_000_000
)

// BenchmarkSeedQueries runs what a busy room is asked most in a room of 100
// messages and in one of a million, in turns, and reports how much longer the
// big one takes. It fails if that is more than 1.3 times as long.
func BenchmarkSeedQueries(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "b.db"))
	w := newBenchWriter(b, s, 2, true)
	small, big := &w.rooms[0], &w.rooms[1]
	start := time.Now()
	w.grow(b, small, smallRoom)
	w.grow(b, big, bigRoom)
	b.Logf("rooms of %d and %d messages made in %v", smallRoom, bigRoom, time.Since(start).Round(time.Millisecond))
	latest := func(r *chat.Room) {
		ms, more, err := s.Messages(ctx, r.ID, store.Page{Limit: 10})
		if err != nil || len(ms) != 10 || !more || ms[9].Seq != r.LastSeq {
			b.Fatal(len(ms), more, err)
		}
	}
	for _, c := range []struct {
		name string
		run  func(*chat.Room)
	}{
		{"insert one message", func(r *chat.Room) { w.grow(b, r, 1) }},
		{"latest 10", latest},
		{"10 before the middle", func(r *chat.Room) {
			if ms, _, err := s.Messages(ctx, r.ID, store.Page{Before: r.LastSeq / 2, Limit: 10}); err != nil || len(ms) != 10 {
				b.Fatal(len(ms), err)
			}
		}},
		{"delta of 10", func(r *chat.Room) {
			if d, err := s.DeltaRows(ctx, r.ID, r.Rev-10, store.Space{Items: 100}); err != nil || len(d.Created) != 10 {
				b.Fatal(len(d.Created), err)
			}
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			var spent [2]time.Duration
			rooms := [2]*chat.Room{small, big}
			for turn := 0; b.Loop(); turn++ {
				for k := range rooms {
					i := (turn + k) % 2 // neither room is always the first
					t := time.Now()
					c.run(rooms[i])
					spent[i] += time.Since(t)
				}
			}
			ratio := float64(spent[1]) / float64(spent[0])
			b.ReportMetric(float64(spent[0].Nanoseconds())/float64(b.N), "ns/small")
			b.ReportMetric(float64(spent[1].Nanoseconds())/float64(b.N), "ns/big")
			b.ReportMetric(ratio, "big/small")
			if b.N >= 200 && ratio > 1.3 {
				b.Errorf("the big room takes %.2f times as long", ratio)
			}
		})
	}
}

// grow writes n messages into the room in large batches.
func (w *benchWriter) grow(b *testing.B, r *chat.Room, n int) {
	for n > 0 {
		size := min(n, 20_000)
		n -= size
		ch := store.Changes{Insert: make([]chat.Message, size)}
		for i := range ch.Insert {
			r.LastSeq++
			r.Rev++
			w.n++
			ch.Insert[i] = chat.Message{Room: r.ID, Seq: r.LastSeq, Rev: r.Rev, Created: r.Rev, User: w.users[i%2], Text: benchText,
				Time: w.n, Key: fmt.Sprintf("key-%012x", w.n), Digest: w.n}
		}
		ch.Rooms = []chat.Room{*r}
		must(b, w.s.Commit(ctx, 0, w.at, &ch))
		w.at = w.at.Next()
	}
}
