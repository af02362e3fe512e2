package socketio

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testnats"
	"github.com/roomtide/roomtide/internal/testprocess"
)

// site is three nodes of one cluster behind a proxy that sends each request to the next
// one: a poll, a body and a WebSocket of one session reach different nodes.
type site struct {
	t    *testing.T
	env  []string
	key  string // of the back end
	url  string // of the proxy
	next atomic.Uint32

	mu    sync.Mutex
	nodes []*testprocess.Node // guarded by mu
	dirs  []string
}

func newSite(t *testing.T) *site {
	t.Helper()
	servers := testnats.Start(t, 1, nil)
	s := &site{t: t, env: []string{
		"ROOMTIDE_SHARD=" + testdb.MariaDB(t), "ROOMTIDE_NATS_URL=" + servers.URL(0), "ROOMTIDE_METRICS_PUBLIC=true",
	}}
	for i := range 3 {
		s.dirs = append(s.dirs, t.TempDir())
		s.nodes = append(s.nodes, s.start(i, testprocess.FreeAddr(t)))
	}
	out, errs, err := program.RunWith(t.Context(), s.env, "key", "add", "the shop", "--data-dir", s.dirs[0])
	if err != nil {
		t.Fatalf("making a key: %v\n%s", err, errs)
	}
	s.key = strings.TrimSpace(out)
	s.serve()
	return s
}

func (s *site) start(i int, addr string) *testprocess.Node {
	s.t.Helper()
	n := program.Start(s.t, s.dirs[i], addr, append(s.env, "ROOMTIDE_NODE="+string(rune('a'+i)))...)
	n.Ready()
	return n
}

// serve opens the proxy. A node that takes no connection is passed over.
func (s *site) serve() {
	s.t.Helper()
	ln, err := net.Listen("tcp", testprocess.FreeAddr(s.t))
	if err != nil {
		s.t.Fatal(err)
	}
	s.url = "http://" + ln.Addr().String()
	var dialer net.Dialer
	transport := &http.Transport{DisableKeepAlives: true}
	transport.DialContext = func(ctx context.Context, network, _ string) (c net.Conn, err error) {
		for range 6 {
			s.mu.Lock()
			addr := s.nodes[int(s.next.Add(1))%len(s.nodes)].Addr
			s.mu.Unlock()
			if c, err = dialer.DialContext(ctx, network, addr); err == nil {
				return c, nil
			}
		}
		return nil, err
	}
	srv := &http.Server{ReadHeaderTimeout: patience, Handler: &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", "nodes", r.In.Host
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}}
	serving := make(chan error)
	go func() { serving <- srv.Serve(ln) }()
	s.t.Cleanup(func() { srv.Close(); <-serving })
}

// restart ends a node, with SIGTERM or SIGKILL, and starts it again at its address.
func (s *site) restart(i int, gracefully bool) {
	s.t.Helper()
	n := s.nodes[i]
	if !gracefully {
		n.Kill()
	} else if code := n.Terminate(patience + 10*time.Second); code != 0 {
		s.t.Errorf("node %d ends with %d", i, code)
	}
	n = s.start(i, n.Addr)
	s.mu.Lock()
	s.nodes[i] = n
	s.mu.Unlock()
}

// post sends a message as the back end, to whichever node is next, until it is taken.
func (s *site) post(room, key, text string) (r frame) {
	s.t.Helper()
	body, err := json.Marshal(fields{"message": text})
	if err != nil {
		s.t.Fatal(err)
	}
	status := 0
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+"/v1/rooms/"+room+"/messages", bytes.NewReader(body))
		if err != nil {
			s.t.Fatal(err)
		}
		for k, v := range map[string]string{"Authorization": "Bearer " + s.key, "Roomtide-User": "shop", "Content-Type": "application/json", "Idempotency-Key": key} {
			req.Header.Set(k, v)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			continue
		}
		answer, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if status = resp.StatusCode; err == nil && status/100 == 2 && json.Unmarshal(answer, &r) == nil {
			return r
		}
	}
	s.t.Fatalf("posting to %s: %d", room, status)
	return r
}

// metric is the sum of a counter over the nodes.
func (s *site) metric(name string) (sum float64) {
	s.t.Helper()
	for _, n := range s.nodes {
		resp, err := http.Get(n.URL("/metrics"))
		if err != nil {
			s.t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			s.t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var v float64
			if n, _ := fmt.Sscanf(line, name+" %g", &v); n == 1 {
				sum += v
			}
		}
	}
	return sum
}

