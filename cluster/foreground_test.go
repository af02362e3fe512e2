package cluster

import (
	"log/slog"
	"slices"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testnats"
)

// A user who is in the foreground on any node is, whoever asks; what a node that is gone
// would have said does not count, and costs a bounded wait.
func TestForeground(t *testing.T) {
	servers := testnats.Start(t, 1, nil)
	open := func(nodes int, here ...chat.UserID) *Foreground {
		nc := servers.Connect(0)
		f, err := OpenForeground(ForegroundConfig{
			NATS: nc, Prefix: "rt.test", Nodes: func() int { return nodes }, Log: slog.New(slog.DiscardHandler),
			Here: func(users []chat.UserID) []bool {
				on := make([]bool, len(users))
				for i, u := range users {
					on[i] = slices.Contains(here, u)
				}
				return on
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
		return f
	}
	a, b := open(2, "ann"), open(2, "bob", "cid")
	users := []chat.UserID{"ann", "bob", "dan", "cid"}
	for i, f := range []*Foreground{a, b} {
		if got := f.Ask(t.Context(), users); !slices.Equal(got, []bool{true, true, false, true}) {
			t.Errorf("node %d: %v", i, got)
		}
	}
	many := make([]chat.UserID, 2*foregroundUsers+1)
	for i := range many {
		many[i] = "dan"
	}
	many[0], many[2*foregroundUsers] = "bob", "ann"
	if got := a.Ask(t.Context(), many); !got[0] || got[1] || !got[2*foregroundUsers] {
		t.Error("questions of many users are answered wrongly")
	}
	b.Close()
	if got := a.Ask(t.Context(), users); !slices.Equal(got, []bool{true, false, false, false}) {
		t.Errorf("after a node has gone: %v", got)
	}
	alone := open(1, "dan")
	if got := alone.Ask(t.Context(), users); !slices.Equal(got, []bool{false, false, true, false}) {
		t.Errorf("a single node: %v", got)
	}
}
