package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/ingest"
)

// world is a queue in memory, and the rooms that take what is in it.
type world struct {
	t      *testing.T
	reader *ingest.Reader

	mu sync.Mutex

	// Guarded by mu.
	queue  []ingest.Entry
	at     int // of queue that was read
	most   []int
	failed []string
	broken error // of all calls of the source
	closed bool
	rooms  map[chat.RoomID][]string
	refuse map[chat.RoomID]error
	held   []func() // outcomes of rooms that are slow
	slow   map[chat.RoomID]bool
}

func start(t *testing.T) *world {
	w := &world{t: t, rooms: map[chat.RoomID][]string{}, refuse: map[chat.RoomID]error{}, slow: map[chat.RoomID]bool{}}
	w.reader = ingest.Start(ingest.Config{Name: "q", Source: w, Prepare: w.prepare})
	return w
}

// do changes the world, and waits until nothing happens by itself.
func (w *world) do(change func()) {
	w.mu.Lock()
	change()
	w.mu.Unlock()
	synctest.Wait()
}

func (w *world) put(texts ...string) {
	w.do(func() {
		for _, text := range texts {
			w.queue = append(w.queue, ingest.Entry{ID: text, Data: []byte(text), Size: len(text)})
		}
	})
}

func (w *world) want(room chat.RoomID, texts ...string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(w.rooms[room], texts) {
		w.t.Errorf("room %s has %q, want %q", room, w.rooms[room], texts)
	}
}

// pass lets time pass.
func pass(d time.Duration) {
	time.Sleep(d) // of the bubble, in which nothing waits for the clock of the machine
	synctest.Wait()
}

// prepare reads room:text.
func (w *world) prepare(e ingest.Entry) (ingest.Message, error) {
	room, text, ok := strings.Cut(string(e.Data), ":")
	if !ok {
		return ingest.Message{}, chat.E(chat.Invalid, "there is no room in it")
	}
	id := chat.RoomID(room)
	return ingest.Message{Room: id, Send: func(_ context.Context, done func(bool, error)) {
		w.mu.Lock()
		defer w.mu.Unlock()
		err := w.refuse[id]
		if err == nil && !slices.Contains(w.rooms[id], text) { // the key
			w.rooms[id] = append(w.rooms[id], text)
		}
		if w.slow[id] {
			w.held = append(w.held, func() { done(false, err) })
			return
		}
		done(false, err)
	}}, nil
}

func (w *world) Read(ctx context.Context, most int) ([]ingest.Entry, error) {
	for range 10 {
		w.mu.Lock()
		w.most = append(w.most, most)
		n := min(most, len(w.queue)-w.at)
		got, err := slices.Clone(w.queue[w.at:w.at+n]), w.broken
		if err == nil {
			w.at += n
		}
		if errors.Is(err, ingest.ErrElsewhere) {
			w.at = 0
		}
		w.mu.Unlock()
		if err != nil {
			return nil, err
		}
		if n > 0 || most == 0 {
			return got, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil, nil
}

func (w *world) remove(id string) {
	if i := slices.IndexFunc(w.queue, func(e ingest.Entry) bool { return e.ID == id }); i >= 0 {
		w.queue = slices.Delete(w.queue, i, i+1)
		if i < w.at {
			w.at--
		}
	}
}

func (w *world) Done(_ context.Context, ids []string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken != nil {
		return w.broken
	}
	for _, id := range ids {
		w.remove(id)
	}
	return nil
}

func (w *world) Fail(_ context.Context, e ingest.Entry, f ingest.Failure) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken != nil {
		return w.broken
	}
	w.remove(e.ID)
	w.failed = append(w.failed, e.ID+" "+f.Code+" "+f.Reason)
	return nil
}

func (w *world) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	return nil
}

var (
	busy = &chat.Error{Kind: chat.Busy, Text: "busy"}
	down = &chat.Error{Kind: chat.Unavailable, Text: "down"}
)

// bubble runs a test with a clock of its own, and closes the reader at the end.
func bubble(t *testing.T, test func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		test(w)
		w.reader.Close(t.Context())
		w.reader.Close(t.Context())
		w.mu.Lock()
		defer w.mu.Unlock()
		if !w.closed {
			t.Error("the source is not closed")
		}
	})
}

func TestSendsAndRemoves(t *testing.T) {
	bubble(t, func(w *world) {
		w.put("a:1", "b:1", "a:2", "nonsense")
		w.do(func() { w.refuse["c"] = chat.E(chat.NotFound, "no such room") })
		w.put("c:1", "a:3")
		pass(time.Second)
		w.want("a", "1", "2", "3")
		w.want("b", "1")
		if len(w.queue) != 0 {
			t.Errorf("%v is left", w.queue)
		}
		if want := []string{"nonsense invalid there is no room in it", "c:1 not_found no such room"}; !slices.Equal(w.failed, want) {
			t.Errorf("failed: %q", w.failed)
		}
	})
}

