package engine_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/store"
)

// halting is a driver whose database can be halted: it takes questions and does not
// answer.
type halting struct {
	store.Driver
	until atomic.Pointer[chan struct{}] // the end of it, nil while the database answers
	asked chan struct{}                 // holds a token for each of the first questions meanwhile
}

func (h *halting) wait(ctx context.Context) error {
	until := h.until.Load()
	if until == nil {
		return nil
	}
	select {
	case h.asked <- struct{}{}:
	default:
	}
	select {
	case <-*until:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *halting) Load(ctx context.Context, need *store.Need) (*store.State, error) {
	if err := h.wait(ctx); err != nil {
		return nil, err
	}
	return h.Driver.Load(ctx, need)
}

func (h *halting) Commit(ctx context.Context, lane store.LaneID, at store.Position, ch *store.Changes) error {
	if err := h.wait(ctx); err != nil {
		return err
	}
	return h.Driver.Commit(ctx, lane, at, ch)
}

func (h *halting) Member(ctx context.Context, room chat.RoomID, user chat.UserID) (chat.Member, error) {
	if err := h.wait(ctx); err != nil {
		return chat.Member{}, err
	}
	return h.Driver.Member(ctx, room, user)
}

func (h *halting) UserRoom(ctx context.Context, user chat.UserID, room chat.RoomID) (store.UserRoom, error) {
	if err := h.wait(ctx); err != nil {
		return store.UserRoom{}, err
	}
	return h.Driver.UserRoom(ctx, user, room)
}

func (h *halting) Users(ctx context.Context, users []chat.UserID) ([]chat.User, error) {
	if err := h.wait(ctx); err != nil {
		return nil, err
	}
	return h.Driver.Users(ctx, users)
}

func (h *halting) Access(ctx context.Context, user chat.UserID) (chat.Access, error) {
	if err := h.wait(ctx); err != nil {
		return chat.Access{}, err
	}
	return h.Driver.Access(ctx, user)
}

// A shard whose database does not answer keeps only those waiting who need it: crowds that
// join its rooms, whose users are in it, or who authenticate as its users. Those who
// use other shards alone join, read and write as before.
func TestAHaltedShardStallsNoOther(t *testing.T) {
	const kinds = 3 // of questions: a join, a lookup, a lane
	var mu sync.Mutex
	shards := map[store.Driver]*halting{}
	n := makeNode(t, time.Now, func(d store.Driver) store.Driver {
		mu.Lock()
		defer mu.Unlock()
		shards[d] = &halting{Driver: d, asked: make(chan struct{}, kinds)}
		return shards[d]
	}, nil)
	room := func(shard int) chat.RoomID {
		for i := 0; ; i++ {
			if r := chat.RoomID(fmt.Sprint("room ", i)); n.store.ShardOf(r.Slot()) == shard {
				return r
			}
		}
	}
	user := func(shard, number int) chat.UserID {
		for i := 0; ; i++ {
			u := chat.UserID(fmt.Sprint("user ", number, " ", i))
			if n.store.ShardOf(u.Slot()) == shard {
				return u
			}
		}
	}
	const crowd = 20 // more than there are permits
	dead, alive := room(0), room(1)
	join := func(ctx context.Context, u chat.UserID, r chat.RoomID) error {
		_, err := n.Join(ctx, as(u), r, engine.JoinOptions{})
		return err
	}
	for i := range crowd {
		for _, r := range []chat.RoomID{dead, alive} {
			for shard := range 2 {
				if err := join(t.Context(), user(shard, i), r); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	halted := n.halt(t, shards, dead)

	waiting, giveUp := context.WithCancel(t.Context())
	var crowds sync.WaitGroup
	for i := range crowd {
		crowds.Go(func() { _ = join(waiting, user(1, i), dead) })
		crowds.Go(func() { _ = join(waiting, user(0, i), alive) })
		crowds.Go(func() { _, _ = n.Access(waiting, user(0, i)) })
		crowds.Go(func() { _, _ = n.Do(waiting, as(user(1, i)), &change.Send{Room: dead, Draft: chat.Draft{Text: "x"}}) })
	}
	deadline := time.After(20 * time.Second)
	for i := range kinds {
		select {
		case <-halted.asked:
		case <-deadline:
			t.Fatalf("%d questions wait", i)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for i := range crowd {
		u := user(1, i)
		if err := join(ctx, u, alive); err != nil {
			t.Fatalf("a join of another shard: %v", err)
		}
		if _, err := n.Access(ctx, user(1, crowd+i)); err != nil {
			t.Fatalf("a user of another shard authenticates: %v", err)
		}
		if _, err := n.Do(ctx, as(u), &change.Send{Room: alive, Draft: chat.Draft{Text: "x"}}); err != nil {
			t.Fatalf("a message to another shard: %v", err)
		}
		if _, err := n.History(ctx, as(u), alive, store.Page{}, engine.Around{}); err != nil {
			t.Fatalf("history of another shard: %v", err)
		}
	}
	giveUp()
	close(*halted.until.Swap(nil))
	crowds.Wait()
}

// Tokens that a lane ends after the call has given up are ended in memory too, here and
// where other nodes are told.
func TestTokensEndBehindACallThatGaveUp(t *testing.T) {
	var mu sync.Mutex
	var shards []*halting
	changed := make(chan bool, 1)
	n := makeNode(t, time.Now, func(d store.Driver) store.Driver {
		mu.Lock()
		defer mu.Unlock()
		shards = append(shards, &halting{Driver: d})
		return shards[len(shards)-1]
	}, func(c *engine.Config) {
		c.UserChanged = func(_ chat.UserID, claimed bool) { changed <- claimed }
	})
	if a, err := n.Access(t.Context(), "ann"); err != nil || a.NotBefore != 0 { // is remembered
		t.Fatalf("%+v, %v", a, err)
	}
	until := make(chan struct{})
	for _, h := range shards {
		h.until.Store(&until)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := n.EndTokens(gone, "ann")
	wantKind(t, "while the database is silent", err, chat.Unavailable)
	for _, h := range shards {
		h.until.Store(nil)
	}
	close(until)
	select {
	case claimed := <-changed:
		if !claimed {
			t.Error("the id is not claimed")
		}
	case <-time.After(20 * time.Second):
		t.Fatal("other nodes are not told")
	}
	if a, err := n.Access(t.Context(), "ann"); err != nil || a.NotBefore == 0 || !a.Claimed {
		t.Errorf("%+v, %v", a, err)
	}
}

// halt halts the database of a room's shard.
func (n *node) halt(t *testing.T, shards map[store.Driver]*halting, room chat.RoomID) *halting {
	for _, h := range shards {
		if _, err := h.Driver.Room(t.Context(), room); err == nil {
			until := make(chan struct{})
			h.until.Store(&until)
			return h
		}
	}
	t.Fatal("no shard has the room")
	return nil
}
