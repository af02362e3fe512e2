package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/faultproxy"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testprocess"
)

// ready is what /readyz answers.
type ready struct {
	Status   string
	Degraded []string
}

// readiness asks /readyz, with an API key unless it is empty.
func readiness(t *testing.T, n *testprocess.Node, key string) (status int, r ready) {
	t.Helper()
	req, err := http.NewRequestWithContext(testContext(t), http.MethodGet, n.URL("/readyz"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		if err := json.NewDecoder(resp.Body).Decode(&r); err != nil {
			t.Error(err)
		}
	}
	return resp.StatusCode, r
}

// until asks again until it is so.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not within 30 s: ", what)
		}
	}
}

// behind puts a proxy before the server of a DSN.
func behind(t *testing.T, dsn string) (*faultproxy.Proxy, string) {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	p := faultproxy.Start(t, u.Host)
	u.Host = p.Addr()
	return p, u.String()
}

// A load balancer takes no node out for one dead shard, whose name the node tells, and
// does when there is no other.
func TestReadyWithADeadShard(t *testing.T) {
	first, dsn1 := behind(t, testdb.MariaDB(t))
	second, dsn2 := behind(t, testdb.PostgreSQL(t))
	dir := t.TempDir()
	n := program.StartWith(t, dir, testprocess.FreeAddr(t), []string{"--shard", dsn1, "--shard", dsn2, "--control", "sqlite:control.db"})
	n.Ready()
	shop := newBackEnd(t, n, dir)
	if status, r := readiness(t, n, shop.key); status != http.StatusOK || r.Status != "ready" || r.Degraded != nil {
		t.Errorf("at first: %d %+v", status, r)
	}
	rooms := roomsOf()
	for _, r := range rooms {
		ann := user(t, n, "ann")
		join(t, ann, r)
	}
	sent := map[chat.RoomID]chat.Seq{}
	send := func(r chat.RoomID) int {
		a := shop.post(string(r), "", "x")
		if a.Status == http.StatusCreated {
			if sent[r]++; a.Seq != sent[r] {
				t.Errorf("message %d of %s has the number %d", sent[r], r, a.Seq)
			}
		}
		return a.Status
	}
	if send(rooms[0]) != http.StatusCreated || send(rooms[1]) != http.StatusCreated {
		t.Fatal("nothing can be sent")
	}
	cut := func(p *faultproxy.Proxy) { p.Refuse(true); p.Cut() }
	cut(second)
	until(t, "the dead shard is noticed", func() bool { return send(rooms[1]) == http.StatusServiceUnavailable })
	if status, r := readiness(t, n, shop.key); status != http.StatusOK || r.Status != "degraded" || !slices.Equal(r.Degraded, []string{nameOf(t, dsn2)}) {
		t.Errorf("with a dead shard: %d %+v", status, r)
	}
	if status, r := readiness(t, n, ""); status != http.StatusOK || r.Status != "degraded" || r.Degraded != nil {
		t.Errorf("with a dead shard, without a key: %d %+v", status, r)
	}
	if status := send(rooms[0]); status != http.StatusCreated {
		t.Errorf("to the other shard: %d", status)
	}
	cut(first)
	until(t, "both are dead", func() bool { return send(rooms[0]) == http.StatusServiceUnavailable })
	if status := n.WaitStatus("/readyz", http.StatusServiceUnavailable); status != http.StatusServiceUnavailable {
		t.Errorf("without any shard: %d", status)
	}
	if status := n.WaitStatus("/healthz", http.StatusOK); status != http.StatusOK {
		t.Errorf("it lives, and healthz says %d", status)
	}
	first.Refuse(false)
	second.Refuse(false)
	until(t, "all is well again", func() bool { _, r := readiness(t, n, ""); return r.Status == "ready" })
	for _, r := range rooms {
		if status := send(r); status != http.StatusCreated {
			t.Errorf("in the end, to %s: %d", r, status)
		}
		if a := shop.get(fmt.Sprintf("/v1/rooms/%s/messages?limit=100", r)); len(a.Messages) != int(sent[r]) {
			t.Errorf("%s has %d messages, %d were acknowledged", r, len(a.Messages), sent[r])
		}
	}
}
