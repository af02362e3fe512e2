package cluster

import (
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roomtide/roomtide/internal/limit"
	"github.com/roomtide/roomtide/internal/testnats"
)

// told is what a node has heard.
type told struct {
	spent limit.Spent
	node  string
	conns map[netip.Prefix]int
}

// openUsage starts the usage of a node, which tells what comes and what conns says, and
// returns what it hears.
func openUsage(t *testing.T, nc *nats.Conn, node string, spent <-chan limit.Spent, conns <-chan map[netip.Prefix]int) (*Usage, <-chan told) {
	heard := make(chan told, 1000)
	u, err := OpenUsage(UsageConfig{
		NATS: nc, Prefix: "rt.test", Node: node, Log: slog.New(slog.DiscardHandler),
		Spent: func() limit.Spent {
			select {
			case s := <-spent:
				return s
			default:
				return nil
			}
		},
		Charge: func(s limit.Spent) {
			if len(s) > 0 {
				heard <- told{spent: s}
			}
		},
		Conns: func() map[netip.Prefix]int {
			select {
			case c := <-conns:
				return c
			default:
				return nil
			}
		},
		Hear: func(node string, c map[netip.Prefix]int) { heard <- told{node: node, conns: c} },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.Close)
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return u, heard
}

// next waits for what is heard.
func next(t *testing.T, heard <-chan told) told {
	t.Helper()
	select {
	case h := <-heard:
		return h
	case <-time.After(10 * time.Second):
		t.Fatal("nothing is heard")
	}
	return told{}
}

// What one node tells, others hear and it does not: all that was spent, in messages that
// NATS takes, and connections until there are none.
func TestUsage(t *testing.T) {
	servers := testnats.Start(t, 1, nil)
	spent, conns := make(chan limit.Spent, 1), make(chan map[netip.Prefix]int, 1)
	b, heard := openUsage(t, servers.Connect(0), "b", nil, nil)
	_, own := openUsage(t, servers.Connect(0), "a", spent, conns)

	many := limit.Spent{"user": {}, "room": {"lobby": 7}}
	for i := range 20000 {
		many["user"][fmt.Sprintf("user-%0100d", i)] = i + 1
	}
	spent <- many
	got, messages := limit.Spent{"user": {}, "room": {}}, 0
	for len(got["user"]) < 20000 || len(got["room"]) < 1 {
		messages++
		for name, keys := range next(t, heard).spent {
			for key, n := range keys {
				if got[name][key] != 0 || many[name][key] != n {
					t.Fatalf("%s %s: %d, want %d once", name, key, n, many[name][key])
				}
				got[name][key] = n
			}
		}
	}
	if messages < 2 {
		t.Error("the test has not made more than one message")
	}

	home := netip.MustParsePrefix("2001:db8::/64")
	conns <- map[netip.Prefix]int{home: 9}
	if h := next(t, heard); h.node != "a" || len(h.conns) != 1 || h.conns[home] != 9 {
		t.Errorf("heard %+v", h)
	}
	if h := next(t, heard); h.node != "a" || len(h.conns) != 0 {
		t.Errorf("heard %+v, want that there are none any more", h)
	}
	b.heard([]byte("{"))
	b.heard([]byte(`{"node":"c","later":1}`))
	select {
	case h := <-own:
		t.Errorf("a hears itself: %+v", h)
	case h := <-heard:
		t.Errorf("heard %+v", h)
	default:
	}
}
