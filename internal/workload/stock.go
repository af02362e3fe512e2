package workload

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"sync"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/consistency"
)

// Stock are clients of the published package socket.io-client, in a process of Node.js: over a WebSocket,
// by polling, and by both. They write and watch as the samples of the documentation do.
type Stock struct {
	Packages string // the directory with node_modules
	Code     string // the samples of "Coming back"
	Kind     *int   // of all clients; nil: one of each
}

// stockClients is their number: one of each kind in stock.mjs.
const stockClients = 4

//go:embed stock.mjs
var stockScript string

// stock is the process, and what its clients have sent and received.
type stock struct {
	// Set once.
	w    *Workload
	in   io.WriteCloser
	errs bytes.Buffer // to be read when the process has ended

	mu sync.Mutex

	// Guarded by mu.
	clients             []*stockClient
	connects, recovered int // of all clients
}

type stockClient struct {
	name  string
	open  map[string]*stockSend // by key
	acked int
	rooms map[chat.RoomID]*stockRoom
}

type stockSend struct {
	sent
	at       time.Time
	send     *consistency.Send
	accepted bool
}

type stockRoom struct {
	shown   chat.Seq
	revs    map[chat.Seq]chat.Rev      // of what was applied
	pending map[chat.Seq]*chat.Message // behind a message that has not come yet
}

// told is a line of the process.
type told struct {
	Client int
	What   string
	Code   string
	Key    string
	Room   chat.RoomID
	Seq    chat.Seq
	Rev    chat.Rev
	User   chat.UserID
	Text   string

	Edited, Reacted, Deleted, Recovered bool
}

// stockUsers are the users of the stock clients.
func (w *Workload) stockUsers() (users []string) {
	for i := range stockClients {
		if w.o.Stock != nil {
			users = append(users, fmt.Sprint(w.o.As, "stock", i))
		}
	}
	return users
}

// startStock starts the process and its writers.
func (w *Workload) startStock() {
	w.t.Helper()
	s := &stock{w: w}
	for _, name := range w.stockUsers() {
		c := &stockClient{name: name, open: map[string]*stockSend{}, rooms: map[chat.RoomID]*stockRoom{}}
		for _, id := range w.Rooms {
			c.rooms[id] = &stockRoom{revs: map[chat.Seq]chat.Rev{}, pending: map[chat.Seq]*chat.Message{}}
			w.Rec.Resume(name, id, 0)
		}
		s.clients = append(s.clients, c)
	}
	need, err := json.Marshal(map[string]any{
		"packages": w.o.Stock.Packages, "code": w.o.Stock.Code, "url": "http://" + w.o.Addr, "rooms": w.Rooms, "users": w.stockUsers(), "kind": w.o.Stock.Kind,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	// It ends with its input, which ends with this process.
	cmd := exec.Command("node", "--input-type=module", "--eval", stockScript, string(need))
	cmd.Stderr = &s.errs
	out, err := cmd.StdoutPipe()
	if err == nil {
		s.in, err = cmd.StdinPipe()
	}
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		w.t.Fatal("the stock clients:", err)
	}
	for i := range s.clients {
		w.writing.Go(func() { s.write(i) })
	}
	w.watching.Go(func() {
		s.watch()
		s.sum()
		s.in.Close()
	})
	w.watching.Go(func() {
		s.read(out)
		if err := cmd.Wait(); err != nil {
			w.fail("the stock clients: %v\n%s", err, s.errs.String())
		}
	})
	w.t.Cleanup(func() { s.in.Close() }) // of a test that has failed before
}

// write sends as a client until stop, and returns when everything is acknowledged.
func (s *stock) write(client int) {
	w, c := s.w, s.clients[client]
	rng := rand.New(rand.NewPCG(uint64(client), 11))
	ticks := time.NewTicker(4 * w.o.Pace)
	defer ticks.Stop()
	for n := 1; !closed(w.stop); n++ {
		<-ticks.C
		if err := s.send(client, w.Rooms[rng.IntN(len(w.Rooms))], fmt.Sprint(c.name, " says ", n)); err != nil {
			w.fail("%s: %v", c.name, err)
			return
		}
	}
	for deadline := time.Now().Add(w.o.Patience); ; <-ticks.C {
		s.mu.Lock()
		open := len(c.open)
		s.mu.Unlock()
		if open == 0 {
			return
		}
		if time.Now().After(deadline) {
			w.fail("%s: %d messages have no outcome", c.name, open)
			s.ask(client)
			return
		}
	}
}

// send sends a message, unless the last one to its room is not acknowledged, or too many are not.
func (s *stock) send(client int, room chat.RoomID, text string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clients[client]
	if len(c.open) >= window {
		return nil
	}
	for _, o := range c.open {
		if o.room == room {
			return nil
		}
	}
	o := &stockSend{sent: sent{room, c.name, text, c.name + " " + text}, at: time.Now()}
	line, err := json.Marshal(map[string]any{"client": client, "room": room, "message": text, "key": o.key})
	if err != nil {
		return err
	}
	o.send = s.w.Rec.Send(c.name, room, chat.UserID(c.name), o.key, text)
	c.open[o.key] = o
	_, err = s.in.Write(append(line, '\n'))
	return err
}

// ask has a client say how it stands.
func (s *stock) ask(client int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := fmt.Fprintf(s.in, `{"client":%d}`+"\n", client); err != nil {
		s.w.fail("%s: %v", s.clients[client].name, err)
	}
}

// read notes what the clients see until the process ends.
func (s *stock) read(out io.Reader) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var t told
		if err := json.Unmarshal(lines.Bytes(), &t); err != nil || t.Client >= len(s.clients) {
			s.w.fail("the stock clients say %q: %v", lines.Bytes(), err)
			continue
		}
		s.mu.Lock()
		s.note(s.clients[t.Client], &t)
		s.mu.Unlock()
	}
	if err := lines.Err(); err != nil {
		s.w.fail("the stock clients: %v", err)
	}
}

