package relay

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patient = 20 * time.Second // for what is certain to happen

// startNATS starts a server in this process, on a port of its own if port is -1.
func startNATS(t testing.TB, port int) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	if !s.ReadyForConnections(patient) {
		t.Fatal("the NATS server does not start")
	}
	t.Cleanup(func() { stopNATS(s) })
	return s
}

func stopNATS(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

func portOf(s *server.Server) int { return s.Addr().(*net.TCPAddr).Port }

func dial(t testing.TB, s *server.Server, opts ...nats.Option) *nats.Conn {
	t.Helper()
	opts = append(opts, nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond), nats.ReconnectJitter(0, 0))
	nc, err := nats.Connect(s.ClientURL(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// node is a relay with lanes that commit what was handed to them in batches.
type node struct {
	*Relay
	name string

	mu     sync.Mutex
	owned  map[int]bool
	tenure int             // counts calls of serve
	queue  []func()        // answers of changes that wait
	taken  []applied       // in the order of Submit
	stands change.Progress // of lane 0: of what is committed
	verify func(lane int, room chat.RoomID, byMap int64) Taken
	wake   chan struct{}
}

type applied struct {
	tenure int
	user   chat.UserID // the sender
	n      int
	key    string
}

// newNode starts a node; edit may change its relay before it starts.
func newNode(t testing.TB, nc *nats.Conn, name string, cfg Config, edit ...func(*Relay)) *node {
	t.Helper()
	n := &node{name: name, owned: map[int]bool{}, wake: make(chan struct{}, 1)}
	cfg.NATS, cfg.Prefix, cfg.Node, cfg.Submit = nc, "rt.test", name, n.submit
	if cfg.Lanes == 0 {
		cfg.Lanes = 2
	}
	if cfg.Repeat == 0 {
		cfg.Repeat = 20 * time.Millisecond
	}
	if cfg.Place == nil {
		cfg.Place = always(0)
	}
	if err := cfg.fill(); err != nil {
		t.Fatal(err)
	}
	n.Relay = newRelay(cfg)
	for _, f := range edit {
		f(n.Relay)
	}
	if err := n.start(); err != nil {
		t.Fatal(err)
	}
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		n.commit(stop)
	}()
	t.Cleanup(func() {
		n.Close()
		close(stop)
		<-ended
	})
	return n
}

// always is Config.Place by a map that does not change.
func always(lane int) func(change.Change) map[int]change.Change {
	return func(c change.Change) map[int]change.Change { return map[int]change.Change{lane: c} }
}

// submit is Config.Submit.
func (n *node) submit(lane int, c change.Change, from change.Origin, done change.Done) Taken {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.owned[lane] {
		return NotOwner
	}
	if online, ok := c.(*change.Online); ok && len(n.cfg.Place(online)) > 1 {
		return OtherMap
	}
	send, ok := c.(*change.Send)
	if !ok { // the end of an entry of the durable queue
		n.queue = append(n.queue, func() { n.committed(lane, from); done(change.Reply{}, nil) })
		signal(n.wake)
		return Took
	}
	if n.verify != nil {
		if taken := n.verify(lane, send.Room, from.Map); taken != Took {
			return taken
		}
	}
	number, _ := strconv.Atoi(send.Draft.Text)
	n.taken = append(n.taken, applied{n.tenure, send.User, number, send.Draft.Key})
	n.queue = append(n.queue, func() { n.committed(lane, from); done(change.Reply{Seq: chat.Seq(number)}, nil) })
	signal(n.wake)
	return Took
}

// committed notes how far lane 0 has taken what was handed to it.
func (n *node) committed(lane int, from change.Origin) {
	if lane != 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stands.Queue = max(n.stands.Queue, from.Queue)
	if from.Number != 0 {
		if n.stands.Next == nil {
			n.stands.Next = map[uint64]uint64{}
		}
		n.stands.Next[from.Sender] = max(n.stands.Next[from.Sender], from.Number+1)
	}
}

// progress is what the next owner of lane 0 finds in the database.
func (n *node) progress() *change.Progress {
	n.mu.Lock()
	defer n.mu.Unlock()
	return &change.Progress{Queue: n.stands.Queue, Next: maps.Clone(n.stands.Next)}
}

// commit answers what waits, a batch at a time.
func (n *node) commit(stop chan struct{}) {
	for {
		select {
		case <-n.wake:
		case <-stop:
			return
		}
		n.mu.Lock()
		batch := n.queue
		n.queue = nil
		n.mu.Unlock()
		for _, answer := range batch {
			answer()
		}
	}
}

// serve makes the node the owner of the lane, or no longer so.
func (n *node) serve(t testing.TB, lane int, on bool) {
	t.Helper()
	n.mu.Lock()
	n.owned[lane] = on
	n.tenure++
	n.mu.Unlock()
	from := &change.Progress{}
	if !on {
		from = nil
	}
	if err := n.Own(lane, from); err != nil {
		t.Fatal(err)
	}
}

func (n *node) log() []applied {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.taken)
}

// tookInOrder checks that the node has taken the messages 1 to all, each once and in order.
func (n *node) tookInOrder(t testing.TB, all int) {
	t.Helper()
	log := n.log()
	for i, got := range log {
		if got.n != i+1 {
			t.Errorf("%d is taken in the place of %d", got.n, i+1)
		}
	}
	if len(log) != all {
		t.Errorf("%d were taken", len(log))
	}
}

// answeredInOrder waits for the outcomes of messages, which are numbered from 1.
func answeredInOrder(t testing.TB, outcomes []chan result) {
	t.Helper()
	for i, ch := range outcomes {
		if r, err := wait(t, ch); err != nil || r.Seq != chat.Seq(i+1) {
			t.Errorf("%d: %+v, %v", i+1, r, err)
		}
	}
}

func message(user string, n int) *change.Send {
	return &change.Send{Room: "r", User: chat.UserID(user), Draft: chat.Draft{Text: strconv.Itoa(n), Key: fmt.Sprint(user, "-", n)}}
}

type result struct {
	reply change.Reply
	err   error
}

// do forwards and waits.
func (n *node) do(t testing.TB, lane int, c change.Change) (change.Reply, error) {
	t.Helper()
	return wait(t, n.forward(lane, c))
}

func (n *node) forward(lane int, c change.Change) chan result {
	ch := make(chan result, 2) // so that a second outcome would be seen
	n.Forward(lane, c, func(r change.Reply, err error) { ch <- result{r, err} })
	return ch
}

func wait(t testing.TB, ch chan result) (change.Reply, error) {
	t.Helper()
	select {
	case r := <-ch:
		return r.reply, r.err
	case <-time.After(patient):
		t.Fatal("no outcome")
	}
	panic("not reached")
}

// lossy drops, repeats and, if it may, swaps messages at random.
func lossy(seed uint64, swap bool) func(*Relay) {
	return func(r *Relay) {
		var mu sync.Mutex
		var late func() error
		publish, rng := r.publish, rand.New(rand.NewPCG(seed, seed))
		r.publish = func(subject string, data []byte) error {
			mu.Lock()
			defer mu.Unlock()
			data = slices.Clone(data)
			dice := rng.IntN(100)
			if swap && dice < 5 && late == nil {
				late = func() error { return publish(subject, data) }
				return nil
			}
			var err error
			if dice < 90 {
				err = publish(subject, data)
			}
			if dice >= 80 && dice < 90 {
				err = publish(subject, data)
			}
			if late != nil {
				err = late()
				late = nil
			}
			return err
		}
	}
}

// tally counts, and lets a goroutine wait for a count.
type tally struct {
	mu   sync.Mutex
	more *sync.Cond
	n    int
}

func newTally() *tally {
	c := &tally{}
	c.more = sync.NewCond(&c.mu)
	return c
}

func (c *tally) add() {
	c.mu.Lock()
	c.n++
	c.mu.Unlock()
	c.more.Broadcast()
}

func (c *tally) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

func (c *tally) reach(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.n < n {
		c.more.Wait()
	}
}
