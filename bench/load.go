package bench

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// load is the client side of one run.
type load struct {
	// Set once.
	s       Scenario
	addr    string
	floor   bool
	prefix  string // of this run's rooms and users, so that a running server has not seen them
	members []*member

	sent     []atomic.Int64 // by room
	acks     atomic.Int64
	lost     atomic.Int64
	gaps     atomic.Int64
	doubled  atomic.Int64
	stopped  atomic.Bool // connections end because we end them
	ack      histogram
	delivery histogram
	refusals refusals
}

func newLoad(s Scenario, addr string, floor bool) *load {
	var run [4]byte
	_, _ = rand.Read(run[:]) // never fails
	return &load{s: s, addr: addr, floor: floor, prefix: "bench-" + hex.EncodeToString(run[:]) + "-", sent: make([]atomic.Int64, s.Rooms)}
}

func (l *load) roomName(room int) string { return l.prefix + "room" + strconv.Itoa(room) }

// connectAtOnce is how many connections are set up at a time.
const connectAtOnce = 64

// connect opens every connection, spread over the rooms, and starts reading.
func (l *load) connect(ctx context.Context) error {
	l.members = make([]*member, l.s.Rooms*l.s.Members)
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
	c, err := dialConn(ctx, l.addr, i)
	if err != nil {
		return err
	}
	m := &member{load: l, conn: c, room: i % l.s.Rooms, name: l.prefix + "user" + strconv.Itoa(i), sender: i < l.s.Senders}
	if m.sender && l.s.Rate == 0 {
		m.window = make(chan struct{}, l.s.Window)
	}
	f, err := c.enter(m.name, l.roomName(m.room))
	if err != nil {
		c.nc.Close()
		return err
	}
	m.last = int64(f.Seq)
	l.members[i] = m
	go m.read()
	return nil
}

// settled waits until the server has told everybody who came and has nothing
// to do any more, and returns what it has used until then.
func settled(pid int) (processUsage, error) {
	last, err := usageOf(pid)
	for quiet := 0; quiet < 3 && err == nil; {
		time.Sleep(200 * time.Millisecond)
		var now processUsage
		if now, err = usageOf(pid); now.cpu()-last.cpu() > 20*time.Millisecond {
			quiet = -1
		}
		quiet++
		last = now
	}
	return last, err
}

// idle does nothing.
func (l *load) idle(ctx context.Context) time.Duration {
	begin := time.Now()
	select {
	case <-time.After(l.s.Duration):
	case <-ctx.Done():
	}
	return time.Since(begin)
}

// work makes the senders write, waits for what they have sent, and returns how
// long it took until the last delivery.
func (l *load) work(ctx context.Context) (elapsed time.Duration) {
	begin := time.Now()
	deadline := begin.Add(l.s.Duration)
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
	end := begin.Add(1)
	for _, m := range l.members {
		if at := time.Unix(0, m.at.Load()); at.After(end) {
			end = at
		}
	}
	return end.Sub(begin)
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
	l.stopped.Store(true)
	for _, m := range l.members {
		if m != nil {
			m.conn.nc.Close()
		}
	}
}

func (l *load) anomalies() Anomalies {
	sent, expected := l.expected()
	l.refusals.mu.Lock()
	defer l.refusals.mu.Unlock()
	a := Anomalies{
		LostConnections: l.lost.Load(), Gaps: l.gaps.Load(), Doubled: l.doubled.Load(),
		Missing: max(0, expected-l.delivered()), Refused: l.refusals.n,
	}
	a.Unacked = max(0, sent-l.acks.Load())
	for _, n := range a.Refused {
		a.Unacked = max(0, a.Unacked-n) // they were answered
	}
	return a
}

// run does one scenario, on a server of its own unless there is an address.
func run(ctx context.Context, o options, s Scenario, floor string) (*Result, error) {
	r := &Result{Scenario: s, Server: "roomtide"}
	if floor != "" {
		r.Server = "floor " + floor
	}
	if s.Start {
		return r, r.start(ctx, o)
	}
	addr, pid := o.addr, o.pid
	if addr == "" || floor != "" {
		c, err := startChild(floor)
		if err != nil {
			return nil, err
		}
		err = r.onChild(ctx, c, floor != "")
		return r, errors.Join(err, c.stop())
	}
	return r, r.measure(ctx, newLoad(s, addr, false), pid)
}

func (r *Result) onChild(ctx context.Context, c *child, floor bool) error {
	first, err := c.ready(ctx)
	if err != nil {
		return err
	}
	first.nc.Close()
	return r.measure(ctx, newLoad(r.Scenario, c.addr, floor), c.cmd.Process.Pid)
}

// measure runs the load and fills in the result.
func (r *Result) measure(ctx context.Context, l *load, pid int) error {
	defer l.close()
	empty, err := settled(pid)
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := l.connect(ctx); err != nil {
		return err
	}
	r.Connections, r.Connecting = len(l.members), time.Since(begin)
	before, err := settled(pid)
	if err != nil {
		return err
	}
	r.RSSPerConn = max(0, before.rss-empty.rss) / int64(len(l.members))
	self, err := usageOf(os.Getpid())
	if err != nil {
		return err
	}
	if r.Scenario.Idle {
		r.Elapsed = l.idle(ctx)
	} else {
		r.Elapsed = l.work(ctx)
	}
	after, err := usageOf(pid)
	if err != nil {
		return err
	}
	selfAfter, err := usageOf(os.Getpid())
	if err != nil {
		return err
	}
	r.RSS = after.rss
	r.ServerUser, r.ServerSys = after.user-before.user, after.sys-before.sys
	r.ClientCPU = selfAfter.cpu() - self.cpu()
	r.count(l)
	return ctx.Err()
}

// count takes over what the load has counted.
func (r *Result) count(l *load) {
	r.Sent, _ = l.expected()
	r.Acked, r.Delivered = l.acks.Load(), l.delivered()
	r.Ack, r.Delivery = l.ack.latency(), l.delivery.latency()
	r.Anomalies = l.anomalies()
}
