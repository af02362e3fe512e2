package cluster

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testlog"
	"github.com/roomtide/roomtide/internal/testnats"
)

// What a node that starts finds, and what it is told.
func TestAdmit(t *testing.T) {
	self := Hello{Node: "b", From: 50, Version: "v2", Level: 5, TokenKey: "k", ShardNames: []string{"s1", "s2"}}
	peer := func(change func(*Peer)) []Peer {
		p := Peer{Hello: Hello{Node: "a", From: 60, Version: "v1", Level: 5, TokenKey: "k", Serving: true}, Trip: time.Millisecond}
		change(&p)
		return []Peer{{Hello: Hello{Node: "z", From: 1, Level: 5, TokenKey: "k", Serving: true}}, p}
	}
	for _, tt := range []struct {
		name   string
		change func(*Peer)
		kind   chat.Kind
		words  []string // none: it may start
	}{
		{"as it should be", func(*Peer) {}, 0, nil},
		{"the same name", func(p *Peer) { p.Node = "b" }, chat.Conflict, []string{"the name b runs already", "--node"}},
		{"the same name, which starts too and was first", func(p *Peer) { p.Node, p.Serving, p.From = "b", false, 40 }, chat.Conflict, []string{"runs already"}},
		{"the same name, which starts too and was second", func(p *Peer) { p.Node, p.Serving = "b", false }, 0, nil},
		{"one level back", func(p *Peer) { p.Level = 4 }, 0, nil},
		{"one level ahead", func(p *Peer) { p.Level = 6 }, 0, nil},
		{"two levels back", func(p *Peer) { p.Level = 3 }, chat.Invalid, []string{"node a runs Roomtide v1 (level 3)", "this is Roomtide v2 (level 5)", "stop all nodes first"}},
		{"two levels ahead", func(p *Peer) { p.Level = 7 }, chat.Invalid, []string{"level 7"}},
		{"a clock that differs a little", func(p *Peer) { p.Ahead = -2 * time.Second }, 0, nil},
		{"a clock ahead", func(p *Peer) { p.Ahead = 12340 * time.Millisecond }, chat.Invalid, []string{"the clock of node a is 12.34s ahead of that of this node", "chrony"}},
		{"a clock behind", func(p *Peer) { p.Ahead = -time.Hour }, chat.Invalid, []string{"node a is 1h0m0s behind that"}},
		{"an answer that took too long to tell", func(p *Peer) { p.Ahead, p.Trip = 4*time.Second, 3*time.Second }, 0, nil},
		{"the same shards", func(p *Peer) { p.ShardNames = []string{"s1", "s2"} }, 0, nil},
		{"one shard more", func(p *Peer) { p.ShardNames = []string{"s1", "s2", "s3"} }, 0, nil},
		{"one shard less", func(p *Peer) { p.ShardNames = []string{"s1"} }, 0, nil},
		{"another shard", func(p *Peer) { p.ShardNames = []string{"s1", "s3"} }, chat.Invalid, []string{"node a has the shards s1, s3, and this node s1, s2", "[[shards]]"}},
		{"shards in another order", func(p *Peer) { p.ShardNames = []string{"s2", "s1"} }, chat.Invalid, []string{"[[shards]]"}},
		{"one taken out in the middle", func(p *Peer) { p.ShardNames = []string{"s2"} }, chat.Invalid, []string{"[[shards]]"}},
		{"another key", func(p *Peer) { p.TokenKey = "other" }, chat.Invalid, []string{"another one than that of node a:", "token.key", "token_key_file"}},
	} {
		err := Admit(&self, peer(tt.change))
		if (err == nil) != (tt.words == nil) || err != nil && chat.KindOf(err) != tt.kind {
			t.Errorf("%s: %v", tt.name, err)
		}
		for _, w := range tt.words {
			if err != nil && !strings.Contains(chat.Public(err).Text, w) {
				t.Errorf("%s: %v lacks %q", tt.name, err, w)
			}
		}
	}
	both := peer(func(p *Peer) { p.TokenKey = "other" })
	both[0].TokenKey = "third"
	if err := Admit(&self, both); err == nil || !strings.Contains(err.Error(), "node z, a:") {
		t.Errorf("two of other keys: %v", err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so: %s", what)
		}
	}
}

func openHellos(t *testing.T, servers *testnats.Servers, cfg HellosConfig) *Hellos {
	t.Helper()
	cfg.NATS, cfg.Prefix = servers.Connect(0), "rt.test"
	h, err := OpenHellos(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	if err := cfg.NATS.Flush(); err != nil {
		t.Fatal(err)
	}
	return h
}

// Nodes tell each other what they are, by which clock, and know it afterwards.
func TestHellos(t *testing.T) {
	servers := testnats.Start(t, 1, nil)
	a := openHellos(t, servers, HellosConfig{Self: Hello{Node: "a", Version: "v1", Level: 3, TokenKey: "k"}})
	late := openHellos(t, servers, HellosConfig{Self: Hello{Node: "late", Level: 4}, Now: func() time.Time { return time.Now().Add(-time.Minute) }})
	late.Serve()
	if err := a.cfg.NATS.Publish(a.subject(), []byte("no hello")); err != nil {
		t.Fatal(err)
	}
	var log testlog.Buffer
	reg := prometheus.NewRegistry()
	b := openHellos(t, servers, HellosConfig{
		Self: Hello{Node: "b", Version: "v2", Level: 4, TokenKey: "k"}, Every: 20 * time.Millisecond, Log: log.Logger(slog.LevelInfo), Registerer: reg,
	})
	peers, err := b.Ask(t.Context(), 0, 10*time.Second, []string{"a", "b", "late"})
	if err != nil || len(peers) != 2 || b.Lowest(peers) != 3 {
		t.Fatalf("%+v, %v", peers, err)
	}
	for _, p := range peers {
		want := time.Duration(0)
		if p.Node == "late" {
			want = -time.Minute
		}
		if diff := (p.Ahead - want).Abs(); diff > p.Trip || p.Serving != (p.Node == "late") {
			t.Errorf("%+v", p)
		}
	}
	if err := b.Admit(peers); err == nil || !strings.Contains(err.Error(), "clock of node late is") {
		t.Errorf("b may start: %v", err)
	}
	eventually(t, "a knows those that have asked", func() bool {
		known := a.Known()
		return len(known) == 2 && known[0].Node == "b" && known[0].Version == "v2" && known[0].Apart() == 0
	})
	b.Serve()
	eventually(t, "the clock is warned of", func() bool { return strings.Contains(log.String(), "the clock of node late is 1m0") })
	if d := b.difference(); d < 50 || d > 70 {
		t.Errorf("the clocks differ by %v s", d)
	}
	if n, err := testutil.GatherAndCount(reg, "roomtide_cluster_clock_difference_seconds"); n != 1 || err != nil {
		t.Errorf("%d metrics, %v", n, err)
	}
	twin := openHellos(t, servers, HellosConfig{Self: Hello{Node: "b", Level: 4}})
	twin.Serve()
	eventually(t, "a twin that runs is told of", func() bool { return strings.Contains(log.String(), "another process that runs") })
	(*Hellos)(nil).Close()
}
