package relay

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/queue"
	"github.com/roomtide/roomtide/queue/memqueue"
)

// answersFirst has the lanes of a node answer the message 1 with what err returns for each try, until
// that is nil: before Submit returns, or when the lane gets to it.
func answersFirst(atOnce bool, err func() error) func(*Relay) {
	return func(r *Relay) {
		submit := r.cfg.Submit
		r.cfg.Submit = func(lane int, c change.Change, from change.Origin, done change.Done) Taken {
			if send, ok := c.(*change.Send); !ok || send.Draft.Text != "1" || lane == 0 && from.Map == 2 {
				return submit(lane, c, from, done)
			}
			refusal := err()
			switch {
			case refusal == nil:
				return submit(lane, c, from, done)
			case atOnce:
				done(change.Reply{}, refusal)
				return Took
			}
			return submit(lane, &change.Nop{}, from, func(change.Reply, error) { done(change.Reply{}, refusal) })
		}
	}
}

// ownerAnswering is a node, by whose map everything is of lane 1 if changes of lane 0 are to be handed on.
func ownerAnswering(t *testing.T, nc *nats.Conn, q queue.Queue, handsOn bool, edit func(*Relay)) *node {
	cfg := Config{Queue: q, Overflow: 20 * time.Millisecond, GiveUp: patient}
	if !handsOn {
		return newNode(t, nc, "x", cfg, edit)
	}
	cfg.MapVersion, cfg.Place = func() int64 { return 2 }, always(1)
	x := newNode(t, nc, "x", cfg, edit)
	x.verify = func(lane int, _ chat.RoomID, byMap int64) Taken {
		if lane == 0 || byMap < 2 {
			return OtherMap
		}
		return Took
	}
	return x
}

// A Busy that the rules of a lane decide is the outcome of a change that has come by the durable queue,
// directly or handed on to another lane, and later ones of its sender go on. While a lane is full, its
// change is handed in again.
func TestBusyOfRules(t *testing.T) {
	rule := &chat.Error{Kind: chat.Busy, Text: "the room that had this name is being deleted", RetryAfter: 1000}
	full := &chat.Error{Kind: chat.Busy, Op: "lane.submit", RetryAfter: 250}
	for name, c := range map[string]struct {
		atOnce, handedOn bool
		err              *chat.Error
	}{
		"a rule, at once":            {true, false, rule},
		"a rule":                     {false, false, rule},
		"full":                       {true, false, full},
		"handed on, a rule, at once": {true, true, rule},
		"handed on, a rule":          {false, true, rule},
		"handed on, full":            {true, true, full},
	} {
		t.Run(name, func(t *testing.T) {
			s, servers := startNATS(t, -1), memqueue.NewServers(1<<20)
			a := newNode(t, dial(t, s), "a", Config{Queue: memqueue.New(servers), Overflow: 20 * time.Millisecond, GiveUp: patient})
			var accepted, tries atomic.Int64
			outcomes := a.sends(1, 3, &accepted)
			until(t, "three are accepted", func() bool { return accepted.Load() == 3 })

			x := ownerAnswering(t, dial(t, s), memqueue.New(servers), c.handedOn, answersFirst(c.atOnce, func() error {
				if n := tries.Add(1); c.err == full && n > 2 {
					return nil
				}
				return c.err
			}))
			x.serve(t, 1, true)
			x.serve(t, 0, true)
			reply, err := wait(t, outcomes[0])
			if c.err == full {
				if err != nil || reply.Seq != 1 || tries.Load() != 3 {
					t.Errorf("%+v, %v, after %d tries", reply, err, tries.Load())
				}
			} else if got := new(chat.Error); !errors.As(err, &got) || *got != *rule || tries.Load() != 1 {
				t.Errorf("%+v, %v, after %d tries", reply, err, tries.Load())
			}
			for i, ch := range outcomes[1:] {
				if r, err := wait(t, ch); err != nil || r.Seq != chat.Seq(i+2) {
					t.Errorf("%d: %+v, %v", i+2, r, err)
				}
			}
		})
	}
}
