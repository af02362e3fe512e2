package bench

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// load is the client side of one run.
type load struct {
	// Set once.
	s       Scenario
	addr    string // those of several nodes are separated by commas
	floor   bool
	devices bool // members register one; of rivals none does
	proto   proto
	epoch   time.Time // the clock begins; numbers of commands are times of it and must stay small
	prefix  string    // of this run's rooms and users, so that a running server has not seen them
	role    string    // names of users begin with prefix and this
	members []*member
	enough  chan struct{} // closed when senders are to write no more
	done    chan struct{} // closed by close: from then on ends of connections are intended

	figures  atomic.Pointer[figures] // of the phase under way
	sent     []atomic.Int64          // by room
	acks     atomic.Int64
	entered  atomic.Int64 // members whose connection is in its room
	lost     atomic.Int64
	gaps     atomic.Int64
	doubled  atomic.Int64
	revs     atomic.Int64
	refusals counts
	returns  returns
}

// figures are the times that one phase of a run took.
type figures struct{ ack, delivery histogram }

// newLoad is the load for a server at addr; see protoOf for its name.
func newLoad(s Scenario, addr, server string) *load {
	var run [4]byte
	_, _ = rand.Read(run[:]) // never fails
	l := &load{
		s: s, addr: addr, floor: server == floorA || server == floorB, devices: s.Devices && server == "", proto: protoOf(server, s), epoch: time.Now(), enough: make(chan struct{}), done: make(chan struct{}),
		prefix: "bench-" + hex.EncodeToString(run[:]) + "-", role: "user", sent: make([]atomic.Int64, s.Rooms),
	}
	l.members = make([]*member, s.Rooms*s.Members)
	l.figures.Store(new(figures))
	return l
}

func (l *load) roomName(room int) string { return l.prefix + "room" + strconv.Itoa(room) }

// clock is the time since the load began, in nanoseconds.
func (l *load) clock() int64 { return int64(time.Since(l.epoch)) }

func (l *load) stopped() bool { return closed(l.done) }

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// pause waits, but not for longer than senders are to write.
func (l *load) pause(d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-time.After(d):
	case <-l.enough:
	}
}

// connectAtOnce is how many connections are set up at a time.
const connectAtOnce = 64

// connect opens every connection, spread over the rooms, and starts reading.
func (l *load) connect(ctx context.Context) error {
	errs := make(chan error, len(l.members))
	free := make(chan struct{}, connectAtOnce)
	var wg sync.WaitGroup
	for i := range l.members {
		free <- struct{}{}
		wg.Go(func() {
			if err := l.enter(ctx, i); err != nil {
				errs <- fmt.Errorf("connection %d: %w", i, err)
			}
			<-free
		})
	}
	wg.Wait()
	close(errs)
	if n := len(errs); n > 0 {
		return fmt.Errorf("%d of %d connections failed, for one: %w", n, len(l.members), <-errs)
	}
	return nil
}

func (l *load) enter(ctx context.Context, i int) error {
	m := &member{load: l, conn: newConn(l.proto, l.node(i), i), room: i % l.s.Rooms, name: l.prefix + l.role + strconv.Itoa(i), sender: i < l.s.Senders && !l.s.Storm}
	m.returns = l.s.Storm || l.s.Slow && i == len(l.members)-1
	m.conn.far = l.s.Slow && m.returns
	if m.sender && l.s.Rate == 0 {
		m.window = make(chan struct{}, l.s.Window)
	}
	if l.devices {
		m.conn.device = m.name
	}
	if err := m.conn.open(ctx); err != nil {
		return err
	}
	f, err := m.conn.enter(m.name, l.roomName(m.room))
	if err != nil {
		m.conn.close()
		return err
	}
	m.last, m.rev = int64(f.Seq), int64(f.Rev)
	l.members[i] = m
	l.entered.Add(1)
	go m.live(ctx)
	return nil
}

// node is the address of a member's node. The members of a room are spread over all nodes,
// and so are the senders.
func (l *load) node(i int) string {
	nodes := strings.Split(l.addr, ",")
	return nodes[(i+i/l.s.Rooms)%len(nodes)]
}

// settled waits until the server has sent all presence of the joins and is idle, and
// returns what it has used until then.
func settled(server processes) (processUsage, error) {
	last, err := server.usage()
	for quiet := 0; quiet < 3 && err == nil; {
		time.Sleep(200 * time.Millisecond)
		var now processUsage
		if now, err = server.usage(); now.cpu()-last.cpu() > 20*time.Millisecond {
			quiet = -1
		}
		quiet++
		last = now
	}
	return last, err
}

// wait does nothing for so long, and returns for how long it did.
func (l *load) wait(ctx context.Context, d time.Duration) time.Duration {
	begin := time.Now()
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
	return time.Since(begin)
}

// work makes the senders write for so long, waits for what they have sent, and
// returns how long it took until the last delivery.
func (l *load) work(ctx context.Context, d time.Duration) (elapsed time.Duration) {
	begin := time.Now()
	deadline := begin.Add(d)
	var wg sync.WaitGroup
	for i := range l.s.Senders {
		offset := time.Duration(0)
		if l.s.Rate > 0 {
			offset = time.Duration(float64(i) / l.s.Rate * float64(time.Second))
		}
		wg.Go(func() { l.members[i].write(begin, deadline, offset) })
	}
	wg.Wait()
	l.drain(ctx)
	end := int64(begin.Sub(l.epoch)) + 1
	for _, m := range l.members {
		end = max(end, m.at.Load())
	}
	return time.Duration(end) - begin.Sub(l.epoch)
}

// drain waits until everything that was sent has arrived, or nothing more comes.
func (l *load) drain(ctx context.Context) {
	const patience = 5 * time.Second
	moved, before := time.Now(), int64(-1)
	for ctx.Err() == nil {
		sent, expected := l.expected()
		delivered := l.delivered()
		if delivered >= expected && l.acks.Load() >= sent {
			break
		}
		if sum := delivered + l.acks.Load(); sum != before {
			moved, before = time.Now(), sum
		}
		if time.Since(moved) > patience {
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// expected is how many messages were sent, and how many deliveries that makes.
func (l *load) expected() (sent, deliveries int64) {
	for i := range l.sent {
		n := l.sent[i].Load()
		sent += n
		deliveries += n * int64(l.s.Members)
	}
	return sent, deliveries
}

func (l *load) delivered() (n int64) {
	for _, m := range l.members {
		n += m.delivered.Load()
	}
	return n
}

func (l *load) close() {
	close(l.done)
	for _, m := range l.members {
		if m != nil {
			m.conn.close()
		}
	}
}

func (l *load) anomalies() Anomalies {
	sent, expected := l.expected()
	a := Anomalies{
		LostConnections: l.lost.Load(), Gaps: l.gaps.Load(), Doubled: l.doubled.Load(), Revs: l.revs.Load(),
		Missing: max(0, expected-l.delivered()), Refused: l.refusals.all(),
	}
	a.Unacked = max(0, sent-l.acks.Load())
	for _, n := range a.Refused {
		a.Unacked = max(0, a.Unacked-n) // they were answered
	}
	return a
}

// counts counts things by their name.
type counts struct {
	mu sync.Mutex
	n  map[string]int64
}

func (c *counts) add(name string, n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int64{}
	}
	c.n[name] += n
}

func (c *counts) all() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.n)
}
