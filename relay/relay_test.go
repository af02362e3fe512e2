package relay

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

func TestThereAndBack(t *testing.T) {
	s := startNATS(t, -1)
	a, b := newNode(t, dial(t, s), "a", Config{}), newNode(t, dial(t, s), "b", Config{})
	b.serve(t, 1, true)
	if r, err := a.do(t, 1, message("a", 7)); err != nil || r.Seq != 7 {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := b.do(t, 1, message("b", 8)); err != nil || r.Seq != 8 {
		t.Errorf("to itself: %+v, %v", r, err)
	}
	if _, err := a.do(t, 2, message("a", 1)); chat.KindOf(err) != chat.Internal {
		t.Errorf("a lane that is not there: %v", err)
	}
}

// Errors of the lane come back as they are.
func TestRefusals(t *testing.T) {
	s := startNATS(t, -1)
	a := newNode(t, dial(t, s), "a", Config{})
	want := &chat.Error{Kind: chat.Busy, Op: "lane.submit", Text: "later", RetryAfter: 250}
	owner := newNode(t, dial(t, s), "b", Config{}, func(r *Relay) {
		r.cfg.Submit = func(_ int, _ change.Change, _ change.Origin, done change.Done) Taken {
			done(change.Reply{}, want)
			return Took
		}
	})
	if err := owner.Own(0, &change.Progress{}); err != nil {
		t.Fatal(err)
	}
	_, err := a.do(t, 0, message("a", 1))
	var got *chat.Error
	if !errors.As(err, &got) || *got != *want {
		t.Errorf("%v", err)
	}
}

// A message without a key gets one, the same for each repeat, and the caller's change
// stays as it is.
func TestKeys(t *testing.T) {
	s := startNATS(t, -1)
	a, b := newNode(t, dial(t, s), "a", Config{}), newNode(t, dial(t, s), "b", Config{})
	b.serve(t, 0, true)
	limits := chat.DefaultLimits()
	for n := range 2 {
		c := message("a", n)
		c.Draft.Key = ""
		if _, err := a.do(t, 0, c); err != nil || c.Draft.Key != "" {
			t.Errorf("%v, key %q", err, c.Draft.Key)
		}
	}
	if _, err := a.do(t, 0, message("a", 2)); err != nil {
		t.Error(err)
	}
	log := b.log()
	if log[0].key == log[1].key || log[0].key == "" || chat.CheckKey(log[0].key, &limits) != nil || log[2].key != "a-2" {
		t.Errorf("%+v", log)
	}
}

// Three senders, 10,000 changes, messages lost, doubled and swapped: the owner takes each
// once, in the order of its sender.
func TestOrderWithLosses(t *testing.T) {
	s := startNATS(t, -1)
	b := newNode(t, dial(t, s), "owner", Config{}, lossy(99, true))
	b.serve(t, 0, true)
	const senders, each = 3, 3334
	var all sync.WaitGroup
	reg := prometheus.NewRegistry()
	var nodes []*node
	for i, name := range []string{"a", "b", "c"} {
		cfg := Config{MaxWaiting: each}
		if i == 0 {
			cfg.Registerer = reg
		}
		nodes = append(nodes, newNode(t, dial(t, s), name, cfg, lossy(uint64(i), true)))
	}
	outcomes := newTally()
	for _, n := range nodes {
		all.Go(func() { forwardAll(t, n, each, outcomes) })
	}
	all.Wait()
	if outcomes.count() != senders*each {
		t.Errorf("%d outcomes", outcomes.count())
	}
	checkOrder(t, [][]applied{b.log()}, []string{"a", "b", "c"}, each)
	if got := len(b.log()); got != senders*each {
		t.Errorf("%d changes were taken, want each once", got)
	}
	var packets, repeated float64
	for _, n := range nodes {
		packets += testutil.ToFloat64(n.count.packets)
		repeated += testutil.ToFloat64(n.count.repeated)
	}
	if t.Logf("%v packets, %v entries sent again", packets, repeated); repeated == 0 {
		t.Error("nothing was lost: the test tests nothing")
	}
	if n := nodes[0].count.waiting.Load() + nodes[0].count.bytes.Load(); n != 0 {
		t.Errorf("%d waiting", n)
	}
}

// forwardAll forwards n changes to lane 0, some at a time, and waits for all outcomes.
func forwardAll(t *testing.T, from *node, n int, outcomes *tally) {
	slots := make(chan struct{}, 50)
	var open sync.WaitGroup
	for i := 1; i <= n; i++ {
		slots <- struct{}{}
		open.Add(1)
		from.Forward(0, message(from.name, i), func(r change.Reply, err error) {
			if err != nil || r.Seq != chat.Seq(i) {
				t.Errorf("%s %d: %+v, %v", from.name, i, r, err)
			}
			outcomes.add()
			<-slots
			open.Done()
		})
	}
	open.Wait()
}

// checkOrder checks what owners took, one after the other: in each tenure numbers of a
// sender only grow, and for the first time each is taken behind the one before it.
func checkOrder(t *testing.T, owners [][]applied, senders []string, each int) (repeats int) {
	t.Helper()
	for _, name := range senders {
		first, tenure, last := 0, -1, 0
		for _, log := range owners {
			for _, a := range log {
				if string(a.user) != name {
					continue
				}
				if a.tenure == tenure && a.n <= last {
					t.Fatalf("%s: %d behind %d in one tenure", name, a.n, last)
				}
				if a.n > first+1 {
					t.Fatalf("%s: %d is taken, and %d never was", name, a.n, first+1)
				}
				if a.n <= first {
					repeats++
				}
				first, tenure, last = max(first, a.n), a.tenure, a.n
			}
			tenure = -1
		}
		if first != each {
			t.Errorf("%s: %d changes were taken, want %d", name, first, each)
		}
	}
	return repeats
}

func TestGiveUp(t *testing.T) {
	s := startNATS(t, -1)
	a := newNode(t, dial(t, s), "a", Config{GiveUp: 50 * time.Millisecond, Repeat: 10 * time.Millisecond})
	lost := []chan result{a.forward(0, message("a", 1)), a.forward(0, message("a", 2))}
	for _, ch := range lost {
		_, err := wait(t, ch)
		var e *chat.Error
		if !errors.As(err, &e) || e.Kind != chat.Unavailable || e.RetryAfter != 1000 || !strings.Contains(e.Text, "cannot be reached") {
			t.Errorf("%v", err)
		}
	}
	b := newNode(t, dial(t, s), "b", Config{})
	b.serve(t, 0, true)
	if _, err := a.do(t, 0, message("a", 3)); err != nil {
		t.Error(err)
	}
	if log := b.log(); len(log) != 1 || log[0].n != 3 {
		t.Errorf("what was given up is applied later: %+v", log)
	}
	for _, ch := range lost {
		if len(ch) != 0 {
			t.Error("a second outcome")
		}
	}
	if n := testutil.ToFloat64(a.count.givenUp); n != 2 {
		t.Errorf("%v were given up", n)
	}
}

func TestBusy(t *testing.T) {
	s := startNATS(t, -1)
	a := newNode(t, dial(t, s), "a", Config{MaxWaiting: 2, MaxBytes: 4096})
	large := message("a", 1)
	large.Draft.Text = strings.Repeat("x", 5000)
	first := a.forward(1, large) // alone, it may be larger than the bound
	for what, c := range map[string]struct {
		lane int
		open int
	}{"bytes": {1, 1}, "changes": {0, 2}} {
		inRoom := func(n int) *change.Send {
			send := message("a", n)
			send.Room = chat.RoomID(what)
			return send
		}
		for n := range c.open - len(a.queues[c.lane].entries) {
			a.forward(c.lane, inRoom(n))
		}
		_, err := a.do(t, c.lane, inRoom(9))
		var e *chat.Error
		if !errors.As(err, &e) || !change.IsFull(err) || e.RetryAfter != 250 {
			t.Errorf("%s: %v", what, err)
		}
	}
	huge := message("a", 1)
	huge.Draft.Text = strings.Repeat("x", 1<<20)
	if _, err := a.do(t, 0, huge); chat.KindOf(err) != chat.TooLarge {
		t.Errorf("%v", err)
	}
	b := newNode(t, dial(t, s), "b", Config{})
	b.serve(t, 1, true)
	if _, err := wait(t, first); err != nil {
		t.Error(err)
	}
}

// Close answers what waits, once, and later changes at once.
func TestClose(t *testing.T) {
	s := startNATS(t, -1)
	a := newNode(t, dial(t, s), "a", Config{})
	a.serve(t, 1, true)
	waits := a.forward(0, message("a", 1))
	a.Close()
	for _, ch := range []chan result{waits, a.forward(0, message("a", 2))} {
		if _, err := wait(t, ch); chat.KindOf(err) != chat.Unavailable || len(ch) != 0 {
			t.Errorf("%v, and %d more", err, len(ch))
		}
	}
	if err := a.Own(0, &change.Progress{}); err == nil {
		t.Error("a closed relay owns a lane")
	}
	a.Close()
}

// A connection that was closed first does not keep Close from ending.
func TestCloseAfterTheConnection(t *testing.T) {
	s := startNATS(t, -1)
	nc := dial(t, s)
	a := newNode(t, nc, "a", Config{})
	a.serve(t, 0, true)
	nc.Close()
	waits := a.forward(1, message("a", 1))
	a.Close()
	if _, err := wait(t, waits); chat.KindOf(err) != chat.Unavailable {
		t.Error(err)
	}
	if err := a.Own(0, &change.Progress{}); err == nil {
		t.Error("a lane is owned without a connection")
	}
}

// A server that is started again is used at once, and nothing is lost.
func TestServerRestart(t *testing.T) {
	s := startNATS(t, -1)
	var a, b *node
	var up sync.WaitGroup
	up.Add(2)
	back := func(n **node) nats.Option {
		return nats.ReconnectHandler(func(*nats.Conn) { (*n).Reconnected(); up.Done() })
	}
	// Repeat is long: only Reconnected makes the sender ask in time.
	a = newNode(t, dial(t, s, back(&a)), "a", Config{Repeat: time.Hour, GiveUp: 2 * time.Hour})
	b = newNode(t, dial(t, s, back(&b)), "b", Config{})
	b.serve(t, 0, true)
	if _, err := a.do(t, 0, message("a", 1)); err != nil {
		t.Fatal(err)
	}
	port := portOf(s)
	stopNATS(s)
	var open []chan result
	for n := 2; n < 100; n++ {
		open = append(open, a.forward(0, message("a", n)))
	}
	startNATS(t, port)
	up.Wait()
	b.Reconnected() // both are there by now
	for _, ch := range open {
		if _, err := wait(t, ch); err != nil {
			t.Error(err)
		}
	}
	checkOrder(t, [][]applied{b.log()}, []string{"a"}, 99)
}
