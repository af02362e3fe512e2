package mover_test

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/mover"
	"github.com/roomtide/roomtide/store"
)

// A database server is killed at every step of moves between two, under load, and started
// again when its absence was noticed. The move ends by itself; nothing that was
// acknowledged is lost, doubled or in another order.
func TestServersKilledWhileMoving(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	k := &killer{w: w, reached: make(chan struct{}), goOn: make(chan struct{}), servers: map[string]*testdb.Server{
		maria: testdb.Start(t, testdb.Maria), postgresql: testdb.Start(t, testdb.Postgres),
	}}
	w.cfg.PageRows = 200
	w.via = k.open(map[string]string{maria: k.servers[maria].Database(), postgresql: k.servers[postgresql].Database()})
	w.open()
	l := newCarefulLoad(w)
	stop := l.start()
	hits, held := 0, int64(0)
	to := map[string]string{maria: postgresql, postgresql: maria}
	k.from = maria
	for _, p := range kills {
		s := k.kill(t, l, p, to[k.from])
		if s.Paused || s.Error != "" {
			t.Errorf("%s: %+v", p, s)
		}
		hits++
		held = max(held, s.HeldFor)
		if left := w.rows(k.from, l.slots); left.Len() > 0 {
			t.Errorf("%s: the source has %d rows left", p, left.Len())
		}
		k.from = to[k.from]
	}
	stop()
	if l.check(k.from); hits != len(kills) || l.failed.Load() == 0 {
		t.Errorf("%d of %d points were hit, %d sends failed at first", hits, len(kills), l.failed.Load())
	}
	t.Logf("%d kills at %d points; %d messages, %d attempts failed at first; changes were held for %d ms at most", hits, len(kills), l.sent.Load(), l.failed.Load(), held)
}

// kill moves the slots, kills a server on the way, starts it again when a send has found it
// gone, and returns how the move ended.
func (k *killer) kill(t *testing.T, l *carefulLoad, p killAt, to string) mover.Status {
	victim := k.from
	if p.victim == target {
		victim = to
	}
	t.Logf("%s: %s to %s", p, k.from, to)
	k.armed.Store(&p)
	l.moves.Add(1)
	k.w.start(mover.Order{Slots: l.slots, To: []string{to}})
	select {
	case <-k.reached:
	case <-time.After(k.w.wait):
		t.Fatalf("%s: not reached; %+v", p, k.w.mover.Moves(0))
	}
	failed := l.failedOn[victim].Load()
	k.servers[victim].Kill()
	k.goOn <- struct{}{}
	k.w.eventually(p.String()+": a send fails", func() bool { return l.failedOn[victim].Load() > failed })
	k.servers[victim].Restart()
	return k.w.until(store.MoveDone)
}

// perMove is how many messages a room that moves gets in one move at most. Otherwise a
// slow machine would have ever more to move.
const perMove = 100

// carefulLoad sends to rooms that move and to one on each shard that stays, each message
// with its key until it is acknowledged, and remembers what was.
type carefulLoad struct {
	w        *world
	moves    atomic.Int64
	moving   []chat.RoomID
	staying  map[string]chat.RoomID // by shard
	slots    *store.SlotSet         // of those that move
	sent     atomic.Int64
	failed   atomic.Int64             // attempts
	failedOn map[string]*atomic.Int64 // attempts in a room that stays, by shard

	mu    sync.Mutex
	acked map[chat.RoomID][]chat.Seq // by the number of the message, which is its key
}

func newCarefulLoad(w *world) *carefulLoad {
	l := &carefulLoad{w: w, staying: map[string]chat.RoomID{}, failedOn: map[string]*atomic.Int64{}, acked: map[chat.RoomID][]chat.Seq{}}
	for n := 0; len(l.moving) < 4 || len(l.staying) < 2; n++ {
		room := chat.RoomID(fmt.Sprint("room ", n))
		name := w.store.Shards()[w.store.ShardOf(room.Slot())].Name()
		switch {
		case l.staying[name] == "":
			l.staying[name], l.failedOn[name] = room, &atomic.Int64{}
		case name == maria && len(l.moving) < 4:
			l.moving = append(l.moving, room)
		default:
			continue
		}
		w.must(&change.Join{Room: room, User: "ann", Create: &change.RoomSpec{Open: true}})
	}
	l.slots = slotsOf(l.moving...)
	for _, room := range l.moving {
		for range 80 { // some pages
			l.send(room)
		}
	}
	return l
}

func (l *carefulLoad) start() (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	sender := func(room chat.RoomID, most int64) {
		next := time.NewTicker(30 * time.Millisecond)
		defer next.Stop()
		for n := int64(0); ; {
			if n < most*l.moves.Load() {
				l.send(room)
				n++
			}
			select {
			case <-done:
				return
			case <-next.C:
			}
		}
	}
	for _, room := range l.moving {
		wg.Go(func() { sender(room, perMove) })
	}
	for _, room := range l.staying {
		wg.Go(func() { sender(room, math.MaxInt32) })
	}
	return func() { close(done); wg.Wait() }
}

// send sends the next message of a room, again until it is acknowledged.
func (l *carefulLoad) send(room chat.RoomID) {
	l.mu.Lock()
	n := len(l.acked[room])
	l.mu.Unlock()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) { // between two attempts
		r, err := l.w.lanes.Do(context.Background(), send(room, "ann", fmt.Sprint(n), fmt.Sprint("text ", n)))
		if err == nil {
			l.sent.Add(1)
			l.mu.Lock()
			l.acked[room] = append(l.acked[room], r.Seq)
			l.mu.Unlock()
			return
		}
		l.failed.Add(1)
		for name, stays := range l.staying {
			if stays == room {
				l.failedOn[name].Add(1)
			}
		}
		if kind := chat.KindOf(err); kind != chat.Unavailable && kind != chat.Busy || time.Now().After(deadline) {
			l.w.t.Errorf("%s: %v", room, err)
			return
		}
	}
}

// check compares what is stored with what was acknowledged.
func (l *carefulLoad) check(owner string) {
	t := l.w.t
	t.Helper()
	for room, acked := range l.acked {
		rows := l.w.rows(l.w.store.Shards()[l.w.store.ShardOf(room.Slot())].Name(), slotsOf(room))
		n := 0
		for _, m := range rows.Messages {
			if m.Room != room { // of the same slot
				continue
			}
			if n >= len(acked) || m.Seq != chat.Seq(n+1) || m.Key != fmt.Sprint(n) || m.Text != fmt.Sprint("text ", n) || acked[n] != m.Seq {
				t.Fatalf("%s: message %d is %+v", room, n, m)
			}
			n++
		}
		if n != len(acked) {
			t.Errorf("%s: %d messages are stored, %d were acknowledged", room, n, len(acked))
		}
	}
	for slot := range l.slots.All() {
		if got := l.w.store.Shards()[l.w.store.ShardOf(slot)].Name(); got != owner {
			t.Errorf("slot %d belongs to %s", slot, got)
		}
	}
	l.w.whole()
}
