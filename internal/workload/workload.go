// Package workload is clients for fault runs: they stay through everything that happens
// to the servers, write, edit, read and watch, and note for package consistency what they
// see. Those of the Go client have what is broken mended by it. Those that speak the
// protocols themselves, natively and over Socket.IO, forgive nothing.
package workload

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/consistency"
)

const (
	// Writers is the number of the users "writer0", "writer1" and so on, and of the
	// watchers "watcher0" and so on.
	Writers = 4

	window    = 8  // messages of a writer in flight
	editEvery = 25 // messages of a writer
	readEvery = 40
)

// Rooms are those of a workload that names no others.
var Rooms = []chat.RoomID{"room1", "room2", "room3"}

// Options are what workloads differ in. Only Addr is needed.
type Options struct {
	Addr string        // of the node, or of a balancer before several
	As   string        // before the names of its users
	Ping time.Duration // after which a silent connection is tried; 0: the client's default

	Rooms    []chat.RoomID
	Pace     time.Duration // between two messages of a writer; 0: 8 ms
	Patience time.Duration // for what takes a moment on a node that works; 0: 30 s

	// Settles is how long what was sent over a connection that has ended may take to be
	// decided, as it waits on its node or in a queue; 0: not beyond the end of the node.
	Settles time.Duration
	// InTurn has a client write to a room again when it has the ack of its last message
	// there: messages that are refused for a while may be overtaken by those behind them.
	InTurn bool
	// SocketIO has a second pair of strict watchers, and strict writers, speak Socket.IO;
	// StrictWriters is the number of all strict writers.
	SocketIO      bool
	StrictWriters int
	Stock         *Stock // nil: no stock clients
}

// Workload is the clients, and a record of what they observe.
type Workload struct {
	Rec     *consistency.Recorder
	Rooms   []chat.RoomID
	Goodbye chan struct{} // cap 1: a watcher received the goodbye of a node that stops

	// Set once.
	t testing.TB
	o Options

	stop     chan struct{} // closed: nothing new is sent
	writing  sync.WaitGroup
	watching sync.WaitGroup
	end      atomic.Pointer[map[chat.RoomID]chat.Seq] // where watchers stop

	acked    atomic.Int64
	accepted atomic.Int64
	goodbyes atomic.Int64
	resumes  atomic.Int64
	putOut   atomic.Int64 // users that have heard that they are out of a room

	// Guarded by mu.
	mu       sync.Mutex
	over     bool                      // the test has ended
	sent     []sent                    // every 20th acknowledged message, for sendAgain
	promised []sent                    // accepted, and not asked for again
	newest   map[chat.RoomID]time.Time // when the newest message was sent that was acknowledged
}

type sent struct {
	room chat.RoomID
	user string
	text string
	key  string
}

// New prepares a workload.
func New(t testing.TB, o Options) *Workload {
	if o.Rooms == nil {
		o.Rooms = Rooms
	}
	if o.Pace == 0 {
		o.Pace = 8 * time.Millisecond
	}
	if o.Patience == 0 {
		o.Patience = 30 * time.Second
	}
	w := &Workload{
		Rec: consistency.NewRecorder(), Rooms: o.Rooms, Goodbye: make(chan struct{}, 1),
		t: t, o: o, stop: make(chan struct{}), newest: map[chat.RoomID]time.Time{},
	}
	t.Cleanup(func() {
		w.mu.Lock()
		w.over = true
		w.mu.Unlock()
	})
	return w
}

// fail fails the test. Clients that a failed test has left behind have no test to tell.
func (w *Workload) fail(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.over {
		w.t.Errorf(format, args...)
	}
}

func (w *Workload) logf(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.over {
		w.t.Logf(format, args...)
	}
}

// Acked is the number of messages acknowledged so far.
func (w *Workload) Acked() int64 { return w.acked.Load() }

// Accepted is the number of messages that strict writers and stock clients were told to be in the queue.
func (w *Workload) Accepted() int64 { return w.accepted.Load() }

// Goodbyes is the number of goodbyes of nodes that stop, and Resumes that of joins by
// position.
func (w *Workload) Goodbyes() int64 { return w.goodbyes.Load() }

// Resumes is explained at Goodbyes.
func (w *Workload) Resumes() int64 { return w.resumes.Load() }

// Served reports whether every room has acknowledged a message that was sent since.
func (w *Workload) Served(since time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, room := range w.Rooms {
		if !w.newest[room].After(since) {
			return false
		}
	}
	return true
}

