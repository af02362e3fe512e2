package roomcache_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/teststore"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/roomcache"
	"github.com/roomtide/roomtide/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world has a lane, which commits, and a cache, which hears of it when the test says so.
type world struct {
	*testing.T
	store *store.Store
	lanes *lane.Lanes
	cache *roomcache.Cache
	asked *asked

	mu      sync.Mutex
	batches []bus.Batch // not heard yet
}

// asked counts what the database is asked.
type asked struct {
	store.Driver
	reads, positions atomic.Int64
	hold             chan struct{} // a question for the position waits for it; nil: it does not
}

func (a *asked) Room(ctx context.Context, room chat.RoomID) (chat.Room, error) {
	a.reads.Add(1)
	return a.Driver.Room(ctx, room)
}

func (a *asked) Member(ctx context.Context, room chat.RoomID, user chat.UserID) (chat.Member, error) {
	a.reads.Add(1)
	return a.Driver.Member(ctx, room, user)
}

func (a *asked) Members(ctx context.Context, room chat.RoomID, role chat.Role, after chat.UserID, limit int) ([]chat.Member, error) {
	a.reads.Add(1)
	return a.Driver.Members(ctx, room, role, after, limit)
}

func (a *asked) Messages(ctx context.Context, room chat.RoomID, p store.Page) ([]chat.Message, bool, error) {
	a.reads.Add(1)
	return a.Driver.Messages(ctx, room, p)
}

func (a *asked) Position(ctx context.Context, lane store.LaneID) (int64, error) {
	a.positions.Add(1)
	if a.hold != nil {
		<-a.hold
	}
	return a.Driver.Position(ctx, lane)
}

func newWorld(t *testing.T, bytes int) *world {
	w := &world{T: t, asked: &asked{}}
	w.store = teststore.Open(t, t.TempDir(), 1, func(d store.Driver) store.Driver {
		w.asked.Driver = d
		return w.asked
	})
	var err error
	w.lanes, err = lane.Open(t.Context(), lane.Config{Store: w.store, Publish: w.publish})
	if err != nil {
		t.Fatal(err)
	}
	w.cache = roomcache.New(roomcache.Config{Store: w.store, Bytes: bytes})
	t.Cleanup(func() {
		w.lanes.Close()
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) publish(b *bus.Batch) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	kept := *b
	kept.Rooms = slices.Clone(b.Rooms)
	w.batches = append(w.batches, kept)
	return nil
}

// do makes a change, refused or not, and returns when its batch is published.
func (w *world) do(c change.Change) {
	w.Helper()
	_, err := w.lanes.Do(w.Context(), c)
	if err != nil && (chat.KindOf(err) == chat.Unavailable || chat.KindOf(err) == chat.Internal) {
		w.Fatal(err)
	}
	w.lanes.Flush(w.Context())
}

// hear has the cache hear so many of the batches that wait, or lose them.
func (w *world) hear(n int, lost bool) {
	w.mu.Lock()
	now := w.batches[:n]
	w.batches = w.batches[n:]
	w.mu.Unlock()
	for i := range now {
		if !lost {
			w.cache.Heard(&now[i])
		}
	}
}

func (w *world) waiting() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.batches)
}

func (w *world) hearAll() { w.hear(w.waiting(), false) }

func (w *world) join(room chat.RoomID, users ...chat.UserID) {
	w.Helper()
	for _, u := range users {
		w.do(&change.Join{Room: room, User: u, Create: &change.RoomSpec{Open: true}})
	}
}

func send(room chat.RoomID, user chat.UserID, text string) *change.Send {
	return &change.Send{Room: room, User: user, Draft: chat.Draft{Text: text}}
}

// answer is what a question reads, as text.
func answer(ctx context.Context, k reader, room chat.RoomID, user chat.UserID, limit int) string {
	r, none := k.Room(ctx)
	m, absent := k.Member(ctx, user)
	ms, err1 := k.Members(ctx, limit)
	newest, more, err2 := k.Newest(ctx, limit, 1<<20)
	return fmt.Sprintf("%+v %v\n%+v %v\n%+v %v\n%+v %v %v", r, chat.KindOf(none), m, chat.KindOf(absent), ms, err1, newest, more, err2)
}

type reader interface {
	Room(ctx context.Context) (chat.Room, error)
	Member(ctx context.Context, user chat.UserID) (chat.Member, error)
	Members(ctx context.Context, limit int) ([]chat.Member, error)
	Newest(ctx context.Context, limit, bytes int) ([]chat.Message, bool, error)
}

// direct reads the database.
type direct struct {
	store.Driver
	room chat.RoomID
}

func (d direct) Room(ctx context.Context) (chat.Room, error) { return d.Driver.Room(ctx, d.room) }

func (d direct) Member(ctx context.Context, user chat.UserID) (chat.Member, error) {
	return d.Driver.Member(ctx, d.room, user)
}

