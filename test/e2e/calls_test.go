package e2e

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testprocess"
)

// reads are the calls that answer clients. Others run beside them.
var reads = []string{"delta", "member", "members", "messages", "online", "position", "room", "user_room"}

var storeCalls = regexp.MustCompile(`roomtide_store_call_seconds_count\{op="(\w+)",shard="[^"]+"\} (\d+)`)

// calls are how often a node has asked its databases, by what it asked.
func calls(t *testing.T, n *testprocess.Node) map[string]int {
	t.Helper()
	all := map[string]int{}
	for _, m := range storeCalls.FindAllStringSubmatch(metric(t, n, "roomtide_store_call_seconds_count"), -1) {
		count, err := strconv.Atoi(m[2])
		if err != nil {
			t.Fatal(err)
		}
		all[m[1]] += count
	}
	return all
}

// What clients read again costs a node that does not own the lane no more calls to its databases
// than this, which docs/benchmarks.md tells.
func TestCallsOfReads(t *testing.T) {
	ns := newNodes(t, testdb.PostgreSQL(t))
	a := ns.start("a")
	first := user(t, a, "first")
	join(t, first, "room")
	for range 30 {
		if _, err := first.Send(testContext(t), "room", chat.Draft{Text: "from the beginning"}); err != nil {
			t.Fatal(err)
		}
	}
	b := ns.start("b")
	const times = 20
	ann := user(t, b, "ann")
	join(t, ann, "room") // a member from here on
	for _, tt := range []struct {
		name string
		most int
		do   func(ctx context.Context) error
	}{
		{"a join without a position", 3, func(ctx context.Context) error {
			c := user(t, b, "ann")
			defer c.Close()
			_, err := c.Join(ctx, "room", client.JoinOptions{})
			return err
		}},
		{"a join with its position", 4, func(ctx context.Context) error {
			c := user(t, b, "ann")
			defer c.Close()
			_, err := c.Join(ctx, "room", client.JoinOptions{After: &client.Position{Rev: 10, Seq: 8}})
			return err
		}},
		{"history", 1, func(ctx context.Context) error {
			_, _, err := ann.History(ctx, "room", client.Page{})
			return err
		}},
		{"members", 1, func(ctx context.Context) error {
			_, _, _, err := ann.Members(ctx, "room", "")
			return err
		}},
	} {
		before := calls(t, b)
		for range times {
			if err := tt.do(testContext(t)); err != nil {
				t.Fatal(err)
			}
		}
		after, text, sum := calls(t, b), "", 0
		for _, op := range reads {
			if n := after[op] - before[op]; n > 0 {
				text += fmt.Sprintf(" %s %.1f", op, float64(n)/times)
				sum += n
			}
		}
		t.Logf("%s:%s", tt.name, text)
		if sum == 0 || sum > tt.most*times+times/5 { // what a join has caused may still come during the next one
			t.Errorf("%s: %d calls for %d times, want %d each at most:%s", tt.name, sum, times, tt.most, text)
		}
	}
}