// TestAnyNode runs stock clients against three nodes without sticky sessions. Every
// client sends and has every message once, in order, over one connection. Then a node is
// killed: the clients that it had connect elsewhere and have what they missed.
func TestAnyNode(t *testing.T) {
	code := strings.Join(documented(t, "Coming back"), "\n")
	s := newSite(t)
	var all []*object
	var names []string
	for _, v := range versions {
		for _, m := range modes {
			if m.name != "polling" && m.name != "upgrade" {
				continue
			}
			name := v.name + "-" + m.name
			f := newObject(t, "resuming", v.name, code, s.url, m.with(fields{"auth": fields{"user": name}}), name)
			do[bool](f, "join", "room1")
			all, names = append(all, f), append(names, name)
		}
	}
	for _, f := range all {
		do[bool](f, "joined", "room1")
	}
	const each = 30
	sendAll := func(prefix string) (wait func()) {
		var writing sync.WaitGroup
		for i, f := range all {
			writing.Go(func() {
				if _, err := f.call("sendAll", []any{"room1", fmt.Sprint(prefix, " from ", i, ": "), each, 15}); err != nil {
					t.Error(err)
				}
			})
		}
		return writing.Wait
	}
	sendAll("before")()
	total := int64(each * len(all))
	for i, f := range all {
		do[bool](f, "has", "room1", total)
		if n := do[int](f, "connects"); n != 1 {
			t.Errorf("%s connected %d times", names[i], n)
		}
	}
	if n := s.metric("roomtide_sioapi_forwarded_total"); n < float64(each) {
		t.Errorf("%v requests were handed on: too few to test anything", n)
	}
	if n := s.metric("roomtide_sioapi_upgrades_total"); n != float64(len(versions)) {
		t.Errorf("%v upgrades, want %d", n, len(versions))
	}

	wait := sendAll("meanwhile")
	do[bool](all[0], "has", "room1", total+20) // some are in flight
	s.restart(1, false)
	wait()
	total *= 2
	connects := 0
	for i, f := range all {
		do[bool](f, "has", "room1", total)
		checkApplied(t, names[i], do[[]frame](f, "applied", "room1"), total)
		connects += do[int](f, "connects")
		do[bool](f, "close")
	}
	if connects == len(all) {
		t.Error("nobody was connected to the node that was killed")
	}
}

// TestRecoveredElsewhere covers clients that join once and leave reconnecting to their
// library, while each of the nodes is restarted, one after the other, as in a rolling
// upgrade: they are recovered on other nodes, with every message once and in order.
func TestRecoveredElsewhere(t *testing.T) {
	s := newSite(t)
	rooms := []string{"room1", "room2", "room3"}
	var all []*object
	for i := range 6 {
		m := modes[i%3]
		auth := fields{"auth": fields{"user": fmt.Sprint("user", i)}}
		if i%2 == 1 {
			auth = nil // a guest without a name is identified by the secret alone
		}
		c := newObject(t, "recovering", "io4", s.url, m.with(auth), rooms)
		do[bool](c, "joined")
		all = append(all, c)
	}
	const total = 150
	seqs := map[string]int64{}
	for i := range total {
		room := rooms[i*i%7%3]
		r := s.post(room, fmt.Sprint("key", i), fmt.Sprint("text ", i))
		if seqs[room]++; r.Seq != seqs[room] {
			t.Fatalf("%s: message %d, want %d", room, r.Seq, seqs[room])
		}
		if i%50 == 25 {
			for _, c := range all {
				do[bool](c, "has", i/2)
			}
			s.restart(i/50, true)
		}
	}
	recovered := 0
	for i, c := range all {
		do[bool](c, "has", total)
		checkReceived(t, fmt.Sprint("client ", i), do[[]frame](c, "received"), seqs)
		n := do[struct{ Recovered, Fresh int }](c, "connects")
		if n.Fresh != 1 {
			t.Errorf("client %d: %+v", i, n)
		}
		recovered += n.Recovered
		do[bool](c, "close")
	}
	if recovered < len(all) {
		t.Errorf("%d recoveries: too few to test anything", recovered)
	}
}
