package relay

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"pgregory.net/rapid"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

// world is senders and owners of one lane without goroutines, on a network that keeps the
// order of each pair and subject, and loses, doubles and delays messages as rapid says;
// with a durable queue, and a database that keeps how far the lane has taken both.
type world struct {
	t       *rapid.T
	now     time.Time
	senders []*modelSender
	owners  []*modelOwner
	owner   int // that holds the lane, -1: none
	tenure  int
	links   []*link
	taken   [][]applied // by tenure

	queue   [][]byte        // entries, numbered from 1
	stored  change.Progress // in the database of the lane
	reading bool            // an entry of the queue is taken at this moment
}

type link struct {
	deliver func([]byte)
	waiting [][]byte
}

type modelSender struct {
	relay    *Relay
	forwards int
	outcomes []int // by number: how many
	errs     []error
	accepted []bool
}

type modelOwner struct {
	relay *Relay
	lane  *tenure
	work  []work // changes that were taken, to be answered in their order
}

type work struct {
	from   change.Origin
	answer func(error)
}

// nowhere is no lane: the model says Internal of what is asked for again, as it is not known
// what came of it.
const nowhere = -1

func newWorld(t *rapid.T) *world {
	w := &world{t: t, now: time.Unix(1000, 0), owner: -1, stored: change.Progress{Next: map[uint64]uint64{}}}
	config := func() Config {
		return Config{NATS: &nats.Conn{}, Prefix: "p", Lanes: 1, Now: func() time.Time { return w.now },
			Submit: func(int, change.Change, change.Origin, change.Done) Taken { return NotOwner }, Place: always(nowhere),
			Queue: noQueue{}, MaxWaiting: 64, GiveUp: 10 * time.Second, Repeat: 500 * time.Millisecond}
	}
	for range 2 {
		cfg := config()
		if err := cfg.fill(); err != nil {
			t.Fatal(err)
		}
		w.senders = append(w.senders, &modelSender{relay: newRelay(cfg), outcomes: []int{0}, errs: []error{nil}, accepted: []bool{false}})
	}
	for i := range 2 {
		o := &modelOwner{}
		cfg := config()
		cfg.Submit = func(_ int, c change.Change, from change.Origin, done change.Done) Taken {
			return w.submit(i, c, from, done)
		}
		if err := cfg.fill(); err != nil {
			t.Fatal(err)
		}
		o.relay = newRelay(cfg)
		w.owners = append(w.owners, o)
	}
	w.connect()
	return w
}

// connect makes a link from each sender to each owner, and back.
func (w *world) connect() {
	add := func(deliver func([]byte)) *link {
		l := &link{deliver: deliver}
		w.links = append(w.links, l)
		return l
	}
	for _, s := range w.senders {
		var out []*link
		for _, o := range w.owners {
			out = append(out, add(func(b []byte) {
				if o.lane != nil {
					o.lane.handle(b)
				}
			}))
		}
		s.relay.publish = func(_ string, b []byte) error {
			w.sends(s, b)
			return put(out, b)
		}
	}
	for _, o := range w.owners {
		answers, announcements := map[string][]*link{}, []*link(nil)
		for _, s := range w.senders {
			answers[hex(s.relay.from)] = []*link{add(func(b []byte) { s.relay.answers(b); s.relay.routeOnce() })}
			announcements = append(announcements, add(s.relay.announced))
		}
		o.relay.publish = func(subject string, b []byte) error {
			if to, ok := strings.CutPrefix(subject, "p.ack."); ok {
				return put(answers[to], b)
			}
			return put(announcements, b)
		}
	}
}

// sends checks that a packet holds what is open, and of the rest the numbers alone.
func (w *world) sends(s *modelSender, b []byte) {
	p, err := decodePacket(b)
	if err != nil {
		w.t.Fatal(err)
	}
	for i, e := range p.entries {
		if n := int(p.first) + i; (len(e) == 0) != (s.outcomes[n] > 0) {
			w.t.Fatalf("%d is sent with %d bytes and has %d outcomes", n, len(e), s.outcomes[n])
		}
	}
}

func put(ls []*link, b []byte) error {
	for _, l := range ls {
		l.waiting = append(l.waiting, append([]byte(nil), b...))
	}
	return nil
}

// submit is what the lane of an owner does.
func (w *world) submit(owner int, c change.Change, from change.Origin, done change.Done) Taken {
	if owner != w.owner {
		return NotOwner
	}
	if _, ok := c.(*change.Nop); ok {
		o := w.owners[owner]
		o.work = append(o.work, work{from, func(err error) { done(change.Reply{}, err) }})
		return Took
	}
	send := c.(*change.Send)
	n, _ := strconv.Atoi(send.Draft.Text)
	for _, s := range w.senders {
		if w.reading && s.relay.from == from.Sender && s.outcomes[n] > 0 && s.errs[n] == nil {
			w.t.Fatalf("%d is taken from the queue and has its outcome", n)
		}
	}
	w.taken[w.tenure] = append(w.taken[w.tenure], applied{user: send.User, n: n})
	o := w.owners[owner]
	o.work = append(o.work, work{from, func(err error) { done(change.Reply{Seq: chat.Seq(n)}, err) }})
	return Took
}

