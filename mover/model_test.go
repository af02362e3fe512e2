package mover_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/mover"
	"github.com/roomtide/roomtide/outbox"
	"github.com/roomtide/roomtide/projection"
	"github.com/roomtide/roomtide/removal"
	"github.com/roomtide/roomtide/store"
)

// pair is two nodes that are told the same at the same times. The slots of one move
// between its shards all the while; those of the other never do. They must answer the
// same and hold the same rows in the end.
type pair struct {
	moving, still *world
	clock         atomic.Int64
	run           int
	rooms         []chat.RoomID
	users         []chat.UserID
	moved         int // moves that were done
	aborted       int
}

func newPair(t testing.TB) *pair {
	p := &pair{moving: newWorld(t, 2), still: newWorld(t, 1)}
	p.open()
	return p
}

func (p *pair) open() {
	p.clock.Store(1_700_000_000_000)
	for _, w := range []*world{p.moving, p.still} {
		w.lane.Now = func() time.Time { return time.UnixMilli(p.clock.Load()) }
	}
	p.moving.cfg.PageRows, p.moving.cfg.FollowEvery = 4, 1 // many pages, so that much happens between them
	p.moving.open()
	p.still.open()
}

// begin makes the rooms and users of one run.
func (p *pair) begin() {
	p.run++
	p.rooms, p.users = nil, nil
	for i := range 5 {
		p.rooms = append(p.rooms, chat.RoomID(fmt.Sprintf("room %d of %d", i, p.run)))
		p.users = append(p.users, chat.UserID(fmt.Sprintf("user %d of %d", i, p.run)))
	}
}

// do applies a change to both and compares the answers.
func (p *pair) do(t *rapid.T, c, same change.Change) {
	p.clock.Add(1)
	got, gotErr := p.moving.lanes.Do(context.Background(), c)
	want, wantErr := p.still.lanes.Do(context.Background(), same)
	if chat.KindOf(gotErr) != chat.KindOf(wantErr) || (gotErr == nil) != (wantErr == nil) || !reflect.DeepEqual(got, want) {
		t.Fatalf("%T %+v\nanswered %+v, %v\nwant     %+v, %v", c, c, got, gotErr, want, wantErr)
	}
}