// note handles what a client saw, with mu held.
func (s *stock) note(c *stockClient, t *told) {
	o := c.open[t.Key]
	switch t.What {
	case "connect":
		s.w.resumes.Add(1)
		if s.connects++; t.Recovered {
			s.recovered++
		}
	case "message":
		s.apply(c, t)
	case "accepted":
		if o != nil && !o.accepted {
			o.accepted = true
			o.send.Accepted()
			s.w.accepted.Add(1)
		}
	case "ack":
		if o != nil { // else it has an ack of an earlier connection
			delete(c.open, t.Key)
			c.acked++
			o.send.OK(t.Seq, t.Rev)
			s.w.ack(o.sent, o.at)
		}
	case "error":
		s.refused(c, o, t)
	case "stands":
		s.w.logf("%s: %s", c.name, t.Text)
	default:
		s.w.fail("%s: %s %s", c.name, t.What, t.Code)
	}
}

// refused handles the error that a message had. The samples send again what was refused for a moment,
// and give up what a full disk refuses, which may be in the queue from an earlier connection.
func (s *stock) refused(c *stockClient, o *stockSend, t *told) {
	switch t.Code {
	case chat.RateLimited.Code(), chat.Busy.Code(), chat.Unavailable.Code():
		return
	case chat.ReadOnly.Code():
	default:
		s.w.fail("%s: %q is refused: %s", c.name, t.Key, t.Code)
	}
	if o != nil {
		delete(c.open, t.Key)
		o.send.Unknown()
	}
}

// apply handles what the sample has applied: a new message, or one as it is now. What has changed
// while a client was away comes in the order of the changes, so that an edited message may
// come behind newer ones. One that was written and changed meanwhile comes twice, with the rev of its
// change, where several answers have the two.
func (s *stock) apply(c *stockClient, t *told) {
	room := c.rooms[t.Room]
	if room == nil {
		s.w.fail("%s gets a message of %s", c.name, t.Room)
		return
	}
	if was := room.revs[t.Seq]; t.Rev < was || t.Rev == was && !(t.Edited || t.Reacted || t.Deleted) {
		s.w.fail("%s in %s: rev %d of message %d comes behind rev %d", c.name, t.Room, t.Rev, t.Seq, was)
	}
	room.revs[t.Seq] = t.Rev
	if t.Seq <= room.shown {
		return
	}
	m := &chat.Message{Room: t.Room, Seq: t.Seq, User: t.User, Text: t.Text, Deleted: t.Deleted}
	if t.Edited {
		m.Edited = 1
	}
	room.pending[t.Seq] = m
	for m := room.pending[room.shown+1]; m != nil; m = room.pending[room.shown+1] {
		s.w.Rec.Deliver(c.name, m)
		room.shown = m.Seq
		delete(room.pending, m.Seq)
	}
}

// watch returns when all clients have reached the end, or the patience has ended: package consistency
// says then what they lack.
func (s *stock) watch() {
	var deadline time.Time
	for ; ; <-time.After(20 * time.Millisecond) {
		end := s.w.end.Load()
		switch {
		case end == nil && s.w.t.Failed() && closed(s.w.stop):
			return
		case end == nil:
			continue
		case deadline.IsZero():
			deadline = time.Now().Add(s.w.o.Patience)
		}
		if s.reached(*end) || time.Now().After(deadline) {
			return
		}
	}
}

// sum says what the clients have done, and fails the test if one of them has done nothing.
func (s *stock) sum() {
	s.mu.Lock()
	defer s.mu.Unlock()
	acked := 0
	for _, c := range s.clients {
		if acked += c.acked; c.acked == 0 {
			s.w.fail("%s: nothing was acknowledged", c.name)
		}
	}
	s.w.logf("stock clients: %d messages acknowledged, %d connections, %d of them recovered", acked, s.connects, s.recovered)
}

func (s *stock) reached(end map[chat.RoomID]chat.Seq) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.clients {
		shown := map[chat.RoomID]chat.Seq{}
		for id, room := range c.rooms {
			shown[id] = room.shown
		}
		if !reached(shown, end) {
			return false
		}
	}
	return true
}
