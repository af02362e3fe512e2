package jetstream

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/roomtide/roomtide/queue"
	"github.com/roomtide/roomtide/queue/queuetest"
)

// traffic appends to lanes on one node and reads them on another, without end, and knows
// what must have been read.
type traffic struct {
	t      *testing.T
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup

	// Guarded by mu.
	mu    sync.Mutex
	acked map[int]map[uint64]string
	read  map[int]map[uint64]string
	wrong []string
}

const trafficLanes = 2

func newTraffic(t *testing.T, from, to queue.Queue) *traffic {
	tr := &traffic{t: t, acked: map[int]map[uint64]string{}, read: map[int]map[uint64]string{}}
	tr.ctx, tr.cancel = context.WithCancel(context.Background())
	for lane := range trafficLanes {
		tr.acked[lane], tr.read[lane] = map[uint64]string{}, map[uint64]string{}
	}
	for lane := range trafficLanes {
		tr.work.Go(func() { tr.append(from, lane) })
		tr.work.Go(func() { tr.take(to, lane) })
	}
	t.Cleanup(func() { tr.cancel(); tr.work.Wait() })
	return tr
}

// append appends one entry after the other, each until it is there.
func (tr *traffic) append(q queue.Queue, lane int) {
	last := uint64(0)
	for i := 0; tr.ctx.Err() == nil; {
		data := fmt.Sprint("entry ", i)
		ctx, cancel := context.WithTimeout(tr.ctx, 2*time.Second)
		n, err := q.Append(ctx, lane, []byte(data))
		cancel()
		if err != nil {
			pause(tr.ctx, 5*time.Millisecond)
			continue
		}
		i++
		tr.note(func() {
			if tr.acked[lane][n] = data; n <= last {
				tr.wrong = append(tr.wrong, fmt.Sprintf("lane %d: appended %d behind %d", lane, n, last))
			}
		})
		last = n
	}
}

func (tr *traffic) take(q queue.Queue, lane int) {
	last := uint64(0)
	err := q.Read(tr.ctx, lane, 0, func(n uint64, data []byte) error {
		tr.note(func() {
			if tr.read[lane][n] = string(data); n <= last {
				tr.wrong = append(tr.wrong, fmt.Sprintf("lane %d: read %d behind %d", lane, n, last))
			}
		})
		last = n
		return nil
	})
	if err != nil {
		tr.note(func() { tr.wrong = append(tr.wrong, fmt.Sprintf("lane %d: %v", lane, err)) })
	}
}

func (tr *traffic) note(f func()) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	f()
}

// goesOn waits until each lane has taken more and all of it was read.
func (tr *traffic) goesOn(what string) {
	tr.t.Helper()
	const more = 20
	want, start := map[int]int{}, time.Now()
	tr.note(func() {
		for lane := range tr.acked {
			want[lane] = len(tr.acked[lane]) + more
		}
	})
	queuetest.Eventually(tr.t, what, func() (err error) {
		tr.note(func() { err = tr.behind(want) })
		return err
	})
	tr.t.Logf("%s: %d entries more in each lane after %v", what, more, time.Since(start).Round(time.Millisecond))
}

// behind is an error unless each lane has taken so many entries and all of its entries
// were read as they were appended. mu is held.
func (tr *traffic) behind(want map[int]int) error {
	if len(tr.wrong) > 0 {
		tr.t.Fatal(tr.wrong)
	}
	for lane, acked := range tr.acked {
		if len(acked) < want[lane] {
			return fmt.Errorf("lane %d has %d entries, want %d", lane, len(acked), want[lane])
		}
		missing, newest := 0, uint64(0)
		for n := range tr.read[lane] {
			newest = max(newest, n)
		}
		for n, data := range acked {
			got, ok := tr.read[lane][n]
			switch {
			case ok && got != data:
				tr.t.Fatalf("entry %d was %q and is %q", n, data, got)
			case !ok && n < newest:
				tr.t.Fatalf("lane %d: entry %d was passed over, %d was read", lane, n, newest)
			case !ok:
				missing++
			}
		}
		if missing > trafficLanes { // what was appended just now
			return fmt.Errorf("lane %d: %d entries were not read", lane, missing)
		}
	}
	return nil
}

// TestServersDie kills and halts servers, leaders and others, under traffic: what was
// appended is read, once and in order, and everything goes on.
func TestServersDie(t *testing.T) {
	ps := startProcesses(t)
	prefix := newPrefix()
	queues := make([]*Queue, 2)
	for i := range queues {
		queues[i] = open(t, Config{NATS: ps.connect(i), Prefix: prefix, Lanes: queuetest.Lanes, MaxBytes: 64 << 20, timing: quick})
	}
	if r := replicas(t, queues[0]); r != 3 {
		t.Fatalf("%d replicas on three servers", r)
	}
	tr := newTraffic(t, queues[0], queues[1])
	tr.goesOn("three servers")

	lead := ps.leader(queues[0])
	ps.kill(lead)
	tr.goesOn("the leader was killed")
	awaitErr(t, queues[0], true)
	ps.start(lead)
	awaitErr(t, queues[0], false)
	tr.goesOn("it was started again")

	other := (ps.leader(queues[0]) + 1) % 3
	ps.kill(other)
	tr.goesOn("another one was killed")
	ps.start(other)
	awaitErr(t, queues[0], false)

	lead = ps.leader(queues[0])
	ps.signal(lead, syscall.SIGSTOP)
	tr.goesOn("the leader was halted")
	ps.signal(lead, syscall.SIGCONT)
	tr.goesOn("it goes on")
	awaitErr(t, queues[0], false)

	// Without a quorum nothing is taken, and nothing is lost.
	lead = ps.leader(queues[0])
	ps.kill(lead)
	ps.kill((lead + 1) % 3)
	awaitErr(t, queues[0], true)
	ps.start(lead)
	tr.goesOn("a quorum is back")
}

// leader is the server that leads the stream.
func (ps *processes) leader(q *Queue) int {
	ps.t.Helper()
	name := ""
	queuetest.Eventually(ps.t, "the stream has a leader", func() error {
		info, err := q.info(ps.t.Context())
		if err == nil && (info.Cluster == nil || info.Cluster.Leader == "") {
			err = fmt.Errorf("none")
		}
		if err == nil {
			name = info.Cluster.Leader
		}
		return err
	})
	return ps.index(name)
}

// awaitErr waits until Err says that something is wrong, or that nothing is.
func awaitErr(t *testing.T, q queue.Queue, wrong bool) {
	t.Helper()
	queuetest.Eventually(t, fmt.Sprint("Err says that something is wrong: ", wrong), func() error {
		if err := q.Err(); (err != nil) != wrong {
			return fmt.Errorf("Err is %v", err)
		}
		return nil
	})
}

// TestConnectionsBreak cuts the connections of both nodes again and again.
func TestConnectionsBreak(t *testing.T) {
	s := withJetStream(t, 1, nil)
	prefix := newPrefix()
	tr := newTraffic(t, open(t, node(t, s, 0, prefix, nil)), open(t, node(t, s, 0, prefix, nil)))
	for i := range 5 {
		tr.goesOn(fmt.Sprint("before cut ", i))
		s.Drop(0)
	}
	tr.goesOn("after the last")
	s.Restart(0)
	tr.goesOn("the server was started again")
}
