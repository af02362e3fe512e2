package relay

import (
	"testing"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/queue/memqueue"
)

// A change that was accepted is given up nowhere on its way to another lane: not while it waits for
// the map, for space in the queue of the lane, or for an owner there. Others are, in their time.
func TestAcceptedIsNotGivenUp(t *testing.T) {
	now, version := time.Now(), int64(1)
	cfg := Config{
		NATS: dial(t, startNATS(t, -1)), Prefix: "rt.test", Lanes: 2, Submit: (&node{}).submit, Place: always(1),
		Queue: memqueue.New(memqueue.NewServers(1 << 20)), MaxWaiting: 2,
		Now: func() time.Time { return now }, MapVersion: func() int64 { return version },
	}
	if err := cfg.fill(); err != nil {
		t.Fatal(err)
	}
	r := newRelay(cfg)
	outcomes := map[string]error{}
	open := func(name string, accepted bool, wanted int64) {
		m := message(name, 1)
		m.Accepted = func(change.Queued) { t.Errorf("%s is accepted once more", name) }
		e := entry{change: m, accepted: accepted, until: now, order: 1, done: func(_ change.Reply, err error) { outcomes[name] = err }}
		r.router.slots[m.Slot()].open++
		r.reroute(&verdict{entry: e, outcome: outcome{how: moved, slots: wanted}})
	}
	later := func() {
		now = now.Add(2 * cfg.GiveUp)
		r.routeOnce()
		for _, q := range r.queues {
			r.tell(q.tick(now))
		}
	}
	open("accepted", true, 2)
	open("new", false, 2)
	later()
	if err, given := outcomes["new"]; !given || chat.KindOf(err) != chat.Unavailable {
		t.Errorf("what waits for a map came to %v", err)
	}
	for range cfg.MaxWaiting {
		r.Forward(1, &change.Online{}, func(change.Reply, error) {})
	}
	version = 2
	r.routeOnce() // there is no space in the queue of the lane
	later()       // what filled it is given up
	later()
	later() // it is in the queue, and no owner takes it
	if err, given := outcomes["accepted"]; given {
		t.Errorf("what was accepted came to %v", err)
	}
	if q := r.queues[1]; q.open != 1 || !q.entries[len(q.entries)-1].promised {
		t.Errorf("%d are open in the lane, and %d parked", q.open, len(r.router.parked))
	}
	slot := message("", 1).Slot()
	if s := r.router.slots[slot]; s.open != 1 || s.parked != 0 {
		t.Errorf("of the slot: %+v", s)
	}
}
