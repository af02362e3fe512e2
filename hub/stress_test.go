package hub

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/bus/bustest"
	"github.com/roomtide/roomtide/bus/membus"
	"github.com/roomtide/roomtide/chat"
)

// reader checks the stream of one connection as a client would. A join is
// answered by a private line "j room rev", a leave by "l room".
type reader struct {
	t *testing.T

	mu      sync.Mutex
	part    []byte
	next    map[string]int64 // by room: the next rev; absent: nothing may come
	gap     map[string]bool  // told of a gap; what follows without a hole may still come
	gaps    int
	changed chan struct{}
	heard   []heard
}

// heard is a line.
type heard struct {
	kind string
	at   Position
}

func newReader(t *testing.T) *reader {
	return &reader{t: t, next: map[string]int64{}, gap: map[string]bool{}, changed: make(chan struct{}, 1)}
}

func (r *reader) bytes(b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.part = append(r.part, b...)
	for {
		line, rest, ok := bytes.Cut(r.part, []byte("\n"))
		if !ok {
			break
		}
		r.line(string(line))
		r.part = rest
	}
	signal(r.changed)
}

func (r *reader) line(s string) {
	var kind, room string
	var rev int64
	if n, err := fmt.Sscan(s, &kind, &room, &rev); n != 3 {
		r.t.Errorf("line %q: %v", s, err)
		return
	}
	r.heard = append(r.heard, heard{kind, Position{chat.RoomID(room), chat.Rev(rev)}})
	next, joined := r.next[room]
	switch kind {
	case "j":
		r.next[room], r.gap[room] = rev+1, false
	case "l":
		delete(r.next, room)
	case "g":
		r.gap[room] = true
		r.gaps++
	case "e":
		if !joined || rev != next {
			r.t.Errorf("room %s: got rev %d, expected %d (joined %v)", room, rev, next, joined)
		}
		r.next[room] = rev + 1
	}
}

func (r *reader) needsJoin(room string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.gap[room]
}

// TestStress lets clients join, leave, read slowly and vanish while several
// publishers write, and checks that what each client reads is contiguous.
func TestStress(t *testing.T) {
	t.Run("in process", func(t *testing.T) {
		m := stress(t, membus.New(), func(*rand.Rand) {})
		if m["gaps_total lost"]+m["lane_holes_total"] != 0 {
			t.Error("events were lost on a bus that loses none", m)
		}
	})
	t.Run("over a network that loses batches", func(t *testing.T) {
		n := bustest.NewNetwork(1)
		m := stress(t, n.Node(0), func(rnd *rand.Rand) {
			if rnd.IntN(50) == 0 {
				n.Lose(1)
			}
		})
		if m["gaps_total lost"] == 0 || m["lane_holes_total"] == 0 {
			t.Errorf("%d batches were lost, and no client was told: %v", n.Lost(), m)
		}
	})
}

const stressRooms = 6

