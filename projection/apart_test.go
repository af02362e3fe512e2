package projection_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/outbox"
	"github.com/roomtide/roomtide/projection"
	"github.com/roomtide/roomtide/store"
)

// consume does all that a consumer has to do for an entry.
func consume(t *testing.T, c outbox.Consumer, e *store.Entry) error {
	t.Helper()
	parts, err := c.Parts(t.Context(), 0, e)
	if err != nil {
		return err
	}
	var errs []error
	for _, p := range parts {
		errs = append(errs, p.Do(t.Context()))
	}
	return errors.Join(errs...)
}

// silent are lanes of which those of one shard do not answer until it is over.
type silent struct {
	projection.Lanes
	store *store.Store

	mu    sync.Mutex
	shard int // -1: all answer
	asked int
	held  []func()
}

func (s *silent) Submit(c change.Change, done change.Done) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store.ShardOf(c.Slot()) != s.shard {
		s.Lanes.Submit(c, done)
		return
	}
	s.asked++
	s.held = append(s.held, func() { s.Lanes.Submit(c, done) })
}

func (s *silent) over() {
	s.mu.Lock()
	s.shard = -1
	held := s.held
	s.held = nil
	s.mu.Unlock()
	for _, submit := range held {
		submit()
	}
}

// Users and rooms of a shard that does not answer hold up those of no other, in whichever
// shard the room or the user is that has changed; when it answers again all is in step.
func TestAShardThatDoesNotAnswer(t *testing.T) {
	w := newWorld(t)
	w.catchUp()
	in := func(shard int, begin string) string {
		for i := 0; ; i++ {
			if id := fmt.Sprint(begin, i); w.store.ShardOf(chat.RoomID(id).Slot()) == shard {
				return id
			}
		}
	}
	lanes := &silent{Lanes: w.lanes, store: w.store, shard: 0}
	var err error
	w.outbox, err = outbox.Open(t.Context(), outbox.Config{
		Store: w.store, Lanes: w.lanes, Consumers: []outbox.Consumer{projection.UserRooms(w.store, lanes), projection.Names(w.store, lanes)},
	})
	if err != nil {
		t.Fatal(err)
	}
	ann, bob := chat.UserID(in(0, "ann")), chat.UserID(in(1, "bob"))
	rooms := map[chat.UserID]int{}
	for i := range 5 {
		for shard := range 2 {
			room := chat.RoomID(in(shard, fmt.Sprint("room", i, "-")))
			w.join(room, ann, bob)
			rooms[ann]++
			rooms[bob]++
			w.await(func() bool { return len(w.rooms(bob)) == rooms[bob] })
		}
	}
	name := "Bob"
	w.do(&change.SetUser{User: bob, Name: &name})
	there, held := chat.RoomID(in(1, "room4-")), chat.RoomID(in(0, "room4-"))
	w.await(func() bool { return w.member(there, bob).Name == name })
	w.await(func() bool { lanes.mu.Lock(); defer lanes.mu.Unlock(); return lanes.asked >= 2 }) // both consumers wait
	if n := len(w.rooms(ann)); n != 0 || w.member(held, bob).Name == name {
		t.Errorf("the shard has answered: %d rooms", n)
	}
	lanes.over()
	w.await(func() bool { return len(w.rooms(ann)) == rooms[ann] && w.member(held, bob).Name == name })
}

func (w *world) member(room chat.RoomID, user chat.UserID) chat.Member {
	w.t.Helper()
	m, err := w.store.Room(room).Member(w.t.Context(), room, user)
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// await asks until it is so.
func (w *world) await(ok func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatal("not within 30 s")
		}
	}
}
