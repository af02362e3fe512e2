package attendance_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/roomtide/roomtide/attendance"
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	grace = 15 * time.Second
	soon  = 2 * time.Second  // for what is told with the next tick
	swept = 25 * time.Second // until users of a node that has ended are taken back
)

// world is a shard whose lane keeps the nodes of users, and the nodes of a cluster.
type world struct {
	*testing.T
	store *store.Store

	mu    sync.Mutex
	rows  map[chat.UserID]map[string]bool
	facts []string // "+ann", "-ann"
	alive []string
	read  func() // is called when rows are read, with mu held; nil: nothing is
	fails bool   // the lane refuses

	asked func(*change.Connected) // is called before the lane takes a change, without mu; nil: nothing is
	slow  chan struct{}           // outcomes come when it is closed; nil: at once

	wanted bool
}

// shard has the rows of the world, and nothing else of a driver.
type shard struct {
	store.Driver
	w *world
}

type anyMap struct{ store.Control }

func (s shard) SlotRows(_ context.Context, slot chat.Slot, _ store.RowKey, _, _ int) (*store.Rows, store.RowKey, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	rows := &store.Rows{}
	if s.w.read != nil {
		s.w.read()
	}
	for user, nodes := range s.w.rows {
		if user.Slot() == slot {
			rows.UserNodes = append(rows.UserNodes, store.UserNodes{User: user, Nodes: strings.Join(slices.Sorted(maps.Keys(nodes)), "\n")})
		}
	}
	return rows, store.RowKey{}, nil
}

func inBubble(t *testing.T, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, rows: map[chat.UserID]map[string]bool{}, wanted: true}
		var err error
		if w.store, err = store.New(store.NewMap([]string{"0"}), []store.Driver{shard{w: w}}, anyMap{}, nil); err != nil {
			t.Fatal(err)
		}
		test(w)
	})
}

// submit does what the lane does.
func (w *world) submit(c change.Change, done change.Done) {
	in := c.(*change.Connected)
	w.mu.Lock()
	asked, slow := w.asked, w.slow
	w.mu.Unlock()
	if asked != nil {
		asked(in)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fails {
		go done(change.Reply{}, errors.New("the lane is closed"))
		return
	}
	nodes := w.rows[in.User]
	switch {
	case in.On && nodes == nil:
		w.rows[in.User] = map[string]bool{in.Node: true}
		w.facts = append(w.facts, "+"+string(in.User))
	case in.On:
		nodes[in.Node] = true
	case nodes[in.Node]:
		if delete(nodes, in.Node); len(nodes) == 0 {
			delete(w.rows, in.User)
			w.facts = append(w.facts, "-"+string(in.User))
		}
	}
	go func() {
		if slow != nil {
			<-slow
		}
		done(change.Reply{}, nil)
	}()
}

func (w *world) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// node is one of the cluster.
type node struct {
	w    *world
	name string
	book *attendance.Book
	here map[chat.UserID]bool // guarded by world.mu
}

// start starts a node, which owns the lane or not.
func (w *world) start(name string, owns bool) *node {
	n := &node{w: w, name: name, here: map[chat.UserID]bool{}}
	w.set(func() { w.alive = append(w.alive, name) })
	n.book = attendance.Open(attendance.Config{
		Node: name, Store: w.store, Submit: w.submit, Grace: grace, Owns: func(int) bool { return owns },
		Users: func() (users []chat.UserID) {
			w.set(func() { users = slices.Collect(maps.Keys(n.here)) })
			return users
		},
		Wanted: func() (on bool) {
			w.set(func() { on = w.wanted })
			return on
		},
		Nodes: func(context.Context) (alive []string, _ error) {
			w.set(func() { alive = slices.Clone(w.alive) })
			return alive, nil
		},
	})
	w.Cleanup(n.book.Close)
	return n
}

// end ends a node as kill -9 does: nothing is taken back.
func (n *node) end() {
	n.book.Close()
	n.w.set(func() { n.w.alive = slices.DeleteFunc(n.w.alive, func(a string) bool { return a == n.name }) })
}

func (n *node) come(user chat.UserID)  { n.w.set(func() { n.here[user] = true }) }
func (n *node) leave(user chat.UserID) { n.w.set(func() { delete(n.here, user) }) }

// want lets some time pass, and compares what was found out since the last call.
func (w *world) want(what string, pass time.Duration, facts ...string) {
	w.Helper()
	time.Sleep(pass)
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.Sort(w.facts)
	if !slices.Equal(w.facts, facts) {
		w.Errorf("%s: %q, want %q", what, w.facts, facts)
	}
	w.facts = nil
}

// A user is online from the first connection on, at whatever node, until a grace after the
// last one has ended.
func TestOnceForAllNodes(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.start("a", true), w.start("b", false)
		a.come("ann")
		w.want("came", soon, "+ann")
		b.come("ann")
		w.want("also at another node", soon)
		a.leave("ann")
		w.want("left the first", 2*grace)
		b.leave("ann")
		w.want("within the grace", grace-soon)
		b.come("ann")
		w.want("back in time", 2*grace)
		b.leave("ann")
		w.want("within the grace again", grace-soon)
		w.want("gone", 2*soon, "-ann")
	})
}

// A node that was killed takes no user back: the owner of the lane does, but for those who
// have come to another node.
func TestKilledNode(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b, c := w.start("a", true), w.start("b", false), w.start("c", false)
		b.come("ann")
		b.come("bob")
		c.come("cid")
		w.want("came", 2*grace, "+ann", "+bob", "+cid")
		b.end()
		a.come("bob")
		w.want("within the grace", grace-soon)
		w.want("after it", swept, "-ann")
	})
}

