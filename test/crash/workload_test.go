package crash

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/consistency"
	"github.com/roomtide/roomtide/internal/testprocess"
)

const (
	writers     = 4
	rawWatchers = 2
	window      = 8                    // messages of a writer in flight
	usualPace   = 8 * time.Millisecond // between two messages of a writer
	editEvery   = 25                   // messages of a writer
	readEvery   = 40
)

var rooms = []chat.RoomID{"room1", "room2", "room3"}

// workload is clients that stay through all crashes, and a record of what they
// observe.
type workload struct {
	t    *testing.T
	addr string
	as   string        // before the names of its users
	ping time.Duration // after which a silent connection is tried; 0: the default
	pace time.Duration // between two messages of a writer
	rec  *consistency.Recorder

	stop     chan struct{} // closed: nothing new is sent
	writing  sync.WaitGroup
	watching sync.WaitGroup
	end      atomic.Pointer[map[chat.RoomID]chat.Seq] // where watchers stop

	acked    atomic.Int64
	goodbyes atomic.Int64
	goodbye  chan struct{} // cap 1: a watcher received a goodbye
	resumes  atomic.Int64
	putOut   atomic.Int64 // users that have heard that they are out of a room
	mu       sync.Mutex
	sent     []sent // every 20th acknowledged message, for sendAgain
}

type sent struct {
	room chat.RoomID
	user string
	text string
	key  string
}

func newWorkload(t *testing.T, addr string) *workload {
	return &workload{t: t, addr: addr, pace: usualPace, rec: consistency.NewRecorder(), stop: make(chan struct{}), goodbye: make(chan struct{}, 1)}
}

// dial connects a user; the connection may break at once.
func (w *workload) dial(user string) *client.Client {
	w.t.Helper()
	for try := 0; ; try++ {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		c, err := client.Dial(ctx, client.Options{
			URL: "ws://" + w.addr, User: user, MinWait: 5 * time.Millisecond, MaxWait: 40 * time.Millisecond, Ping: w.ping,
		})
		cancel()
		if err == nil {
			return c
		}
		if try > 500 {
			w.t.Error("cannot connect:", err)
			return nil
		}
		<-time.After(20 * time.Millisecond) // the node may be down for now
	}
}

func (w *workload) start() {
	for i := range writers {
		name := fmt.Sprint(w.as, "writer", i)
		w.writing.Go(func() { w.write(name, uint64(i)) })
		w.watching.Go(func() { w.watch(fmt.Sprint(w.as, "watcher", i), i%2 == 1) })
	}
	for i := range rawWatchers {
		w.watching.Go(func() { w.watchRaw(fmt.Sprint(w.as, "raw", i)) })
	}
	if w.as == "" { // else the rooms belong to the users of an earlier workload
		w.writing.Go(func() { w.putUsersOut("writer0") })
	}
}

// write sends to all rooms, with edits and reads in between, until stop, and returns
// when everything it sent is acknowledged.
func (w *workload) write(name string, seed uint64) {
	c := w.dial(name)
	if c == nil {
		return
	}
	defer c.Close()
	go func() {
		for range c.Events() { // unread events would stop the connection
		}
	}()
	rng := rand.New(rand.NewPCG(seed, 7))
	free := make(chan struct{}, window)
	ticks := time.NewTicker(w.pace)
	defer ticks.Stop()
	var last [3]atomic.Int64
	for n := 1; ; n++ {
		select {
		case <-w.stop:
			for range window { // wait for all acks
				free <- struct{}{}
			}
			return
		case <-ticks.C:
		}
		free <- struct{}{}
		i := rng.IntN(len(rooms))
		w.send(c, name, rooms[i], fmt.Sprintf("%s says %d", name, n), &last[i], func() { <-free })
		if seq := last[i].Load(); n%editEvery == 0 && seq > 0 {
			w.change(c, rooms[i], chat.Seq(seq), n)
		}
		if n%readEvery == 0 {
			w.read(c, name, rooms[i])
		}
	}
}

