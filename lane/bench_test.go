package lane_test

import (
	"context"
	"strconv"
	"sync"
	"testing"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/store"
)

// memory is a driver that keeps nothing: what a commit costs without a disk.
type memory struct{ store.Driver }

func (memory) Acquire(context.Context, store.LaneID) (store.Position, error) {
	return store.Position{Epoch: 1}, nil
}
func (memory) Load(context.Context, *store.Need) (*store.State, error) { return store.NewState(), nil }
func (memory) Commit(context.Context, store.LaneID, store.Position, *store.Changes) error {
	return nil
}
func (memory) Close() error { return nil }

// BenchmarkSend is a message's way from Submit to its ack, without a disk, 64 at
// a time in 50 rooms.
func BenchmarkSend(b *testing.B) {
	for _, keys := range []bool{false, true} {
		b.Run("keys="+strconv.FormatBool(keys), func(b *testing.B) { benchSend(b, keys) })
	}
}

func benchSend(b *testing.B, keys bool) {
	st, err := store.New(store.NewMap([]string{"memory"}), []store.Driver{memory{}}, nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	ls, err := lane.Open(b.Context(), lane.Config{Store: st, Publish: func(*bus.Batch) error { return nil }})
	if err != nil {
		b.Fatal(err)
	}
	defer ls.Close()
	rooms := make([]chat.RoomID, 50)
	for i := range rooms {
		rooms[i] = chat.RoomID("room " + strconv.Itoa(i))
		if _, err := ls.Do(b.Context(), &change.Join{Room: rooms[i], User: "ann", Create: &change.RoomSpec{Open: true}}); err != nil {
			b.Fatal(err)
		}
	}
	text := string(make([]byte, 120))
	slots := make(chan struct{}, 64)
	var wg sync.WaitGroup
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		slots <- struct{}{}
		wg.Add(1)
		op := &change.Send{Room: rooms[i%len(rooms)], User: "ann", Draft: chat.Draft{Text: text}}
		if keys {
			op.Draft.Key = strconv.Itoa(i)
		}
		ls.Submit(op, func(_ change.Reply, err error) {
			if err != nil {
				b.Error(err)
			}
			<-slots
			wg.Done()
		})
	}
	wg.Wait()
}
