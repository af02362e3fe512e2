package natsbus_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/bus/bustest"
	"github.com/roomtide/roomtide/bus/membus"
	"github.com/roomtide/roomtide/bus/natsbus"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/natslink"
	"github.com/roomtide/roomtide/internal/testnats"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

var prefixes atomic.Int64

// prefix returns one that no other test has.
func prefix() string { return fmt.Sprint("rt.test", prefixes.Add(1)) }

// node is a bus on a connection of its own.
type node struct {
	*natsbus.Bus
	conn *natslink.Conn
	reg  *prometheus.Registry
	got  chan *bus.Batch // of Listen
}

func open(t testing.TB, urls []string, prefix string) *node {
	t.Helper()
	conn, err := natslink.Dial(natslink.Config{URLs: urls, Node: "n"})
	if err != nil {
		t.Fatal(err)
	}
	n := &node{conn: conn, reg: prometheus.NewRegistry(), got: make(chan *bus.Batch, 10_000)}
	n.Bus = natsbus.New(conn.NATS(), prefix, nil, n.reg)
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		conn.Close()
	})
	return n
}

// listen hands what comes of a lane to n.got; the batches are kept, which this bus
// allows for those of other nodes.
func (n *node) listen(t testing.TB, lane bus.Lane) *node {
	t.Helper()
	n.Listen(func(b *bus.Batch) { n.got <- b })
	if err := n.Subscribe(lane); err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *node) next(t testing.TB) *bus.Batch {
	t.Helper()
	select {
	case b := <-n.got:
		return b
	case <-time.After(patience):
		t.Fatal("no batch came")
		return nil
	}
}