func (w *workload) send(c *client.Client, name string, room chat.RoomID, text string, last *atomic.Int64, done func()) {
	key := fmt.Sprintf("%s %s", name, text)
	s := w.rec.Send(name, room, chat.UserID(name), key, text)
	c.SendAsync(room, chat.Draft{Text: text, Key: key}, func(got client.Sent, err error) {
		defer done()
		if chat.KindOf(err) == chat.NotMember {
			s.Fail() // sent before the join
			return
		}
		if err != nil {
			w.t.Errorf("%s: %v", key, err)
			s.Unknown()
			return
		}
		s.OK(got.Seq, got.Rev)
		last.Store(int64(got.Seq))
		if w.acked.Add(1)%20 == 0 {
			w.mu.Lock()
			w.sent = append(w.sent, sent{room, name, text, key})
			w.mu.Unlock()
		}
	})
}

// change edits, reacts to or deletes a message, so that resumes include revs other
// than new messages.
func (w *workload) change(c *client.Client, room chat.RoomID, seq chat.Seq, n int) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	err := whileStopping(func() (err error) {
		switch n / editEvery % 4 {
		case 0, 1:
			_, err = c.Edit(ctx, room, seq, fmt.Sprint("edited ", n))
		case 2:
			_, err = c.React(ctx, room, seq, "👍", true)
		case 3:
			_, err = c.Delete(ctx, room, seq)
		}
		return err
	})
	if err != nil && chat.KindOf(err) != chat.NotFound { // a repeated delete, or an edit of what was deleted
		w.t.Errorf("changing %s/%d: %v", room, seq, err)
	}
}

// whileStopping repeats a request that a stopping node refused. The context of the
// request bounds it.
func whileStopping(ask func() error) error {
	for {
		if err := ask(); chat.KindOf(err) != chat.Unavailable {
			return err
		}
	}
}

func (w *workload) read(c *client.Client, name string, room chat.RoomID) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	q := w.rec.Ask(name, room, chat.UserID(name))
	var ms []chat.Message
	err := whileStopping(func() (err error) {
		ms, _, err = c.History(ctx, room, client.Page{})
		return err
	})
	if err != nil {
		w.t.Errorf("%s reads %s: %v", name, room, err)
		return
	}
	q.Answer(ms)
}

// watch records every message that a client receives. A restarting client is replaced
// after some events by a new one that resumes from the stored position.
func (w *workload) watch(name string, restarting bool) {
	at := map[chat.RoomID]client.Position{}
	shown := map[chat.RoomID]chat.Seq{}
	for life := 0; ; life++ {
		c := w.dial(name)
		if c == nil {
			return
		}
		limit := 1 << 62
		if restarting {
			limit = 300
		}
		done := w.join(c, name, at, shown) && w.consume(c, name, at, shown, limit)
		c.Close()
		if done {
			return
		}
	}
}

// join joins the rooms from the client's position.
func (w *workload) join(c *client.Client, name string, at map[chat.RoomID]client.Position, shown map[chat.RoomID]chat.Seq) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for _, room := range rooms {
		pos := at[room]
		w.rec.Resume(name, room, shown[room])
		w.resumes.Add(1)
		err := whileStopping(func() error {
			_, err := c.Join(ctx, room, client.JoinOptions{After: &pos})
			return err
		})
		if err != nil {
			w.t.Errorf("%s joins %s: %v", name, room, err)
			return false
		}
	}
	return true
}

// consume takes up to limit events beyond what was missed, and reports whether the client has reached the end.
func (w *workload) consume(c *client.Client, name string, at map[chat.RoomID]client.Position, shown map[chat.RoomID]chat.Seq, limit int) (done bool) {
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	from := maps.Clone(at)
	for n := 0; n < limit; {
		select {
		case ev, ok := <-c.Events():
			if !ok {
				w.t.Errorf("%s: %v", name, c.Err())
				return true
			}
			if ev.At.Rev > from[ev.Room].Rev { // else a client that ends here would begin with the same again
				n++
			}
			w.record(ev, name, at, shown)
		case <-poll.C:
		}
		if end := w.end.Load(); end != nil && reached(shown, *end) {
			return true
		}
	}
	return false
}