func (d direct) Members(ctx context.Context, limit int) ([]chat.Member, error) {
	return d.Driver.Members(ctx, d.room, chat.RoleNone, "", limit)
}

func (d direct) Newest(ctx context.Context, limit, bytes int) ([]chat.Message, bool, error) {
	return d.Driver.Messages(ctx, d.room, store.Page{Limit: limit, Bytes: bytes})
}

// check holds a question against the database, and reports how often that was asked for it.
func (w *world) check(when string, room chat.RoomID, user chat.UserID, limit int) (reads int64) {
	w.Helper()
	before := w.asked.reads.Load()
	got := answer(w.Context(), w.cache.Look(w.Context(), room), room, user, limit)
	reads = w.asked.reads.Load() - before
	if want := answer(w.Context(), direct{w.asked.Driver, room}, room, user, limit); got != want {
		w.Fatalf("%s: the cache says\n%s\nthe database\n%s", when, got, want)
	}
	return reads
}

func TestRepeatedQuestionsAreAnsweredFromMemory(t *testing.T) {
	w := newWorld(t, 0)
	w.join("r", "ann", "bob")
	w.hearAll()
	for i, tt := range []struct {
		name  string
		do    change.Change
		reads int64
	}{
		{"at first", &change.Nop{}, 4},
		{"again", &change.Nop{}, 0},
		{"a message", send("r", "ann", "hello"), 0},
		{"another one", send("r", "bob", "hello"), 0},
		{"a change elsewhere", &change.Join{Room: "other", User: "ann", Create: &change.RoomSpec{}}, 0},
		{"an edit", &change.Edit{Room: "r", Seq: 1, User: "ann", Text: "edited"}, 1},
		{"a reaction", &change.React{Room: "r", Seq: 1, User: "ann", Emoji: "+", On: true}, 1},
		{"a new member", &change.Join{Room: "r", User: "cid"}, 4},
	} {
		w.do(tt.do)
		w.hearAll()
		positions := w.asked.positions.Load()
		if reads := w.check(tt.name, "r", "ann", 10); reads != tt.reads {
			t.Errorf("%s: %d reads, want %d", tt.name, reads, tt.reads)
		}
		if asked := w.asked.positions.Load() - positions; asked > 1 || asked == 0 && i > 0 && tt.reads < 4 {
			t.Errorf("%s: the position was asked for %d times", tt.name, asked)
		}
	}
}

// Whatever the bus does, an answer is that of the database.
func TestAnswersAreThoseOfTheDatabase(t *testing.T) {
	const steps = 400
	for _, bytes := range []int{0, 8 << 10} {
		seed := rand.Uint64()
		t.Run(fmt.Sprint("bytes ", bytes, " seed ", seed), func(t *testing.T) {
			w, r := newWorld(t, bytes), rand.New(rand.NewPCG(seed, 0))
			rooms, users := []chat.RoomID{"a", "b", "c"}, []chat.UserID{"ann", "bob", "cid", "dee"}
			for _, room := range rooms {
				w.join(room, users...)
			}
			memory := 0
			for step := range steps {
				room, user := rooms[r.IntN(len(rooms))], users[r.IntN(len(users))]
				w.do(randomChange(r, room, user))
				switch n := w.waiting(); r.IntN(10) {
				case 0: // the bus is slow
				case 1:
					w.hear(r.IntN(n+1), true)
				default:
					w.hear(n, false)
				}
				for range r.IntN(3) {
					room := rooms[r.IntN(len(rooms))]
					if w.check(fmt.Sprint("step ", step), room, users[r.IntN(len(users))], 1+r.IntN(30)) == 0 {
						memory++
					}
				}
			}
			if memory == 0 {
				t.Error("no question was answered from memory")
			}
		})
	}
}

func randomChange(r *rand.Rand, room chat.RoomID, user chat.UserID) change.Change {
	seq := chat.Seq(1 + r.IntN(20))
	title := fmt.Sprint(r.IntN(100))
	switch r.IntN(14) {
	case 0:
		return &change.Edit{Room: room, Seq: seq, User: user, Text: "edited " + title}
	case 1:
		return &change.Delete{Room: room, Seq: seq, User: user}
	case 2:
		return &change.React{Room: room, Seq: seq, User: user, Emoji: "+", On: r.IntN(2) == 0}
	case 3:
		return &change.Leave{Room: room, User: user}
	case 4:
		return &change.SetMember{Room: room, User: user, Server: true, Role: chat.RoleBanned}
	case 5:
		return &change.SetMember{Room: room, User: user, Server: true, Role: chat.RoleMember}
	case 6:
		return &change.SetRoom{Room: room, Server: true, Title: &title}
	case 7:
		if r.IntN(5) == 0 {
			return &change.DeleteRoom{Room: room, Server: true}
		}
		return &change.Nop{}
	case 8, 9:
		return &change.Join{Room: room, User: user, Create: &change.RoomSpec{Open: true}}
	}
	return &change.Send{Room: room, User: user, Draft: chat.Draft{Text: "message " + title, Data: []byte(`{"n":1}`), Mentions: []chat.UserID{"ann"}}}
}

