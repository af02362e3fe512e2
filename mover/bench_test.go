package mover_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/mover"
	"github.com/roomtide/roomtide/store"
)

const (
	benchRooms = 200
	benchSends = 1000 // a second, over all rooms
	benchUsual = 10 * time.Second
)

// BenchmarkMove moves up to 1,000,000 messages, all that one shard of SQLite has, to another
// under 1,000 messages a second, half of which are for rooms that move. It reports rows
// a second from the first page to the last, for how long changes waited, how many sends
// failed, and how long acks took: usually (ten seconds before), while rows are copied
// and compared, while what is left is deleted, and at most when the slots changed hands.
func BenchmarkMove(b *testing.B) {
	for _, c := range []struct{ messages, rate int }{{200_000, 0}, {1_000_000, 0}, {1_000_000, 10_000}} {
		b.Run(fmt.Sprintf("messages=%d/rate=%d", c.messages, c.rate), func(b *testing.B) { benchMove(b, c.messages, c.rate) })
	}
}

func benchMove(b *testing.B, messages, rate int) {
	w := newWorld(b, 2)
	w.dir = b.TempDir() // a disk is part of what is measured
	w.wait = 20 * time.Minute
	w.cfg.Log = slog.New(slog.DiscardHandler)
	w.open()
	moving, staying := w.seed(messages)
	l := &load{w: w, rooms: slices.Concat(moving, staying)}
	stop := l.start()
	time.Sleep(benchUsual)
	l.phase("usual")
	b.ResetTimer()
	w.start(mover.Order{From: []string{shard(0)}, To: []string{shard(1)}, Rate: rate})
	start := time.Now()
	w.until(store.MoveFollowing, store.MoveVerifying, store.MoveHolding, store.MoveFlipped, store.MoveCleaning, store.MoveDone)
	copied := time.Since(start)
	l.phase("copying")
	w.until(store.MoveHolding, store.MoveFlipped, store.MoveCleaning, store.MoveDone)
	l.phase("comparing")
	s := w.until(store.MoveFlipped, store.MoveCleaning, store.MoveDone)
	l.phase("hold")
	s = w.until(store.MoveDone)
	b.StopTimer()
	l.phase("cleaning")
	stop()
	b.ReportMetric(float64(s.Rows)/copied.Seconds(), "rows/s")
	b.ReportMetric(float64(s.HeldFor), "held-ms")
	b.ReportMetric(float64(l.failed.Load()), "failed-sends")
	b.ReportMetric(float64(l.sent.Load()), "sends")
	l.report(b)
	if s.Rows < int64(messages) {
		b.Errorf("%d rows were copied", s.Rows)
	}
	w.whole()
}

// seed fills rooms of the first shard with messages, and makes as many rooms in the
// second one.
func (w *world) seed(messages int) (moving, staying []chat.RoomID) {
	for n := 0; len(moving) < benchRooms/2 || len(staying) < benchRooms/2; n++ {
		id := chat.RoomID(fmt.Sprint("room ", n))
		rooms := &moving
		if w.store.ShardOf(id.Slot()) == 1 {
			rooms = &staying
		}
		if len(*rooms) < benchRooms/2 {
			*rooms = append(*rooms, id)
		}
	}
	text := strings.Repeat("words of a message ", 6)
	term, _ := w.lanes.Term(0)
	each := messages / len(moving)
	for _, id := range moving {
		rows := &store.Rows{Rooms: []chat.Room{{ID: id, Open: true, LastSeq: chat.Seq(each), Rev: chat.Rev(each + 1), Members: 1, Created: 1}},
			Members: []chat.Member{{Room: id, User: "ann", Role: chat.RoleOwner, Rev: chat.Rev(each + 1), Since: 1}}}
		for seq := chat.Seq(1); seq <= chat.Seq(each); seq++ {
			rows.Messages = append(rows.Messages, chat.Message{Room: id, Seq: seq, Rev: chat.Rev(seq), Created: chat.Rev(seq), User: "ann", Time: 1, Text: text, Key: fmt.Sprint("seed ", seq), Digest: 1})
			if len(rows.Messages) == 2000 || seq == chat.Seq(each) {
				if err := w.lanes.PutRows(w.t.Context(), term, nil, rows, 0); err != nil {
					w.t.Fatal(err)
				}
				rows = &store.Rows{}
			}
		}
	}
	for _, id := range staying {
		w.must(&change.Join{Room: id, User: "ann", Create: &change.RoomSpec{Open: true}})
	}
	return moving, staying
}

// load sends at a fixed rate, whatever acks do.
type load struct {
	w     *world
	rooms []chat.RoomID

	sent, failed atomic.Int64

	mu    sync.Mutex
	acks  []time.Duration // of this phase
	names []string
	took  map[string][]time.Duration
}

func (l *load) start() (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	var open sync.WaitGroup
	go func() {
		defer close(ended)
		begin := time.Now()
		for n := 0; ; n++ {
			due := begin.Add(time.Duration(n) * time.Second / benchSends)
			if d := time.Until(due); d > 0 {
				time.Sleep(d)
			}
			select {
			case <-done:
				open.Wait()
				return
			default:
			}
			l.sent.Add(1)
			open.Add(1)
			l.w.lanes.Submit(send(l.rooms[n%len(l.rooms)], "ann", fmt.Sprint(n), "hello"), func(_ change.Reply, err error) {
				took := time.Since(due)
				if err != nil {
					l.failed.Add(1)
				}
				l.mu.Lock()
				l.acks = append(l.acks, took)
				l.mu.Unlock()
				open.Done()
			})
		}
	}()
	return func() { close(done); <-ended }
}

// phase ends a phase.
func (l *load) phase(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.took == nil {
		l.took = map[string][]time.Duration{}
	}
	slices.Sort(l.acks)
	l.took[name], l.acks = l.acks, nil
	l.names = append(l.names, name)
}

func (l *load) report(b *testing.B) {
	for _, name := range l.names {
		d := l.took[name]
		if len(d) == 0 {
			continue
		}
		ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
		b.ReportMetric(ms(d[len(d)*99/100]), name+"-p99-ms")
		b.Logf("%-9s %7d acks, p50 %.1f ms, p99 %.1f ms, max %.1f ms", name, len(d), ms(d[len(d)/2]), ms(d[len(d)*99/100]), ms(d[len(d)-1]))
	}
}
