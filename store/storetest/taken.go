package storetest

import (
	"bytes"
	"math"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// checkTaken holds what a lane has taken against Changes.Taken and Writer.Taken.
func checkTaken(t *testing.T, d store.Driver) {
	sameTaken(t, d, 0, store.Taken{}) // of a lane that does not exist
	w := newWorld(t, d)
	sameTaken(t, d, 0, store.Taken{})

	const odd = "\x00'\\\xff one" // bytes that text has not
	senders := []byte(odd)
	w.write(store.Changes{Taken: &store.Taken{Queue: 7, Senders: senders}}) // alone
	stands := store.Taken{Queue: 7, Senders: []byte(odd)}
	senders[1] = 'X' // the driver keeps nothing it was given
	sameTaken(t, d, 0, stands)
	get(d.Taken(ctx, 0))(t).Senders[1] = 'Y' // and shares nothing it returns
	sameTaken(t, d, 0, stands)

	w.post("r", "ann", "hello", "key")
	w.commit() // nil: it stays
	sameTaken(t, d, 0, stands)
	for _, stands = range []store.Taken{ // all of it is replaced, also by less
		{Queue: math.MaxInt64, Senders: bytes.Repeat([]byte{0, 0xff, '\'', '\\'}, store.TakenBytes/4)},
		{Queue: 3},
		{Queue: 1<<53 + 1, Senders: []byte("three")},
	} {
		w.post("r", "ann", "hello", "")
		w.batch.more.Taken = &stands
		w.commit()
		sameTaken(t, d, 0, stands)
		w.verify()
	}
	takenByOthers(t, d, w, stands)
	same(t, "faults", get(d.Check(ctx, nil))(t), nil)
}

// takenByOthers goes on with another owner, and with another lane.
func takenByOthers(t *testing.T, d store.Driver, w *world, stands store.Taken) {
	t.Helper()
	next := get(d.Acquire(ctx, 0))(t)
	sameTaken(t, d, 0, stands)
	bad := &store.Changes{Taken: &store.Taken{Queue: 99, Senders: []byte("bad")}}
	wantKind(t, d.Commit(ctx, 0, w.at, bad), chat.Fenced) // and nothing is written
	sameTaken(t, d, 0, stands)
	bad.Insert = []chat.Message{w.message("r", 1)}
	wantKind(t, d.Commit(ctx, 0, next, bad), chat.Conflict)
	sameTaken(t, d, 0, stands)

	at := get(d.Acquire(ctx, 1))(t)
	sameTaken(t, d, 1, store.Taken{})
	own := store.Taken{Queue: 1, Senders: []byte("of another lane")}
	must(t, d.Commit(ctx, 1, at, &store.Changes{Taken: &own}))
	sameTaken(t, d, 1, own)
	sameTaken(t, d, 0, stands)
	w.at = next
	w.post("r", "ann", "goes on", "")
	w.commit()
	w.verify()
}

// sameTaken compares what is stored of a lane. No senders and nil are the same thing.
func sameTaken(t *testing.T, d store.Driver, lane store.LaneID, want store.Taken) {
	t.Helper()
	got := get(d.Taken(ctx, lane))(t)
	if got.Queue != want.Queue || !bytes.Equal(got.Senders, want.Senders) {
		t.Fatalf("lane %d has taken %d and %.40q, want %d and %.40q", lane, got.Queue, got.Senders, want.Queue, want.Senders)
	}
}

// checkSent asks what came of messages, by their keys.
func checkSent(t *testing.T, d store.Driver) {
	sent := func(lane store.LaneID, room chat.RoomID, user chat.UserID, key string, wantQueue uint64, want *chat.Message) {
		t.Helper()
		m, queue, err := d.Sent(ctx, lane, store.MessageKey{Room: room, User: user, Key: key})
		must(t, err)
		if queue != wantQueue {
			t.Errorf("the queue is taken up to %d, want %d", queue, wantQueue)
		}
		same(t, "message", m, want)
	}
	sent(0, "r", "ann", "key", 0, nil)
	w := newWorld(t, d)
	w.post("r", "ann", "one", "key")
	w.post("r", "bob", "two", "key")
	w.post("r", "ann", "three", "")
	w.room("s")
	w.batch.more.Taken = &store.Taken{Queue: 1<<53 + 1, Senders: []byte("one")}
	w.commit()
	one, two := w.message("r", 1), w.message("r", 2)
	sent(0, "r", "ann", "key", 1<<53+1, &one)
	sent(1, "r", "bob", "key", 0, &two)
	for _, k := range []store.MessageKey{{Room: "r", User: "ann", Key: "KEY"}, {Room: "r", User: "cyd", Key: "key"}, {Room: "s", User: "ann", Key: "key"}, {Room: "none", User: "ann", Key: "key"}} {
		sent(0, k.Room, k.User, k.Key, 1<<53+1, nil)
	}
	w.remove("r", 1) // a tombstone still answers for its key
	w.commit()
	one = w.message("r", 1)
	sent(0, "r", "ann", "key", 1<<53+1, &one)

	room := w.rooms["r"].Room
	room.Deleted = true
	w.write(store.Changes{Rooms: []chat.Room{room}})
	sent(0, "r", "bob", "key", 1<<53+1, nil)
}