// settle has the consumers of both work on all there is.
func (p *pair) settle() {
	for _, w := range []*world{p.moving, p.still} {
		w.box.Close(context.Background())
		var err error
		w.box, err = outbox.Open(context.Background(), outbox.Config{Store: w.store, Lanes: w.lanes, Apart: []string{mover.Cursor}, Consumers: []outbox.Consumer{
			projection.UserRooms(w.store, w.lanes), projection.Names(w.store, w.lanes), removal.DeletedRooms(w.lanes),
		}})
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

func (p *pair) room(t *rapid.T) chat.RoomID { return rapid.SampledFrom(p.rooms).Draw(t, "room") }
func (p *pair) user(t *rapid.T) chat.UserID { return rapid.SampledFrom(p.users).Draw(t, "user") }
func (p *pair) seq(t *rapid.T) chat.Seq     { return chat.Seq(rapid.IntRange(1, 12).Draw(t, "seq")) }

// slots are those of some rooms and users of the run.
func (p *pair) slots(t *rapid.T) *store.SlotSet {
	s := &store.SlotSet{}
	for i := range p.rooms {
		if rapid.Bool().Draw(t, "with room") {
			s.Add(p.rooms[i].Slot())
		}
		if rapid.Bool().Draw(t, "with user") {
			s.Add(p.users[i].Slot())
		}
	}
	return s
}

// online tells both of users who come and go.
func (p *pair) online(t *rapid.T, o []change.OnlineChange) {
	p.clock.Add(1)
	for _, w := range []*world{p.moving, p.still} {
		by := map[int][]change.OnlineChange{}
		for _, c := range o {
			for shard := range w.store.Shards() {
				if c.Room == "" || w.store.ShardOf(c.Room.Slot()) == shard {
					by[shard] = append(by[shard], c)
				}
			}
		}
		for shard, cs := range by {
			done := make(chan error, 1)
			w.lanes.SubmitTo(shard, &change.Online{Changes: cs}, func(_ change.Reply, err error) { done <- err })
			if err := <-done; err != nil {
				t.Fatalf("online: %v", err)
			}
		}
	}
}

// move orders a move, if none is going on.
func (p *pair) move(t *rapid.T, slots *store.SlotSet) {
	to := rapid.SampledFrom(p.moving.store.Shards()).Draw(t, "to").Name()
	_, err := p.moving.mover.Start(context.Background(), mover.Order{Slots: slots, To: []string{to}})
	if kind := chat.KindOf(err); err != nil && kind != chat.Conflict && kind != chat.Invalid {
		t.Fatalf("move: %v", err)
	}
}

// actions are what may happen next.
func (p *pair) actions(rt *rapid.T) map[string]func(*rapid.T) {
	both := func(t *rapid.T, c func() change.Change) { p.do(t, c(), c()) }
	return map[string]func(*rapid.T){
		"send": func(t *rapid.T) {
			room, user, key, text := p.room(t), p.user(t), rapid.SampledFrom([]string{"", "a", "b", "c", "d"}).Draw(t, "key"), rapid.SampledFrom([]string{"x", "y"}).Draw(t, "text")
			data := rapid.SampledFrom([][]byte{nil, []byte(`{"a":1}`)}).Draw(t, "data")
			both(t, func() change.Change {
				return &change.Send{Room: room, User: user, Draft: chat.Draft{Key: key, Text: text, Data: data}}
			})
		},
		"edit": func(t *rapid.T) {
			room, user, seq := p.room(t), p.user(t), p.seq(t)
			both(t, func() change.Change { return &change.Edit{Room: room, User: user, Seq: seq, Text: "edited"} })
		},
		"delete": func(t *rapid.T) {
			room, user, seq := p.room(t), p.user(t), p.seq(t)
			both(t, func() change.Change { return &change.Delete{Room: room, User: user, Seq: seq, Server: true} })
		},
		"react": func(t *rapid.T) {
			room, user, seq, on := p.room(t), p.user(t), p.seq(t), rapid.Bool().Draw(t, "on")
			emoji := rapid.SampledFrom([]string{"👍", "🎉"}).Draw(t, "emoji")
			both(t, func() change.Change { return &change.React{Room: room, User: user, Seq: seq, Emoji: emoji, On: on} })
		},
		"join": func(t *rapid.T) {
			room, user := p.room(t), p.user(t)
			both(t, func() change.Change {
				return &change.Join{Room: room, User: user, Create: &change.RoomSpec{Open: true, Title: "a room"}}
			})
			p.settle()
		},
		"member": func(t *rapid.T) {
			room, user, role := p.room(t), p.user(t), rapid.SampledFrom([]chat.Role{chat.RoleNone, chat.RoleMember, chat.RoleBanned, chat.RoleOwner}).Draw(t, "role")
			both(t, func() change.Change {
				return &change.SetMember{Room: room, User: user, Role: role, Server: true, Unban: true}
			})
			p.settle()
		},
		"read": func(t *rapid.T) {
			room, user, seq := p.room(t), p.user(t), p.seq(t)
			both(t, func() change.Change { return &change.Read{Room: room, User: user, Seq: seq} })
		},
		"profile": func(t *rapid.T) {
			user, name := p.user(t), rapid.SampledFrom([]string{"Ann", "Bob"}).Draw(t, "name")
			both(t, func() change.Change { return &change.SetUser{User: user, Name: &name} })
			p.settle()
		},
		"access": func(t *rapid.T) {
			user, at := p.user(t), int64(rapid.IntRange(1, 9).Draw(t, "not before"))
			both(t, func() change.Change { return &change.Access{User: user, NotBefore: at} })
		},
		"device": func(t *rapid.T) {
			user, at := p.user(t), int64(rapid.IntRange(1, 9).Draw(t, "at"))
			address := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "address")
			both(t, func() change.Change {
				return &change.RegisterDevice{User: user, Device: "d", Provider: "fcm", Address: address, At: at}
			})
		},
		"no device": func(t *rapid.T) {
			user := p.user(t)
			both(t, func() change.Change { return &change.DropDevice{User: user, Device: "d"} })
		},
		"owner of an address": func(t *rapid.T) {
			user, at, gone := p.user(t), int64(rapid.IntRange(1, 9).Draw(t, "at")), rapid.Bool().Draw(t, "gone")
			both(t, func() change.Change {
				return &change.ClaimAddress{Digest: "digest", User: user, Device: "d", At: at, Gone: gone}
			})
		},
		"push settings": func(t *rapid.T) {
			user, room, until := p.user(t), p.room(t), int64(rapid.IntRange(0, 2).Draw(t, "until"))
			both(t, func() change.Change { return &change.SetPush{User: user, Room: room, MuteUntil: &until} })
		},
		"set room": func(t *rapid.T) {
			room, title := p.room(t), rapid.SampledFrom([]string{"one", "two"}).Draw(t, "title")
			both(t, func() change.Change { return &change.SetRoom{Room: room, Server: true, Title: &title} })
		},
		"delete room": func(t *rapid.T) {
			room := p.room(t)
			both(t, func() change.Change { return &change.DeleteRoom{Room: room, Server: true} })
			p.settle()
		},
		"online": func(t *rapid.T) {
			var o []change.OnlineChange
			for range rapid.IntRange(1, 3).Draw(t, "changes") {
				o = append(o, change.OnlineChange{Room: p.room(t), User: p.user(t), Node: "n", On: rapid.Bool().Draw(t, "on")})
			}
			p.online(t, o)
		},
		"node gone": func(t *rapid.T) { p.online(t, []change.OnlineChange{{Node: "n"}}) },
		"move":      func(t *rapid.T) { p.move(t, p.slots(t)) },
		"abort": func(t *rapid.T) {
			if rapid.IntRange(0, 2).Draw(t, "not now") > 0 { // most moves shall be done
				return
			}
			if err := p.moving.mover.Abort(context.Background()); err != nil && chat.KindOf(err) != chat.Conflict {
				t.Fatalf("abort: %v", err)
			}
		},
		"pause": func(t *rapid.T) {
			_ = p.moving.mover.Pause(context.Background()) // nothing may be moving
			p.moving.mover.Resume(context.Background())
		},
		"restart": func(t *rapid.T) {
			p.moving.close()
			p.moving.open()
		},
	}
}

// end lets the move end, makes one that nothing disturbs, and compares all rows.
func (p *pair) end(t *rapid.T) {
	p.settle()
	p.idle(t)
	p.move(t, slotsOf(p.rooms...))
	p.idle(t)
	for _, s := range p.moving.mover.Moves(0) {
		if !s.Phase.Over() || s.Error != "" {
			t.Fatalf("%+v", s)
		}
	}
	set := &store.SlotSet{}
	for i := range p.rooms {
		set.Add(p.rooms[i].Slot())
		set.Add(p.users[i].Slot())
	}
	want := p.still.rows(shard(0), set)
	got := &store.Rows{}
	for slot := range set.All() {
		one := &store.SlotSet{}
		one.Add(slot)
		owner := p.moving.store.ShardOf(slot)
		for i, s := range p.moving.store.Shards() {
			if rows := p.moving.rows(s.Name(), one); i == owner {
				got.Add(rows)
			} else if rows.Len() > 0 {
				t.Fatalf("%s has %d rows of slot %d, which it does not own", s.Name(), rows.Len(), slot)
			}
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("the rows differ:\n got %+v\nwant %+v", got, want)
	}
	p.compareReads(t)
	p.moving.whole()
}

// idle waits until nothing moves.
func (p *pair) idle(t *rapid.T) {
	if !poll(30*time.Second, p.over) {
		t.Fatalf("it does not end: %+v", p.moving.mover.Moves(0))
	}
}

// over reports whether nothing moves, and counts how the moves have ended.
func (p *pair) over() bool {
	p.moved, p.aborted = 0, 0
	over := true
	for _, s := range p.moving.mover.Moves(0) {
		over = over && s.Phase.Over()
		switch s.Phase {
		case store.MoveDone:
			p.moved++
		case store.MoveAborted:
			p.aborted++
		}
	}
	return over
}

func (p *pair) compareReads(t *rapid.T) {
	ctx := context.Background()
	a, err1 := p.moving.store.ListRooms(ctx, store.RoomFilter{Limit: 10_000, Archived: true})
	b, err2 := p.still.store.ListRooms(ctx, store.RoomFilter{Limit: 10_000, Archived: true})
	if err := errors.Join(err1, err2); err != nil || !reflect.DeepEqual(a, b) {
		t.Fatalf("lists of rooms: %v\n got %+v\nwant %+v", err, a, b)
	}
	for _, room := range p.rooms {
		a, _, err1 := p.moving.store.Room(room).Messages(ctx, room, store.Page{Limit: 100})
		b, _, err2 := p.still.store.Room(room).Messages(ctx, room, store.Page{Limit: 100})
		if err := errors.Join(err1, err2); err != nil || len(a)+len(b) > 0 && !reflect.DeepEqual(a, b) {
			t.Fatalf("messages: %v\n got %+v\nwant %+v", err, a, b)
		}
		for after := range chat.Rev(3) {
			a, err1 := p.moving.store.Room(room).Delta(ctx, room, after, 50, 0)
			b, err2 := p.still.store.Room(room).Delta(ctx, room, after, 50, 0)
			if chat.KindOf(err1) != chat.KindOf(err2) || fmt.Sprintf("%+v", a) != fmt.Sprintf("%+v", b) { // no rows and nil are the same
				t.Fatalf("delta: %v %v\n got %+v\nwant %+v", err1, err2, a, b)
			}
		}
	}
}

// Whatever is done while slots move back and forth, nothing is lost, doubled or put in
// another order.
func TestModel(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	rapid.Check(t, func(t *rapid.T) {
		p.begin()
		t.Repeat(p.actions(t))
		p.end(t)
	})
	t.Logf("%d moves were done, %d aborted, in %d runs", p.moved, p.aborted, p.run)
	if p.moved < p.run/2 || p.aborted == 0 { // about as many are done as there are runs
		t.Errorf("too little was moved (%d) or aborted (%d)", p.moved, p.aborted)
	}
}

// Many senders at once, while their slots move to and fro: no send fails, each is there
// once, and those of a sender are in order.
func TestNoSendFails(t *testing.T) {
	t.Parallel()
	const rooms, senders, each, least = 8, 3, 150, 4
	w := newWorld(t, 2)
	w.cfg.PageRows = 50
	w.open()
	ids := make([]chat.RoomID, rooms)
	for i := range ids {
		ids[i] = chat.RoomID(fmt.Sprint("busy ", i))
		for s := range senders {
			w.must(&change.Join{Room: ids[i], User: chat.UserID(fmt.Sprint("sender ", s)), Create: &change.RoomSpec{Open: true}})
		}
	}
	var wg sync.WaitGroup
	sent := make(chan struct{})
	acks := make([][][]chat.Seq, rooms) // by room and sender
	for i := range ids {
		acks[i] = make([][]chat.Seq, senders)
		for s := range senders {
			wg.Go(func() { acks[i][s] = w.sendAll(ids[i], s, each) })
		}
	}
	slots := slotsOf(ids...)
	go func() { wg.Wait(); close(sent) }()
	flips, held := 0, int64(0)
	for sending := true; sending || flips < least; flips++ {
		held = max(held, w.move(slots, shard(flips%2)).HeldFor)
		select {
		case <-sent:
			sending = false
		default:
		}
	}
	total := 0
	for i, room := range ids {
		total += w.acknowledged(room, acks[i])
	}
	w.whole()
	t.Logf("%d messages over %d moves, which held changes for %d ms at most", total, flips, held)
	if total != rooms*senders*each {
		t.Errorf("only %d messages were sent", total)
	}
}

// sendAll sends one message after the other and returns their numbers.
func (w *world) sendAll(room chat.RoomID, sender, n int) (seqs []chat.Seq) {
	next := time.NewTicker(20 * time.Millisecond) // many moves see them
	defer next.Stop()
	for n := range n {
		r, err := w.lanes.Do(context.Background(), send(room, chat.UserID(fmt.Sprint("sender ", sender)), fmt.Sprint(n), fmt.Sprint(n)))
		if err != nil {
			w.t.Errorf("a send has failed: %v", err)
			return seqs
		}
		seqs = append(seqs, r.Seq)
		<-next.C
	}
	return seqs
}

// acknowledged compares a room with the numbers that its senders got, and returns how
// many there are.
func (w *world) acknowledged(room chat.RoomID, acks [][]chat.Seq) int {
	var all []chat.Seq
	for _, seqs := range acks {
		if !slices.IsSorted(seqs) {
			w.t.Errorf("%s: the messages of one sender are in another order", room)
		}
		all = append(all, seqs...)
	}
	slices.Sort(all)
	for n, seq := range all {
		if seq != chat.Seq(n+1) {
			w.t.Fatalf("%s: message %d has number %d", room, n+1, seq)
		}
	}
	r, err := w.store.Room(room).Room(w.t.Context(), room)
	if err != nil || r.LastSeq != chat.Seq(len(all)) || len(all) == 0 {
		w.t.Errorf("%s has %d messages, %d were acknowledged: %v", room, r.LastSeq, len(all), err)
	}
	return len(all)
}
