package cluster

import (
	"log/slog"
	"slices"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testnats"
)

// The answer is the highest Reach over all nodes, on each node that asks. A node that is gone
// costs a bounded wait, and all is false.
func TestReach(t *testing.T) {
	servers := testnats.Start(t, 1, nil)
	open := func(nodes int, here map[chat.UserID]chat.Reach) *Reach {
		nc := servers.Connect(0)
		r, err := OpenReach(ReachConfig{
			NATS: nc, Prefix: "rt.test", Nodes: func() int { return nodes }, Log: slog.New(slog.DiscardHandler),
			Here: func(users []chat.UserID) []chat.Reach {
				reach := make([]chat.Reach, len(users))
				for i, u := range users {
					reach[i] = here[u]
				}
				return reach
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
		return r
	}
	type places = map[chat.UserID]chat.Reach
	a := open(2, places{"ann": chat.Foreground, "bob": chat.Background, "eve": chat.Background})
	b := open(2, places{"bob": chat.Foreground, "ann": chat.Background, "cid": chat.Background})
	users := []chat.UserID{"ann", "bob", "cid", "dan", "eve"}
	for i, r := range []*Reach{a, b} {
		got, all := r.Ask(t.Context(), users)
		if want := []chat.Reach{chat.Foreground, chat.Foreground, chat.Background, chat.Offline, chat.Background}; !all || !slices.Equal(got, want) {
			t.Errorf("node %d: %v %v", i, got, all)
		}
	}
	many := make([]chat.UserID, 2*reachUsers+1)
	for i := range many {
		many[i] = "dan"
	}
	many[0], many[2*reachUsers] = "cid", "bob"
	if got, all := a.Ask(t.Context(), many); !all || got[0] != chat.Background || got[1] != chat.Offline || got[2*reachUsers] != chat.Foreground {
		t.Error("questions of many users are answered wrongly")
	}
	b.Close()
	got, all := a.Ask(t.Context(), users)
	if want := []chat.Reach{chat.Foreground, chat.Background, chat.Offline, chat.Offline, chat.Background}; all || !slices.Equal(got, want) {
		t.Errorf("after a node has gone: %v %v", got, all)
	}
	alone := open(1, places{"dan": chat.Foreground})
	if got, all := alone.Ask(t.Context(), users); !all || !slices.Equal(got, []chat.Reach{0, 0, 0, chat.Foreground, 0}) {
		t.Errorf("a single node: %v %v", got, all)
	}
}