// context ends when the patience has.
func (w *Workload) context() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), w.o.Patience)
}

// Dial connects a user; the connection may break at once.
func (w *Workload) Dial(user string) *client.Client {
	w.t.Helper()
	return w.dialAt(w.o.Addr, user, w.o.Ping)
}

func (w *Workload) dialAt(addr, user string, ping time.Duration) *client.Client {
	w.t.Helper()
	for deadline := time.Now().Add(w.o.Patience); ; {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		c, err := client.Dial(ctx, client.Options{
			URL: "ws://" + addr, User: user, MinWait: 5 * time.Millisecond, MaxWait: 40 * time.Millisecond, Ping: ping,
		})
		cancel()
		if err == nil {
			return c
		}
		if time.Now().After(deadline) {
			w.fail("cannot connect: %v", err)
			return nil
		}
		<-time.After(20 * time.Millisecond) // the node may be down for now
	}
}

// CreateRooms creates the rooms and their members. The first writer owns the rooms.
func (w *Workload) CreateRooms() {
	w.t.Helper()
	ctx, cancel := w.context()
	defer cancel()
	for _, user := range w.Users() {
		c := w.Dial(user)
		if c == nil {
			w.t.FailNow()
		}
		for _, room := range w.Rooms {
			if err := enter(ctx, c, room); err != nil {
				w.t.Fatal(err)
			}
		}
		c.Close()
	}
}

// enter has a client join a room from its newest messages on.
func enter(ctx context.Context, c *client.Client, room chat.RoomID) error {
	return whileRefused(func() error {
		_, err := c.Join(ctx, room, client.JoinOptions{})
		return err
	})
}

// Users are those that write.
func (w *Workload) Users() (users []string) {
	for i := range Writers {
		users = append(users, fmt.Sprint(w.o.As, "writer", i))
	}
	for i := range w.o.StrictWriters {
		users = append(users, fmt.Sprint(w.o.As, "strict", i))
	}
	return append(users, w.stockUsers()...)
}

// strictWatchers are the users that strict watchers have.
func (w *Workload) strictWatchers() (users []string) {
	for i := range strictWatchers {
		users = append(users, fmt.Sprint(w.o.As, "raw", i))
	}
	for i := range strictWatchers {
		if w.o.SocketIO {
			users = append(users, fmt.Sprint(w.o.As, "io", i))
		}
	}
	return users
}

// Start starts all clients.
func (w *Workload) Start() {
	for i := range Writers {
		name := fmt.Sprint(w.o.As, "writer", i)
		w.writing.Go(func() { w.write(name, uint64(i)) })
		w.watching.Go(func() { w.watch(fmt.Sprint(w.o.As, "watcher", i), i%2 == 1) })
	}
	for i := range w.o.StrictWriters {
		w.writing.Go(func() { w.writeStrictly(fmt.Sprint(w.o.As, "strict", i), w.o.SocketIO && i%2 == 1) })
	}
	for i, user := range w.strictWatchers() {
		w.watching.Go(func() { w.watchStrictly(user, i >= strictWatchers) })
	}
	if w.o.Stock != nil {
		w.startStock()
	}
	if w.o.As == "" { // else the rooms belong to the users of an earlier workload
		w.writing.Go(func() { w.putUsersOut("writer0") })
	}
}

// Finish stops the writers, waits until the watchers have reached the end, and returns
// what the store holds.
func (w *Workload) Finish() consistency.Final {
	close(w.stop)
	w.writing.Wait()
	w.sendAgain()
	w.awaitPromised()
	final, end := consistency.Final{}, map[chat.RoomID]chat.Seq{}
	for _, user := range w.Users() {
		w.ReadAs(user, final)
	}
	for _, room := range w.Rooms {
		end[room] = chat.Seq(len(final[room]))
	}
	w.end.Store(&end)
	w.watching.Wait()
	watchers := append(w.strictWatchers(), w.stockUsers()...)
	for i := range Writers {
		watchers = append(watchers, fmt.Sprint(w.o.As, "watcher", i))
	}
	for _, user := range watchers {
		for _, room := range w.Rooms {
			w.Rec.CaughtUp(user, room)
		}
	}
	return final
}

// ack notes that a message was acknowledged which was sent then.
func (w *Workload) ack(s sent, at time.Time) {
	n := w.acked.Add(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if at.After(w.newest[s.room]) {
		w.newest[s.room] = at
	}
	if n%20 == 0 {
		w.sent = append(w.sent, s)
	}
}