func (w *workload) record(ev client.Event, name string, at map[chat.RoomID]client.Position, shown map[chat.RoomID]chat.Seq) {
	var bye *client.GoodbyeError
	if ev.News == client.Disconnected && errors.As(ev.Err, &bye) && bye.Code == chat.ByeDraining.Code {
		w.goodbyes.Add(1)
		select {
		case w.goodbye <- struct{}{}:
		default:
		}
	}
	if ev.News == client.Reset || ev.News == client.Left {
		w.t.Errorf("%s in %s: news %d, %v", name, ev.Room, ev.News, ev.Err)
	}
	if ev.Kind == chat.EventMessage {
		w.rec.Deliver(name, ev.Message)
		shown[ev.Room] = ev.Message.Seq
	}
	if ev.At != (client.Position{}) {
		at[ev.Room] = ev.At
	}
}

func reached(shown, end map[chat.RoomID]chat.Seq) bool {
	for room, seq := range end {
		if shown[room] < seq {
			return false
		}
	}
	return true
}

// finish stops the writers, waits until the watchers have reached the end, and returns
// what the store holds.
func (w *workload) finish() consistency.Final {
	close(w.stop)
	w.writing.Wait()
	w.sendAgain()
	final, end := consistency.Final{}, map[chat.RoomID]chat.Seq{}
	for i := range writers {
		w.readAs(fmt.Sprint(w.as, "writer", i), final)
	}
	for _, room := range rooms {
		end[room] = chat.Seq(len(final[room]))
	}
	w.end.Store(&end)
	w.watching.Wait()
	for i := range writers {
		for _, room := range rooms {
			w.rec.CaughtUp(fmt.Sprint(w.as, "watcher", i), room)
		}
	}
	for i := range rawWatchers {
		for _, room := range rooms {
			w.rec.CaughtUp(fmt.Sprint(w.as, "raw", i), room)
		}
	}
	return final
}

// sendAgain repeats acknowledged messages with their keys, from new connections: the
// acks must have the same numbers.
func (w *workload) sendAgain() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for i := range writers {
		user := fmt.Sprint(w.as, "writer", i)
		c := w.dial(user)
		for _, s := range w.sent {
			if s.user != user {
				continue
			}
			again := w.rec.Send("", s.room, chat.UserID(s.user), s.key, s.text)
			got, err := c.Send(ctx, s.room, chat.Draft{Text: s.text, Key: s.key})
			if err != nil {
				w.t.Errorf("%s again: %v", s.key, err)
				continue
			}
			again.OK(got.Seq, got.Rev)
		}
		c.Close()
	}
}

// readAs adds to final what the store holds, with the keys of the user's own messages,
// as only the sender of a message is told its key.
func (w *workload) readAs(user string, final consistency.Final) {
	c := w.dial(user)
	defer c.Close()
	for _, room := range rooms {
		all := w.readAll(c, room)
		if final[room] == nil {
			final[room] = all
			continue
		}
		if len(final[room]) != len(all) {
			w.t.Errorf("%s: %s sees %d messages, others %d", room, user, len(all), len(final[room]))
			continue
		}
		for i := range all {
			if m := &final[room][i]; m.Key == "" {
				m.Key = all[i].Key
			}
			if all[i].Key = final[room][i].Key; all[i] != final[room][i] {
				w.t.Errorf("%s: %s sees %+v, others %+v", room, user, all[i], final[room][i])
			}
		}
	}
}

// readAll returns the messages of a room, read page by page from its end.
func (w *workload) readAll(c *client.Client, room chat.RoomID) (all []consistency.Message) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	page := client.Page{Limit: 100}
	for more := true; more; {
		var ms []chat.Message
		var err error
		if ms, more, err = c.History(ctx, room, page); err != nil || len(ms) == 0 {
			w.t.Fatalf("reading %s: %d messages, %v", room, len(ms), err)
		}
		for _, m := range slices.Backward(ms) {
			all = append(all, consistency.Of(&m))
		}
		page.Before = ms[0].Seq
	}
	slices.Reverse(all)
	return all
}

// createRooms creates the rooms and their members before the first crash.
func (w *workload) createRooms() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for i := range writers {
		c := w.dial(fmt.Sprint(w.as, "writer", i))
		for _, room := range rooms {
			if _, err := c.Join(ctx, room, client.JoinOptions{}); err != nil {
				w.t.Fatal(err)
			}
		}
		c.Close()
	}
}

var program *testprocess.Program