// count returns a metric of the bus.
func (n *node) count(t testing.TB, name string) float64 {
	t.Helper()
	families, err := n.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "roomtide_bus_"+name+"_total" {
			return f.Metric[0].Counter.GetValue()
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

func commit(position int64, text string) *bus.Batch {
	return &bus.Batch{Lane: 1, After: position - 1, Position: position, Rooms: []bus.RoomEvents{{Room: "r", Events: []*chat.Event{{
		Kind: chat.EventMessage, Room: "r", Rev: chat.Rev(position), Message: &chat.Message{Room: "r", Rev: chat.Rev(position), Text: text},
	}}}}}
}

func publish(t testing.TB, b bus.Bus, batch *bus.Batch) {
	t.Helper()
	if err := b.Publish(batch); err != nil {
		t.Fatal(err)
	}
}

func TestConformance(t *testing.T) {
	for _, servers := range []int{1, 3} {
		t.Run(fmt.Sprint(servers, " servers"), func(t *testing.T) {
			s := testnats.Start(t, servers, nil)
			bustest.Run(t, func(t *testing.T) []bus.Bus {
				p := prefix()
				var buses []bus.Bus
				for i := range 3 {
					n := open(t, s.URLs(i%servers), p)
					buses = append(buses, n.Bus)
				}
				s.Await(p+".ev.1", 3) // between servers interest travels
				return buses
			})
		})
	}
}

// What is published while NATS is away reaches this node, and is a hole for others.
func TestNATSIsGoneAndComesBack(t *testing.T) {
	s, p := testnats.Start(t, 1, nil), prefix()
	a, b := open(t, s.URLs(0), p).listen(t, 1), open(t, s.URLs(0), p).listen(t, 1)
	publish(t, a, commit(1, ""))
	if got := b.next(t); got.Position != 1 || a.next(t).Position != 1 {
		t.Fatalf("got %+v", got)
	}
	back := make(chan struct{}, 2)
	a.conn.OnReconnect(func() { back <- struct{}{} })
	b.conn.OnReconnect(func() { back <- struct{}{} })
	lost := a.conn.NATS().StatusChanged(nats.RECONNECTING)
	s.Stop(0)
	<-lost
	a.conn.NATS().RemoveStatusListener(lost)
	if err := a.Publish(commit(2, "")); chat.KindOf(err) != chat.Unavailable {
		t.Errorf("published without NATS: %v", err)
	}
	if got := a.next(t); got.Position != 2 {
		t.Errorf("this node got %+v", got)
	}
	if err := a.Subscribe(2); err != nil {
		t.Errorf("subscribed without NATS: %v", err)
	}
	if a.count(t, "unsent") != 1 {
		t.Errorf("unsent = %v", a.count(t, "unsent"))
	}
	s.Restart(0)
	<-back
	<-back
	for _, n := range []*node{a, b} { // proves the subscription, which it has not done for this connection
		if err := n.Subscribe(3); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, a, commit(3, ""))
	if got := b.next(t); got.After != 2 || got.Position != 3 {
		t.Errorf("behind the hole came %+v", got)
	}
	if len(b.got) > 0 {
		t.Error("a batch came late, or twice")
	}
}

// A batch is larger than a message may be; the next ones come behind it.
func TestLargeBatches(t *testing.T) {
	for name, payload := range map[string]int32{"": 0, "small max_payload": 8 << 10} {
		t.Run(name, func(t *testing.T) {
			s, p := testnats.Start(t, 1, func(o *server.Options) { o.MaxPayload = payload }), prefix()
			a, b := open(t, s.URLs(0), p), open(t, s.URLs(0), p).listen(t, 1)
			large := strings.Repeat("x", 3<<20)
			publish(t, a, commit(1, large))
			publish(t, a, commit(2, "y"))
			publish(t, a, commit(3, large+"z"))
			for position, text := range []string{large, "y", large + "z"} {
				got := b.next(t)
				if got.Position != int64(position+1) || got.Rooms[0].Events[0].Message.Text != text {
					t.Fatalf("batch %d is %d with %d bytes", position+1, got.Position, len(got.Rooms[0].Events[0].Message.Text))
				}
			}
			if b.count(t, "lost")+b.count(t, "ignored")+b.count(t, "dropped") != 0 {
				t.Error("a loss was counted")
			}
		})
	}
}

func TestTooLarge(t *testing.T) {
	s, p := testnats.Start(t, 1, nil), prefix()
	a := open(t, s.URLs(0), p).listen(t, 1)
	if err := a.Publish(commit(1, strings.Repeat("x", 33<<20))); chat.KindOf(err) != chat.Unavailable {
		t.Errorf("published: %v", err)
	}
	if a.next(t).Position != 1 {
		t.Error("this node did not get it")
	}
}

func TestGarbageIsIgnored(t *testing.T) {
	s, p := testnats.Start(t, 1, nil), prefix()
	a, b := open(t, s.URLs(0), p), open(t, s.URLs(0), p).listen(t, 1)
	nc := s.Connect(0)
	good := "\x11originXX" + string(bus.AppendBatch(nil, commit(1, "")))
	garbage := []struct{ subject, data string }{
		{"1", ""}, {"1", "\x11"}, {"1", "\x99originXX" + good[9:]}, {"1", good[:len(good)-1]}, {"x", good},
		{"1", "\x12originXX"}, {"1", "\x12originXX\x01\x02\x02\x05x"}, {"1", "\x11originXX" + string(bus.AppendBatch(nil, &bus.Batch{Lane: 2}))},
	}
	for _, g := range garbage {
		if err := nc.Publish(p+".ev."+g.subject, []byte(g.data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	publish(t, a, commit(2, ""))
	if got := b.next(t); got.Position != 2 {
		t.Errorf("garbage came as %+v", got)
	}
	if got := b.count(t, "ignored"); got != float64(len(garbage)) {
		t.Errorf("ignored = %v, sent %d", got, len(garbage))
	}
}

// A subscription keeps so much and no more for a handler that stands still, and
// says how much it has dropped.
func TestDropsAreCounted(t *testing.T) {
	s, p := testnats.Start(t, 1, nil), prefix()
	a, b := open(t, s.URLs(0), p), open(t, s.URLs(0), p)
	entered, hold := make(chan struct{}, 1000), make(chan struct{})
	b.Listen(func(*bus.Batch) { entered <- struct{}{}; <-hold })
	if err := b.Subscribe(1); err != nil {
		t.Fatal(err)
	}
	defer close(hold)
	slow := make(chan struct{}, 1)
	b.conn.NATS().SetErrorHandler(func(*nats.Conn, *nats.Subscription, error) {
		select {
		case slow <- struct{}{}:
		default:
		}
	})
	publish(t, a, commit(1, ""))
	<-entered
	text := strings.Repeat("x", 250<<10)
	for i := range int64(300) { // 73 MiB
		publish(t, a, commit(i+2, text))
	}
	select {
	case <-slow:
	case <-time.After(patience):
		t.Fatal("nothing was dropped")
	}
	if b.count(t, "dropped") == 0 {
		t.Error("the drops are not counted")
	}
}

func BenchmarkPublish(b *testing.B) {
	s := testnats.Start(b, 1, nil)
	for _, events := range []int{1, 100} {
		batch := commit(1, strings.Repeat("x", 100))
		for range events - 1 {
			batch.Rooms[0].Events = append(batch.Rooms[0].Events, batch.Rooms[0].Events[0])
		}
		handled := make(chan struct{}, 1)
		signal := func(*bus.Batch) { handled <- struct{}{} }
		run := func(b *testing.B, from, to bus.Bus) {
			to.Listen(signal)
			if err := to.Subscribe(1); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				publish(b, from, batch)
				<-handled
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(events), "ns/event")
		}
		b.Run(fmt.Sprint("membus/", events), func(b *testing.B) { m := membus.New(); run(b, m, m) })
		b.Run(fmt.Sprint("one node/", events), func(b *testing.B) {
			n := open(b, s.URLs(0), prefix())
			run(b, n, n)
		})
		b.Run(fmt.Sprint("two nodes/", events), func(b *testing.B) {
			p := prefix()
			run(b, open(b, s.URLs(0), p), open(b, s.URLs(0), p))
		})
		b.Run(fmt.Sprint("two nodes, many on the way/", events), func(b *testing.B) { flood(b, s, batch, events) })
	}
}

// flood measures with up to 256 batches on their way, as a lane under load has.
func flood(b *testing.B, s *testnats.Servers, batch *bus.Batch, events int) {
	p := prefix()
	from, to := open(b, s.URLs(0), p), open(b, s.URLs(0), p)
	free := make(chan struct{}, 256)
	to.Listen(func(*bus.Batch) { <-free })
	if err := to.Subscribe(1); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		free <- struct{}{}
		publish(b, from, batch)
	}
	for range cap(free) {
		free <- struct{}{}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(events), "ns/event")
}
