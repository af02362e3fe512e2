package e2e

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testprocess"
)

// A user with connections to three nodes sends as much as with one, and an address has as
// many connections: limits are those of the cluster.
func TestLimitsOfSeveralNodes(t *testing.T) {
	const (
		rate, burst = 10, 20
		span        = 15 * time.Second
		told        = time.Second // until all nodes have heard of what one tells
	)
	ns := newNodes(t, testdb.PostgreSQL(t))
	ns.env = append(ns.env, "ROOMTIDE_RATES_USER_MESSAGES=10", "ROOMTIDE_RATES_USER_BURST=20", "ROOMTIDE_MAX_CONNECTIONS_PER_IP=6",
		"ROOMTIDE_TRUSTED_PROXIES=127.0.0.0/8", "ROOMTIDE_GUESTS=on")
	ns.flags = []string{"--no-rate-limits=false"}
	var clients []*client.Client
	var all []*testprocess.Node
	for _, name := range []string{"a", "b", "c"} {
		n := ns.start(name)
		all = append(all, n)
		clients = append(clients, userFrom(t, n, "fast", "192.0.2.1"))
	}
	join(t, clients[0], "room")

	var sent atomic.Int64
	var sending sync.WaitGroup
	begin := time.Now()
	for _, c := range clients {
		for range 4 { // they wait for each other's commits
			sending.Go(func() {
				for time.Since(begin) < span {
					if _, err := c.Send(t.Context(), "room", chat.Draft{Text: "as fast as it goes"}); err != nil {
						t.Error(err)
						return
					}
					sent.Add(1)
				}
			})
		}
	}
	sending.Wait()
	took := time.Since(begin)
	// The comment in internal/limit/spent.go has the sum: of three bursts two are owed.
	may := burst + rate*took.Seconds()
	t.Logf("%d messages in %v, a node alone lets pass %.0f", sent.Load(), took, may)
	if got := float64(sent.Load()); got > may+2*(burst+rate*told.Seconds()) || got < 0.7*may {
		t.Errorf("%.0f messages in %v from three nodes, %.0f from one", got, took, may)
	}

	// Each node has one of the address, and the first gets four more: the others have
	// none to give, as soon as they have heard of it.
	for range 4 {
		userFrom(t, all[0], "more", "192.0.2.1")
	}
	for _, n := range all[1:] {
		wantRefused(t, n, "192.0.2.1")
		userFrom(t, n, "other", "192.0.2.2")
	}
}

// dialFrom connects a user of an address, as a proxy on this machine tells it.
func dialFrom(t *testing.T, n *testprocess.Node, name, address string) (*client.Client, error) {
	return client.Dial(testContext(t), client.Options{
		URL: n.URL(""), User: name, Header: http.Header{"X-Forwarded-For": {address}}, MinWait: 5 * time.Millisecond, MaxWait: 50 * time.Millisecond,
	})
}

func userFrom(t *testing.T, n *testprocess.Node, name, address string) *client.Client {
	t.Helper()
	c, err := dialFrom(t, n, name, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// wantRefused expects that the node has no place for the address, within some seconds.
func wantRefused(t *testing.T, n *testprocess.Node, address string) {
	t.Helper()
	for begin := time.Now(); time.Since(begin) < 5*time.Second; {
		c, err := dialFrom(t, n, "one too many", address)
		if err != nil {
			if !strings.Contains(err.Error(), "429") {
				t.Error(err)
			}
			return
		}
		c.Close()
	}
	t.Error("the address has more connections than it may")
}