func (w *world) forward(s *modelSender) {
	s.forwards++
	n := s.forwards
	s.outcomes, s.errs, s.accepted = append(s.outcomes, 0), append(s.errs, nil), append(s.accepted, false)
	m := message(hex(s.relay.from), n)
	m.Accepted = func(change.Queued) { s.accepted[n] = true }
	s.relay.Forward(0, m, func(r change.Reply, err error) {
		s.outcomes[n]++
		if s.errs[n] = err; err == nil && r.Seq != chat.Seq(n) {
			w.t.Fatalf("%d is answered with %+v", n, r)
		}
	})
	if chat.KindOf(s.errs[n]) == chat.Busy { // it has no number
		s.forwards--
		s.outcomes, s.errs, s.accepted = s.outcomes[:n], s.errs[:n], s.accepted[:n]
	}
}

// own hands the lane to an owner. What the one before has taken and not answered is
// fenced, or never answered at all.
func (w *world) own(owner int, fence bool) {
	if w.owner >= 0 {
		before := w.owners[w.owner]
		for _, item := range before.work {
			if fence {
				item.answer(chat.Wrap(chat.Fenced, "lane.commit", errors.New("another owner")))
			}
		}
		before.work = nil
	}
	w.owner, w.tenure = owner, len(w.taken)
	w.taken = append(w.taken, nil)
	o := w.owners[owner]
	o.lane = o.relay.newTenure(0, &change.Progress{Queue: w.stored.Queue, Next: maps.Clone(w.stored.Next)})
	o.lane.reading.read = w.stored.Queue
	o.lane.announce()
}

// answer lets the owner answer some of what it has taken.
func (w *world) answer(n int) {
	if w.owner < 0 {
		return
	}
	o := w.owners[w.owner]
	for n = min(n, len(o.work)); n > 0; n-- {
		item := o.work[0]
		o.work = o.work[1:]
		w.stored.Queue = max(w.stored.Queue, item.from.Queue)
		if item.from.Number > 0 {
			w.stored.Next[item.from.Sender] = max(w.stored.Next[item.from.Sender], item.from.Number+1)
		}
		item.answer(nil)
	}
}

// keep lets senders append to the queue, once or twice, or fail with the entry there or not.
func (w *world) keep(how int) {
	for _, s := range w.senders {
		q := s.relay.queues[0]
		b, end, ok := q.cutEntry(nil)
		if !ok {
			continue
		}
		for range []int{1, 2, 1, 0}[how] {
			w.queue = append(w.queue, b)
		}
		if how >= 2 {
			q.failed()
			continue
		}
		for _, accepted := range q.appended(end, uint64(len(w.queue)), w.now) {
			accepted()
		}
	}
}

// read lets the owner read entries of the queue.
func (w *world) read(n int) {
	if w.owner < 0 {
		return
	}
	t := w.owners[w.owner].lane
	w.reading = true
	defer func() { w.reading = false }()
	for ; n > 0 && t.reading.read < uint64(len(w.queue)) && len(t.reading.slots) < maxReading; n-- {
		if err := t.takeEntry(context.Background(), t.reading.read+1, w.queue[t.reading.read]); err != nil {
			w.t.Fatal(err)
		}
	}
}

// flush runs what goroutines do: packets and answers are put on the network.
func (w *world) flush() {
	for _, s := range w.senders {
		for _, q := range s.relay.queues {
			s.relay.flush(q, nil)
		}
	}
	for _, o := range w.owners {
		o.relay.sayOnce(false)
	}
}

func (w *world) tick(d time.Duration) {
	w.now = w.now.Add(d)
	for _, s := range w.senders {
		for _, q := range s.relay.queues {
			s.relay.tell(q.tick(w.now))
			s.relay.routeOnce()
		}
	}
}

// settle lets everything arrive until all is answered, which is soon: a sender asks after
// two seconds at most.
func (w *world) settle() {
	for round := 0; w.open() > 0; round++ {
		if round > 25 {
			w.t.Fatalf("%d changes have no outcome", w.open())
		}
		w.tick(100 * time.Millisecond)
		w.keep(0)
		w.read(1 << 20)
		w.answer(1 << 20)
		w.flush()
		for _, l := range w.links {
			for len(l.waiting) > 0 {
				b := l.waiting[0]
				l.waiting = l.waiting[1:]
				l.deliver(b)
			}
		}
	}
}