// A node that comes back while its rows are swept keeps those of users who came back with it,
// and one that ends then keeps its rows for the grace.
func TestBackDuringTheSweep(t *testing.T) {
	inBubble(t, func(w *world) {
		w.start("a", true)
		b, c, d := w.start("b", false), w.start("c", false), w.start("d", false)
		b.come("ann")
		c.come("cid")
		d.come("cid")
		w.want("came", 2*grace, "+ann", "+cid")
		swept := make(chan struct{})
		b.end()
		d.end()
		c.book.Close() // its lease lasts until the sweep
		w.set(func() {
			w.read = func() {
				w.alive, w.read = []string{"a", "b"}, nil
				close(swept)
			}
		})
		<-swept
		b = w.start("b", false)
		b.come("ann")
		w.want("within the grace", grace-soon)
		w.want("after it", 2*grace, "-cid")
	})
}

// A node that is alone and was killed finds at its next start who has not come back.
func TestStartedAgain(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.start("a", true)
		a.come("ann")
		a.come("bob")
		w.want("came", soon, "+ann", "+bob")
		a.end()
		w.want("nothing runs", time.Hour)
		a = w.start("a", true)
		a.come("bob")
		w.want("within the grace", grace-soon)
		w.want("after it", swept, "-ann")
		a.leave("bob")
		w.want("and goes on", grace+soon, "-bob")
	})
}

// What the lane does not take is told again, and each change once at a time.
func TestTriedAgain(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.start("a", true)
		w.set(func() { w.fails = true })
		var all []string
		for i := range 1000 {
			user := fmt.Sprintf("u%03d", i)
			a.come(chat.UserID(user))
			all = append(all, "+"+user)
		}
		w.want("the lane refuses", time.Minute)
		w.set(func() { w.fails = false })
		w.want("it takes them", 10*soon, all...)
	})
}

// A node that was taken for dead, and is not, tells everything again.
func TestTakenForDead(t *testing.T) {
	inBubble(t, func(w *world) {
		w.start("a", true)
		b := w.start("b", false)
		b.come("ann")
		w.want("came", soon, "+ann")
		w.set(func() { w.alive = []string{"a"} })
		w.want("within the grace", grace-soon)
		w.want("its lease has ended", swept, "+ann", "-ann")
	})
}

// A node that was taken for dead before it knew what had come of a change tells that again too:
// the row that the change made is gone.
func TestTakenForDeadBeforeTheOutcome(t *testing.T) {
	inBubble(t, func(w *world) {
		w.start("a", true)
		b, slow := w.start("b", false), make(chan struct{})
		w.set(func() { w.slow = slow })
		b.come("ann")
		w.want("came", soon, "+ann")
		w.set(func() { w.alive, w.slow = []string{"a"}, nil })
		w.want("its lease has ended", grace+swept, "-ann")
		w.set(func() { w.alive = []string{"a", "b"} })
		w.want("it is alive again", swept)
		close(slow)
		w.want("the outcome is there", soon, "+ann")
		w.want("and told once", time.Minute)
	})
}

// A user who connects in the moment in which the row of the node's previous process is removed
// is online behind that.
func TestBackWhileTheRowIsRemoved(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.start("a", true)
		a.come("ann")
		w.want("came", soon, "+ann")
		a.end()
		a = w.start("a", true)
		w.set(func() {
			w.asked = func(c *change.Connected) {
				if !c.On {
					a.come("ann")
					time.Sleep(soon) // it would be told meanwhile
				}
			}
		})
		w.want("removed, and back", grace+swept, "+ann", "-ann")
		if !w.rows["ann"]["a"] {
			t.Error("a user who is connected is not recorded")
		}
		w.set(func() { w.asked = nil })
		a.leave("ann")
		w.want("gone", grace+2*soon, "-ann")
	})
}

// A removal without an outcome for longer than a sweep lasts is submitted again, and the user
// is told behind both.
func TestRemovalWithoutAnOutcome(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.start("a", true)
		a.come("ann")
		w.want("came", soon, "+ann")
		a.end()
		slow := make(chan struct{})
		removals, ons := 0, 0
		w.set(func() {
			w.slow = slow
			w.asked = func(c *change.Connected) {
				w.set(func() {
					if c.On {
						ons++
					} else {
						removals++
					}
				})
			}
		})
		a = w.start("a", true)
		w.want("removed", grace+swept, "-ann")
		w.set(func() { w.rows["ann"] = map[string]bool{"a": true} }) // as if it had not been committed
		w.want("removed again", 2*time.Minute, "-ann")
		a.come("ann")
		w.want("connected", soon)
		if removals != 2 || ons != 0 {
			t.Errorf("%d removals, %d connections are told before their outcome", removals, ons)
		}
		w.set(func() { w.slow = nil })
		close(slow)
		w.want("told", soon, "+ann")
	})
}

// Where no host wants to be told, nothing is, and what was is taken back.
func TestNotWanted(t *testing.T) {
	inBubble(t, func(w *world) {
		w.wanted = false
		a := w.start("a", true)
		a.come("ann")
		w.want("not wanted", time.Minute)
		w.set(func() { w.wanted = true })
		w.want("wanted", soon, "+ann")
		w.set(func() { w.wanted = false })
		w.want("no more", soon, "-ann")
		if len(w.rows) > 0 {
			t.Errorf("rows are left: %v", w.rows)
		}
	})
}
