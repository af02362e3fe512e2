// Package chaos breaks a whole cluster of real processes, one fault after the other, under
// the load of clients that note everything they see, and checks at the end that nothing
// was lost, doubled or out of order. "make chaos" runs it for long and prints a report;
// otherwise there is one fault of each class.
package chaos

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/consistency"
	"github.com/roomtide/roomtide/internal/testcluster"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testprocess"
	"github.com/roomtide/roomtide/internal/workload"
)

var (
	full      = flag.Bool("full", false, "faults are as long as outages are, and there is a report")
	rounds    = flag.Int("rounds", 0, "how many rounds; 0: as many as -for has time for, or one of each class of faults")
	during    = flag.Duration("for", 0, "how long rounds are begun; 0: with -full 30 m")
	seed      = flag.Uint64("seed", 0, "of everything that is drawn; 0: one by the time")
	only      = flag.String("faults", "", "only the faults whose names have this in them")
	stockKind = flag.Int("stock", -1, "all stock clients are of this kind, an index in stock.mjs")
)

// episode is how many rounds a cluster sees before the next one is made: what clients note
// has to fit into memory.
const episode = 40

// patience is how long a mended cluster may take for anything, on a slow machine.
const patience = 5 * time.Minute

// The settings that are drawn for a node with each of its starts: all changes go through
// the queue, or those that their database cannot take.
var modes = []string{"overflow", "overflow", "always"}

var program *testprocess.Program

func TestMain(m *testing.M) {
	flag.Parse()
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	if *full && *during == 0 && *rounds == 0 {
		*during = 30 * time.Minute
	}
	// With the tag the clocks of nodes can be wrong.
	os.Exit(testprocess.Main(m, "planted", func(p *testprocess.Program) { program = p }))
}

// run is one cluster and what happens to it.
type run struct {
	t     *testing.T
	c     *testcluster.Cluster
	w     *workload.Workload
	rng   *rand.Rand
	rep   *report
	disks disks
	stock *workload.Stock
	begun int // rounds
}

// Everything fails, and no client sees a message lost, doubled or out of order.
func TestChaos(t *testing.T) {
	rep := newReport(t)
	t.Logf("seed %d", *seed)
	rng := rand.New(rand.NewPCG(*seed, 0))
	deck := newDeck(rng)
	disks, ok := mount(t)
	if !ok {
		return // the process with a namespace of its own has run it
	}
	stock := stockClients(t)
	more := until(rep, deck)
	for n := 1; more() && !t.Failed(); n++ {
		t.Run(fmt.Sprint("cluster ", n), func(t *testing.T) {
			r := &run{t: t, rng: rng, rep: rep, disks: disks, stock: stock}
			r.begin()
			for r.begun < episode && more() {
				r.round(deck.next())
			}
			r.end()
		})
		disks.empty(t)
	}
	rep.print()
}

// until returns what reports whether there are more rounds: as many, or for as long, as
// the flags say, or one of each class of faults.
func until(rep *report, d *deck) (more func() bool) {
	start := time.Now()
	switch {
	case *rounds > 0:
		return func() bool { return len(rep.rounds) < *rounds }
	case *during > 0:
		return func() bool { return time.Since(start) < *during }
	}
	if *only == "" {
		d.deal()
	} else {
		d.fill()
	}
	return func() bool { return len(d.names) > 0 }
}

// begin makes the cluster and starts the clients.
func (r *run) begin() {
	r.c = testcluster.Start(r.t, testcluster.Options{
		Program: program, Shards: 4, Proxied: true, Clocks: true, Store: r.disks.store(), Tables: r.disks.tables(), Log: r.disks.log(),
		SQL: map[testdb.Engine][]string{testdb.Postgres: smallLog},
		Env: []string{"ROOMTIDE_QUEUE_MODE=overflow", "ROOMTIDE_QUEUE_MIB=64"},
	})
	var rooms []chat.RoomID
	for i := range 8 {
		rooms = append(rooms, chat.RoomID(fmt.Sprint("room", i)))
	}
	r.w = workload.New(r.t, workload.Options{
		Addr: r.c.Balancer.Addr(), Rooms: rooms, Ping: time.Second, Pace: 30 * time.Millisecond, Patience: patience,
		InTurn: true, SocketIO: true, StrictWriters: 4, Settles: 2 * time.Minute, Stock: r.stock,
	})
	r.owners(watchOwners)
	r.w.CreateRooms()
	r.w.Start()
	r.recovered(time.Now())
}

// round has one fault happen, and waits until everything is well again.
func (r *run) round(name string, fault fault) {
	r.begun++
	began, acked, accepted := time.Now(), r.w.Acked(), r.w.Accepted()
	hits := fault(r)
	mended := time.Now()
	took := r.recovered(mended)
	r.t.Logf("%2d %s: %d hits, %v broken, well again after %v; %d messages acknowledged, %d accepted by the queue",
		r.begun, name, hits, mended.Sub(began).Round(time.Millisecond), took.Round(time.Millisecond), r.w.Acked()-acked, r.w.Accepted()-accepted)
	if hits == 0 && name != calm {
		r.t.Errorf("%s: nothing was hit", name)
	}
	r.rep.add(name, hits, took)
	if r.t.Failed() {
		r.t.FailNow()
	}
}

// recovered waits until all nodes live and own all lanes, and returns how long it took
// until every room had acknowledged a message that was sent after the fault.
func (r *run) recovered(mended time.Time) time.Duration {
	r.t.Helper()
	for !r.w.Served(mended) {
		r.alive()
		if time.Since(mended) > patience {
			r.t.Fatalf("not all rooms work again after %v", patience)
		}
		<-time.After(5 * time.Millisecond)
	}
	took := time.Since(mended)
	r.c.Served()
	r.alive()
	return took
}

// alive fails the test if a node has ended by itself.
func (r *run) alive() {
	r.t.Helper()
	for name, n := range r.c.Nodes {
		select {
		case <-n.Exited():
			r.t.Fatalf("node %s has ended by itself\n%s", name, n.Stderr())
		default:
		}
	}
}

// end stops the clients and compares everything with everything.
func (r *run) end() {
	final := r.w.Finish()
	stored := r.stored()
	r.compare(stored)
	inSQL := consistency.Final{}
	for room, ms := range stored {
		if len(ms) != len(final[room]) {
			r.t.Errorf("%s: clients read %d messages, and SQL has %d", room, len(final[room]), len(ms))
		}
		for i := range ms {
			inSQL[room] = append(inSQL[room], consistency.Of(&ms[i]))
		}
	}
	violations := consistency.Check(r.w.Rec.Records(), inSQL)
	for _, v := range violations[:min(20, len(violations))] {
		r.t.Error(v)
	}
	for _, alarm := range []string{"THE DURABLE QUEUE HAS A HOLE", "the durable queue is not the one that was read"} {
		if n := r.c.Logged(alarm); n > 0 {
			r.t.Errorf("nodes have reported %d times: %s", n, alarm)
		}
	}
	r.checkOwners()
	r.rep.sum(r.w, len(violations))
	for _, name := range testcluster.Names {
		if code := r.c.StopNode(name); code != 0 {
			r.t.Errorf("node %s ends with %d", name, code)
		}
	}
	if out, errs, err := program.RunWith(r.t.Context(), r.c.Env("a"), "check", "--data-dir", r.c.Dir("a")); err != nil {
		r.t.Errorf("the offline check: %v\n%s%s", err, out, errs)
	}
	if r.t.Failed() {
		r.t.Logf("rounds of this cluster: %s", strings.Join(r.rep.last(r.begun), ", "))
	}
}