func (w *world) open() (n int) {
	for _, s := range w.senders {
		n += s.relay.queues[0].open + len(s.relay.router.parked)
	}
	return n
}

// check checks what was taken and answered.
func (w *world) check() {
	for _, s := range w.senders {
		user := chat.UserID(hex(s.relay.from))
		ever := map[int]bool{}
		highest := 0
		for tenure, log := range w.taken {
			last := 0
			for _, a := range log {
				if a.user != user {
					continue
				}
				if a.n <= last {
					w.t.Fatalf("tenure %d: %d behind %d", tenure, a.n, last)
				}
				for n := highest + 1; n < a.n; n++ {
					if s.errs[n] == nil {
						w.t.Fatalf("tenure %d: %d is taken, and %d never was and was not given up", tenure, a.n, n)
					}
				}
				ever[a.n], last, highest = true, a.n, max(highest, a.n)
			}
		}
		for n := 1; n <= s.forwards; n++ {
			if s.outcomes[n] != 1 {
				w.t.Fatalf("%d has %d outcomes", n, s.outcomes[n])
			}
			if s.accepted[n] && !ever[n] {
				w.t.Fatalf("%d was accepted and never taken", n)
			}
			if err := s.errs[n]; err == nil && !ever[n] || err != nil && chat.KindOf(err) != chat.Unavailable && chat.KindOf(err) != chat.Internal {
				w.t.Fatalf("%d: taken %v, %v", n, ever[n], err)
			}
		}
		if s.relay.count.waiting.Load() != 0 || s.relay.count.bytes.Load() != 0 {
			w.t.Fatal("something is counted as waiting")
		}
	}
}

// Whatever is lost, doubled or late, and however often the owner changes: in a tenure the
// entries of a sender are taken in their order, at most once; for the first time each is
// taken behind all before it that were not given up; each has one outcome; what was accepted
// is taken, and not again from the queue when it has its outcome; and when nothing is lost
// any more, all is answered soon.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		oneOf := func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "which") }
		busy := func() *link { // one with messages, if there is one
			ls := slices.DeleteFunc(slices.Clone(w.links), func(l *link) bool { return len(l.waiting) == 0 })
			if len(ls) == 0 {
				return w.links[0]
			}
			return ls[oneOf(len(ls))]
		}
		t.Repeat(map[string]func(*rapid.T){
			"forward": func(*rapid.T) {
				s := w.senders[oneOf(2)]
				for range 1 + oneOf(5) {
					w.forward(s)
				}
			},
			"flush":  func(*rapid.T) { w.flush() },
			"answer": func(*rapid.T) { w.answer(1 + oneOf(5)) },
			"keep":   func(*rapid.T) { w.keep(oneOf(4)) },
			"read":   func(*rapid.T) { w.read(1 + oneOf(3)) },
			"own":    func(*rapid.T) { w.own(oneOf(2), oneOf(2) == 0) },
			"tick":   func(*rapid.T) { w.tick(time.Duration(oneOf(4)) * 400 * time.Millisecond) },
			"deliver": func(*rapid.T) {
				l := busy()
				for n := 1 + oneOf(4); n > 0 && len(l.waiting) > 0; n-- {
					b := l.waiting[0]
					l.waiting = l.waiting[1:]
					l.deliver(b)
				}
			},
			"lose": func(*rapid.T) {
				if l := busy(); len(l.waiting) > 0 {
					i := oneOf(len(l.waiting))
					l.waiting = append(l.waiting[:i:i], l.waiting[i+1:]...)
				}
			},
			"double": func(*rapid.T) {
				if l := busy(); len(l.waiting) > 0 {
					l.waiting = append(l.waiting, nil)
					copy(l.waiting[1:], l.waiting)
				}
			},
		})
		if w.owner < 0 || oneOf(2) == 0 {
			w.own(oneOf(2), true)
		}
		for _, s := range w.senders {
			w.forward(s)
		}
		w.settle()
		w.check()
		for _, s := range w.senders {
			w.forward(s)
			n := s.forwards
			if w.settle(); s.errs[n] != nil {
				w.t.Fatal(s.errs[n])
			}
		}
	})
}

// noQueue is there to be configured; the world appends and reads by itself.
type noQueue struct{}

func (noQueue) Append(context.Context, int, []byte) (uint64, error) { return 0, errors.New("not used") }
func (noQueue) Read(context.Context, int, uint64, func(uint64, []byte) error) error {
	return errors.New("not used")
}
func (noQueue) Trim(context.Context, int, uint64) error   { return nil }
func (noQueue) Last(context.Context, int) (uint64, error) { return 0, nil }
func (noQueue) Err() error                                { return nil }
func (noQueue) Close()                                    {}