// stress returns the hub's metrics of the end. before is called before each batch.
func stress(t *testing.T, b bus.Bus, before func(*rand.Rand)) map[string]float64 {
	const (
		clients = 24
		steps   = 60
	)
	defer b.Close()
	reg := prometheus.NewRegistry()
	lane := func(room chat.RoomID) bus.Lane { return bus.Lane(room[1] - '0') }
	h := New(Config{Bus: b, Lane: lane, Workers: 3, RoomLogBytes: 4 << 10, LateAfter: time.Minute, Registerer: reg}) // a busy machine is not late
	var committed [stressRooms]atomic.Int64
	var positions [stressRooms]int64 // of lanes; each is its publisher's
	name := func(i int) chat.RoomID { return chat.RoomID(fmt.Sprint("r", i)) }
	publish := func(i int, evs []*chat.Event) {
		positions[i]++
		one := &bus.Batch{Lane: lane(name(i)), After: positions[i] - 1, Position: positions[i], Rooms: []bus.RoomEvents{{Room: name(i), Events: evs}}}
		if err := b.Publish(one); err != nil {
			t.Error(err)
		}
	}
	stop := make(chan struct{})
	var publishers, living sync.WaitGroup
	for i := range stressRooms {
		publishers.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(i)))
			for {
				select {
				case <-stop:
					return
				default:
				}
				from := chat.Rev(committed[i].Load()) + 1
				to := from + chat.Rev(rnd.IntN(4))
				committed[i].Store(int64(to)) // commit, then speak
				before(rnd)
				publish(i, longEvents(name(i), from, to))
				time.Sleep(time.Duration(rnd.IntN(200)) * time.Microsecond) // pace, not a wait
			}
		})
	}
	for i := range clients {
		living.Go(func() {
			c := stressClient{T: t, h: h, rnd: rand.New(rand.NewPCG(2, uint64(i))), committed: committed[:], name: name}
			for range 3 {
				c.live(steps)
			}
		})
	}
	living.Wait()
	close(stop)
	publishers.Wait()

	// Quiet now: a last client must get to the very end of every room.
	c := stressClient{T: t, h: h, committed: committed[:], name: name}
	c.attach()
	for i := range stressRooms {
		c.join(i)
		from := chat.Rev(committed[i].Add(3)) - 2
		publish(i, events(name(i), from, from+2))
	}
	c.settle()
	c.conn.Detach()
	h.Close()
	m := gather(t, reg)
	if m["gaps_total late"] != 0 || m["rooms"]+m["connections"]+m["stalled"] != 0 || m["deliveries_total"] == 0 {
		t.Error("something is late, or left", m)
	}
	if m["gaps_total slow"] == 0 {
		t.Error("no client fell off a log, so that was not tested", m)
	}
	t.Log(m)
	return m
}