// A room that takes nothing keeps its entries in the queue, in their order, and others do
// not wait for it.
func TestRoomsWaitForThemselves(t *testing.T) {
	bubble(t, func(w *world) {
		w.do(func() { w.refuse["a"] = busy })
		w.put("a:1", "b:1", "a:2", "b:2", "a:3")
		pass(30 * time.Second)
		w.want("a")
		w.want("b", "1", "2")
		if len(w.queue) != 3 {
			t.Errorf("%d entries are left", len(w.queue))
		}
		w.put("a:4", "b:3")
		w.do(func() { delete(w.refuse, "a") })
		pass(15 * time.Second)
		w.want("a", "1", "2", "3", "4")
		w.want("b", "1", "2", "3")
	})
}

// What is refused while others of its room are on their way is sent again when these have
// come, in front of all that follow.
func TestSendsARoomAgainInOrder(t *testing.T) {
	bubble(t, func(w *world) {
		w.do(func() { w.slow["a"], w.refuse["a"] = true, down })
		w.put("a:1", "a:2", "a:3")
		pass(time.Second)
		w.do(func() { delete(w.refuse, "a") })
		w.put("a:4") // is sent: it is not known yet
		pass(time.Second)
		for round := range 2 {
			w.mu.Lock()
			held := w.held
			w.held = nil
			w.mu.Unlock()
			for _, outcome := range held {
				outcome()
			}
			pass(time.Second)
			if round == 0 && len(held) != 4 {
				t.Errorf("%d were sent", len(held))
			}
		}
		w.want("a", "4", "1", "2", "3") // 4 was taken before the others were refused
	})
}

// A reader holds a bounded number of entries, and stays the reader then.
func TestHoldsABoundedNumber(t *testing.T) {
	bubble(t, func(w *world) {
		w.do(func() { w.refuse["a"] = busy })
		var texts, want []string
		for i := range 1500 {
			texts, want = append(texts, fmt.Sprint("a:", i)), append(want, fmt.Sprint(i))
		}
		w.put(texts...)
		pass(10 * time.Second)
		if w.at != 1000 || slices.Max(w.most) > 100 {
			t.Errorf("%d entries were read, up to %d at once", w.at, slices.Max(w.most))
		}
		w.do(func() { w.most = nil })
		pass(10 * time.Second)
		if len(w.most) < 10 || slices.Max(w.most) != 0 {
			t.Errorf("a reader that is full has asked for %v", w.most)
		}
		w.do(func() { delete(w.refuse, "a") })
		pass(30 * time.Second)
		w.want("a", want...)

		large := "a:" + strings.Repeat("x", 1<<20)
		w.do(func() { w.refuse["a"] = busy })
		for i := range 10 {
			w.put(large + fmt.Sprint(i))
		}
		pass(10 * time.Second)
		if w.at < 4 || len(w.queue)-w.at == 0 && len(w.queue) > 10 {
			t.Errorf("%d of %d large entries were read", w.at, len(w.queue))
		}
	})
}

// While the queue fails, what was sent is remembered, and removed later.
func TestQueueFails(t *testing.T) {
	bubble(t, func(w *world) {
		w.do(func() { w.slow["a"] = true })
		w.put("a:1", "nonsense")
		pass(time.Second)
		w.put("a:2")
		pass(time.Second)
		w.do(func() { w.broken = down })
		w.do(func() {
			for _, outcome := range w.held {
				go outcome()
			}
		})
		pass(time.Minute)
		if len(w.queue) != 2 {
			t.Errorf("%d entries are left", len(w.queue))
		}
		w.do(func() { w.broken, w.slow = nil, map[chat.RoomID]bool{} })
		pass(15 * time.Second)
		w.put("a:3")
		pass(time.Second)
		w.want("a", "1", "2", "3")
		if len(w.queue) != 0 {
			t.Errorf("%d entries are left", len(w.queue))
		}
	})
}

// What another node reads is forgotten, and read again when that one has ended.
func TestAnotherNodeReads(t *testing.T) {
	bubble(t, func(w *world) {
		w.do(func() { w.refuse["a"] = busy })
		w.put("a:1", "a:2")
		pass(5 * time.Second)
		w.do(func() { w.broken = ingest.ErrElsewhere })
		pass(5 * time.Second)
		w.do(func() { delete(w.refuse, "a") })
		pass(time.Minute)
		w.want("a")
		w.do(func() { w.broken = nil })
		pass(5 * time.Second)
		w.want("a", "1", "2")
	})
}

// Close waits for what was sent, and no longer than it may.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		w.do(func() { w.slow["a"] = true })
		w.put("a:1", "a:2")
		pass(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		go func() {
			time.Sleep(time.Second)
			w.mu.Lock()
			defer w.mu.Unlock()
			go w.held[0]()
		}()
		begun := time.Now()
		w.reader.Close(ctx)
		if took := time.Since(begun); took != 10*time.Second {
			t.Errorf("Close takes %v", took)
		}
		if len(w.queue) != 1 || !w.closed {
			t.Errorf("%d entries are left", len(w.queue))
		}
		w.held[1]() // there is no listener
	})
}