// A question waits for a batch that was committed before it came, and is answered from memory
// then.
func TestAQuestionWaitsForTheBus(t *testing.T) {
	w := newWorld(t, 0)
	w.join("r", "ann")
	w.hearAll()
	w.check("at first", "r", "ann", 10)
	w.asked.hold = make(chan struct{})
	w.do(send("r", "ann", "late"))
	type outcome struct {
		room  chat.Room
		reads int64
	}
	done := make(chan outcome)
	go func() {
		before := w.asked.reads.Load()
		room, _ := w.cache.Look(t.Context(), "r").Room(t.Context())
		done <- outcome{room, w.asked.reads.Load() - before}
	}()
	w.asked.hold <- struct{}{} // it asks now
	w.hearAll()
	if o := <-done; o.room.LastSeq != 1 {
		t.Errorf("%+v, with a message that was committed before", o)
	}
}

// Questions that wait while the database is asked share the next answer; none of them takes
// the one that was asked for before it came.
func TestProofsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0)
		w.join("r", "ann")
		w.hearAll()
		w.check("at first", "r", "ann", 10)
		w.asked.hold = make(chan struct{})
		before := w.asked.positions.Load()
		var all sync.WaitGroup
		look := func() { all.Go(func() { w.cache.Look(t.Context(), "r") }) }
		look()
		synctest.Wait() // it is held while it asks
		for range 20 {
			look()
		}
		synctest.Wait()
		w.asked.hold <- struct{}{}
		synctest.Wait()
		w.asked.hold <- struct{}{}
		all.Wait()
		if n := w.asked.positions.Load() - before; n != 2 {
			t.Errorf("21 questions asked %d times, want 2", n)
		}
	})
}

// A room that has been in another lane may have changed there: no room is kept by a map that is
// not in force any more.
func TestAnotherMap(t *testing.T) {
	w := newWorld(t, 0)
	w.join("r", "ann")
	w.hearAll()
	w.check("at first", "r", "ann", 10)
	var slots store.SlotSet
	slots.Add(chat.RoomID("r").Slot())
	if err := w.store.Assign(t.Context(), &slots, 0, w.store.MapVersion()); err != nil {
		t.Fatal(err)
	}
	if reads := w.check("with another map", "r", "ann", 10); reads != 4 {
		t.Errorf("%d reads, want 4", reads)
	}
	if reads := w.check("again", "r", "ann", 10); reads != 0 {
		t.Errorf("again: %d reads", reads)
	}
}

// What is kept stays within its bound.
func TestBound(t *testing.T) {
	w := newWorld(t, 10<<10)
	for i := range 60 {
		room := chat.RoomID(fmt.Sprint("room", i))
		w.join(room, "ann")
		for range 3 {
			w.do(send(room, "ann", "hello"))
		}
		w.hearAll()
		w.check("fill", room, "ann", 10)
	}
	if w.check("the last one", "room59", "ann", 10) != 0 {
		t.Error("the room used last is not kept")
	}
	if w.check("the first one", "room0", "ann", 10) == 0 {
		t.Error("60 rooms are kept in 10 KiB")
	}
}

// A membership that is read behind messages has not ended before one of them, though the bus
// has not brought its end yet.
func TestAMembershipBehindMessages(t *testing.T) {
	w := newWorld(t, 0)
	w.join("r", "ann", "bob")
	for range 3 {
		w.do(send("r", "ann", "hello"))
	}
	w.hearAll()
	w.check("the first time", "r", "bob", 2)
	if reads := w.check("again", "r", "bob", 2); reads != 0 {
		t.Fatalf("%d reads: nothing is kept", reads)
	}
	for _, ends := range []bool{false, true} {
		limit := 2 // from memory
		k := w.cache.Look(t.Context(), "r")
		if ends {
			limit = 5 // from the database
			w.do(&change.SetMember{Room: "r", User: "bob", Role: chat.RoleNone, Server: true})
			w.do(send("r", "ann", "bob is gone"))
		}
		before := w.asked.reads.Load()
		if _, _, err := k.Newest(t.Context(), limit, 1<<20); err != nil {
			t.Fatal(err)
		}
		m, err := k.Member(t.Context(), "bob")
		if err != nil || m.Role.Present() == ends {
			t.Errorf("%d messages: %v, %v", limit, m.Role, err)
		}
		if reads := w.asked.reads.Load() - before; !ends && reads != 0 {
			t.Errorf("%d reads", reads)
		}
	}
}