// gather returns the values of the hub's metrics, by name and reason.
func gather(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := strings.TrimPrefix(f.GetName(), "roomtide_hub_")
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			out[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return out
}

func longEvents(room chat.RoomID, from, to chat.Rev) []*chat.Event {
	evs := events(room, from, to)
	for _, ev := range evs {
		ev.Message.Text = strings.Repeat("x", 50+int(ev.Rev)%200)
	}
	return evs
}

type stressClient struct {
	*testing.T
	h         *Hub
	rnd       *rand.Rand
	committed []atomic.Int64
	name      func(int) chat.RoomID

	conn  *Conn
	link  *fakeLink
	read  *reader
	joins map[chat.RoomID]int
}

func (c *stressClient) attach() {
	c.read = newReader(c.T)
	c.link = newFakeLink(-1)
	c.link.onBytes = c.read.bytes
	c.conn = c.h.Attach(c.link, lineEncoding{})
	c.conn.Track()
	c.joins = map[chat.RoomID]int{}
}

func (c *stressClient) join(i int) {
	if err := c.conn.Subscribe(c.name(i)); err != nil {
		c.Error(err)
	}
	c.joins[c.name(i)]++
	rev := c.committed[i].Load()
	c.conn.Send(fmt.Appendf(nil, "j %s %d\n", c.name(i), rev))
	c.conn.Resume(c.name(i), chat.Rev(rev))
}

// comeBack joins a room as one that has a part of it, from another connection.
func (c *stressClient) comeBack(i int) {
	room := c.name(i)
	if c.joins[room] > 0 { // this is not another connection; none gets an event twice
		c.join(i)
		return
	}
	if err := c.conn.Subscribe(room); err != nil {
		c.Error(err)
	}
	c.joins[room]++
	rev := chat.Rev(c.committed[i].Load())
	has := max(0, rev-chat.Rev(c.rnd.IntN(4)))
	c.conn.Send(fmt.Appendf(nil, "j %s %d\n", room, has))
	c.conn.Replay(room, has, rev, longEvents(room, has+1, rev))
	c.conn.Resume(room, rev)
}

// live is one connection's life: it ends detached, sometimes with everything
// read first.
func (c *stressClient) live(steps int) {
	c.attach()
	for range steps {
		i := c.rnd.IntN(len(c.committed))
		switch c.rnd.IntN(8) {
		case 0, 1:
			c.join(i)
		case 2:
			c.comeBack(i)
		case 3:
			c.conn.Unsubscribe(c.name(i))
			c.conn.Send(fmt.Appendf(nil, "l %s 0\n", c.name(i)))
		case 4, 5: // the reader takes little for a while
			c.link.mu.Lock()
			c.link.allow = c.rnd.IntN(200)
			c.link.mu.Unlock()
		default:
			c.link.let(-1)
		}
		time.Sleep(time.Duration(c.rnd.IntN(300)) * time.Microsecond) // pace, not a wait
	}
	c.link.let(-1)
	if c.rnd.IntN(2) == 0 {
		c.settle()
	}
	c.link.Close(chat.Goodbye{})
	c.checkDelivered(c.conn.Delivered())
	c.conn.Detach()
}

// checkDelivered pretends that the connection was cut after any line, and compares
// what is said that the peer has with what it has heard by then. Of a room
// it joined again, and of which an answer has not come or nothing behind the
// answer, the d may know less.
func (c *stressClient) checkDelivered(d Delivered) {
	for range 20 {
		var last Position
		answers, since, want := map[chat.RoomID]int{}, map[chat.RoomID]bool{}, map[chat.RoomID]chat.Rev{}
		for _, l := range c.read.heard[:c.rnd.IntN(len(c.read.heard)+1)] {
			switch l.kind {
			case "j":
				answers[l.at.Room]++
				since[l.at.Room], want[l.at.Room] = false, l.at.Rev
			case "e":
				last, want[l.at.Room] = l.at, l.at.Rev
				for room := range since {
					since[room] = true
				}
			}
		}
		have, ok := d.Have(last.Room, last.Rev)
		if !ok && !d.Lost {
			c.Errorf("unknown after %d ranges", len(d.Ranges))
		}
		for _, p := range have {
			sure := answers[p.Room] == c.joins[p.Room] && (since[p.Room] || c.joins[p.Room] == 1)
			if sure && want[p.Room] != p.Rev {
				c.Errorf("room %s: said to have %d, has %d", p.Room, p.Rev, want[p.Room])
			}
		}
	}
}

// settle joins again where there was a gap and waits until every joined room has
// been read to what was committed when settle was called.
func (c *stressClient) settle() {
	late := time.After(20 * time.Second)
	for i := range c.committed {
		goal := c.committed[i].Load()
		for {
			c.read.mu.Lock()
			next, joined := c.read.next[string(c.name(i))]
			c.read.mu.Unlock()
			if !c.conn.Subscribed(c.name(i)) || joined && next > goal {
				break
			}
			if c.read.needsJoin(string(c.name(i))) {
				c.join(i)
			}
			select {
			case <-c.read.changed:
			case <-late:
				c.Errorf("room %s: read up to %d of %d, joined %v", c.name(i), next-1, goal, joined)
				return
			}
		}
	}
}

// TestSubscriptionRace opens and leaves the same room from many connections. A
// connection that has subscribed gets what is published afterwards.
func TestSubscriptionRace(t *testing.T) {
	b := membus.New()
	h := New(Config{Bus: b, Workers: 2})
	defer h.Close()
	var rev atomic.Int64
	var turn sync.Mutex // one publisher at a time, as a lane
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				got := make(chan struct{}, 1)
				l := newFakeLink(-1)
				l.onBytes = func([]byte) { signal(got) }
				c := h.Attach(l, lineEncoding{})
				if err := c.Subscribe("r"); err != nil {
					t.Error(err)
				}
				c.Resume("r", chat.Rev(rev.Load()))
				turn.Lock()
				n := chat.Rev(rev.Add(1))
				one := &bus.Batch{After: int64(n - 1), Position: int64(n), Rooms: []bus.RoomEvents{{Room: "r", Events: events("r", n, n)}}}
				if err := b.Publish(one); err != nil {
					t.Error(err)
				}
				turn.Unlock()
				select {
				case <-got:
				case <-time.After(10 * time.Second):
					t.Error("nothing came")
				}
				c.Detach()
			}
		})
	}
	wg.Wait()
	if h.rooms.get("r") != nil {
		t.Error("the room is still there")
	}
}
