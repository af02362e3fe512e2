package notify

import (
	"context"
	"sync"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// newest is how many messages are looked at to find one that can be shown.
const newest = 8

// told is what jobs that are taken together tell of: the recipients of a message are told
// the same, and their rooms are read once. It is dropped with the jobs, so that what it
// holds is never older than they are. Safe for concurrent use.
type told struct {
	ctx   context.Context // of the crew
	store *store.Store

	mu    sync.Mutex
	rooms map[toldKey]func() (*toldRoom, error) // guarded by mu; the functions read once
}

type toldKey struct {
	room chat.RoomID
	seq  chat.Seq
}

// toldRoom is a room with its newest messages up to a seq, in order.
type toldRoom struct {
	room     chat.Room
	messages []chat.Message
}

func (t *told) of(room chat.RoomID, seq chat.Seq) (*toldRoom, error) {
	key := toldKey{room, seq}
	t.mu.Lock()
	read := t.rooms[key]
	if read == nil {
		read = sync.OnceValues(func() (*toldRoom, error) { return t.read(key) })
		t.rooms[key] = read
	}
	t.mu.Unlock()
	return read()
}

// read returns nil if the room is gone.
func (t *told) read(key toldKey) (*toldRoom, error) {
	reader := t.store.Room(key.room)
	r, err := reader.Room(t.ctx, key.room)
	if chat.KindOf(err) == chat.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	ms, _, err := reader.Messages(t.ctx, key.room, store.Page{Before: key.seq + 1, Limit: newest})
	if err != nil {
		return nil, err
	}
	return &toldRoom{r, ms}, nil
}
