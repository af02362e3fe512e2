package redispresence_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/rueidis"
	"go.uber.org/goleak"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testlog"
	"github.com/roomtide/roomtide/internal/testredis"
	"github.com/roomtide/roomtide/presence"
	"github.com/roomtide/roomtide/presence/presencetest"
	"github.com/roomtide/roomtide/presence/redispresence"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	s := testredis.Start(t)
	c := s.Client()
	presencetest.Run(t, func(t *testing.T) []presence.Driver {
		s.Do(c, "FLUSHALL")
		return []presence.Driver{open(t, s, "a"), open(t, s, "b"), open(t, s, "c")}
	})
}

// open opens a node whose heartbeats the test makes itself.
func open(t testing.TB, s *testredis.Server, node string) *redispresence.Driver {
	t.Helper()
	return openWith(t, redispresence.Config{URL: s.URL(), Node: node, Every: time.Hour, Life: time.Hour})
}

func openWith(t testing.TB, cfg redispresence.Config) *redispresence.Driver {
	t.Helper()
	d, err := redispresence.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func apply(t testing.TB, d *redispresence.Driver, on bool, room chat.RoomID, users ...chat.UserID) {
	t.Helper()
	var changes []presence.Change
	for _, u := range users {
		changes = append(changes, presence.Change{Room: room, User: u, On: on})
	}
	if err := d.Apply(context.Background(), changes); err != nil {
		t.Fatal(err)
	}
}

func beat(t testing.TB, d *redispresence.Driver) {
	t.Helper()
	if err := d.Beat(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// wantOnline checks the answer of a node, and what other programs read.
func wantOnline(t *testing.T, d *redispresence.Driver, s *testredis.Server, c rueidis.Client, room chat.RoomID, users ...chat.UserID) {
	t.Helper()
	got, count, err := d.Online(t.Context(), room, 100)
	if err != nil || count != len(users) || !slices.Equal(got, users) {
		t.Errorf("room %s: %v, %d, %v; want %v", room, got, count, err, users)
	}
	words := strings.Fields(s.Do(c, "SMEMBERS", "room:"+string(room)+":users"))
	slices.Sort(words)
	if want := fmt.Sprint(users); fmt.Sprint(words) != want {
		t.Errorf("room:%s:users has %v, want %v", room, words, want)
	}
}

// until waits for what other processes do.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(20 * time.Second); !is(); {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("not so: " + what)
		}
	}
}

// What other programs may read is right behind each change.
func TestDocumentedKeys(t *testing.T) {
	s := testredis.Start(t)
	c := s.Client()
	a, b := open(t, s, "a"), open(t, s, "b")
	apply(t, a, true, "r", "ann", "bob")
	apply(t, b, true, "r", "ann")
	apply(t, b, true, "q", "ann")
	wantOnline(t, a, s, c, "r", "ann", "bob")
	apply(t, a, false, "r", "ann", "bob")
	wantOnline(t, a, s, c, "r", "ann")
	if s.Do(c, "EXISTS", "user:ann:online") != "1" || s.Do(c, "EXISTS", "user:bob:online") != "0" {
		t.Error("user:{id}:online is wrong")
	}
	apply(t, b, false, "r", "ann")
	if s.Do(c, "EXISTS", "user:ann:online") != "1" {
		t.Error("ann is still in room q")
	}
	apply(t, b, false, "q", "ann")
	a.Close()
	b.Close()
	if left := s.Do(c, "KEYS", "*"); left != "" {
		t.Errorf("left behind: %s", left)
	}
}

func TestPrefix(t *testing.T) {
	s := testredis.Start(t)
	c := s.Client()
	d := openWith(t, redispresence.Config{URL: s.URL(), Node: "a", Prefix: "shop:", Every: time.Hour})
	apply(t, d, true, "r", "ann")
	for _, key := range strings.Fields(s.Do(c, "KEYS", "*")) {
		if !strings.HasPrefix(key, "shop:") {
			t.Errorf("key %s", key)
		}
	}
	if s.Do(c, "SMEMBERS", "shop:room:r:users") != "ann" {
		t.Error("no shop:room:r:users")
	}
}

// After FLUSHALL nothing is answered that is not so, and one heartbeat of each node
// makes everything right. So does one round of them after any key was deleted or changed.
func TestRebuiltByHeartbeats(t *testing.T) {
	s := testredis.Start(t)
	c := s.Client()
	a, b := open(t, s, "a"), open(t, s, "b")
	damage := map[string]struct {
		beats int
		words []string
	}{
		"everything":            {1, []string{"FLUSHALL"}},
		"a set":                 {redispresence.RenewIn, []string{"DEL", "room:r:users"}},
		"a member":              {redispresence.CheckIn, []string{"SREM", "room:r:users", "ann"}},
		"a lease":               {1, []string{"DEL", "roomtide:node:a"}},
		"the list of nodes":     {1, []string{"DEL", "roomtide:nodes"}},
		"a user":                {redispresence.RenewIn, []string{"DEL", "user:ann:online"}},
		"the set of a node":     {redispresence.CheckIn, []string{"EVAL", "for _,k in ipairs(redis.call('KEYS','roomtide:{room:r:users}:a:*')) do redis.call('DEL',k) end return 1", "0"}},
		"the set in order":      {redispresence.RenewIn, []string{"DEL", "roomtide:{room:r:users}:all"}},
		"the database, swapped": {1, []string{"SWAPDB", "0", "1"}},
	}
	apply(t, a, true, "r", "ann", "bob")
	apply(t, b, true, "r", "bob", "cid")
	for name, d := range damage {
		s.Do(c, d.words...)
		if name == "everything" {
			if got, _, err := a.Online(t.Context(), "r", 10); err == nil {
				t.Errorf("an empty Redis is believed: %v", got)
			}
			if err := a.Apply(t.Context(), []presence.Change{{Room: "r", User: "ann", On: true}}); err == nil {
				t.Error("an empty Redis is told changes alone")
			}
		}
		for range d.beats {
			beat(t, a)
			beat(t, b)
		}
		wantOnline(t, a, s, c, "r", "ann", "bob", "cid")
		wantOnline(t, b, s, c, "r", "ann", "bob", "cid")
		if s.Do(c, "EXISTS", "user:ann:online") != "1" {
			t.Errorf("%s: ann is not online", name)
		}
	}
}

// What heartbeats renew does not end between them, and they renew a part at a time.
func TestHeartbeatsAtRest(t *testing.T) {
	const rooms = 300
	s := testredis.Start(t)
	c := s.Client()
	d := openWith(t, redispresence.Config{URL: s.URL(), Node: "a", Every: time.Hour})
	for n := range rooms {
		apply(t, d, true, chat.RoomID(fmt.Sprint("r", n)), chat.UserID(fmt.Sprint("u", n)))
	}
	const shorten = "for _,k in ipairs(redis.call('KEYS',ARGV[1])) do redis.call('PEXPIRE',k,ARGV[2]) end return redis.call('DBSIZE')"
	const renewed = "local n=0 for _,k in ipairs(redis.call('KEYS',ARGV[1])) do if redis.call('PTTL',k)>ARGV[2]+1000 then n=n+1 end end return n"
	count := func(keys string) int {
		t.Helper()
		n, err := strconv.Atoi(s.Do(c, "EVAL", renewed, "0", keys, "9000"))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, k := range []struct {
		keys  string
		beats int
	}{{"room:*:users", redispresence.RenewIn}, {"roomtide:*:all", redispresence.RenewIn}, {"user:*", redispresence.RenewIn}, {"roomtide:*:a:*", redispresence.CheckIn}} {
		s.Do(c, "EVAL", shorten, "0", k.keys, "9000")
		before := 0
		for n := range k.beats {
			beat(t, d)
			now := count(k.keys)
			if part := now - before; part < rooms/k.beats/2 || part > 2*rooms/k.beats {
				t.Errorf("%s: heartbeat %d renewed %d of %d", k.keys, n, part, rooms)
			}
			before = now
		}
		if before != rooms {
			t.Errorf("%s: %d of %d were renewed in %d heartbeats", k.keys, before, rooms, k.beats)
		}
	}
}

// Redis that was wiped, or that a node is cut off from, is not believed before all nodes
// that are alive have told it. A node that stops, or starts, is no reason.
func TestPartIsNotAnswered(t *testing.T) {
	s := testredis.Start(t)
	c := s.Client()
	nodes := 1
	a := openWith(t, redispresence.Config{URL: s.URL(), Node: "a", Every: time.Hour, Life: time.Hour, Nodes: func() int { return nodes }})
	apply(t, a, true, "r", "ann")
	answers := func(is bool, when string) {
		t.Helper()
		if _, _, err := a.Online(t.Context(), "r", 10); (err == nil) != is {
			t.Errorf("%s: %v", when, err)
		}
	}
	nodes = 2
	beat(t, a)
	answers(true, "b has started, and is not there yet")
	b := open(t, s, "b")
	apply(t, b, true, "r", "bob")
	beat(t, a)
	s.Do(c, "FLUSHALL")
	beat(t, a)
	answers(false, "b has not told an empty Redis")
	beat(t, b)
	beat(t, a)
	wantOnline(t, a, s, c, "r", "ann", "bob")
	b.Close()
	beat(t, a)
	answers(true, "b stops, and counts as alive for a moment")
	nodes = 1
	beat(t, a)
	answers(true, "b has stopped")

	nodes = 2
	open(t, s, "b").Abandon()
	beat(t, a)
	s.Do(c, "DEL", "roomtide:node:b")
	beat(t, a)
	answers(true, "the lease of b has ended just now")
	beat(t, a)
	answers(false, "the lease of b has ended, and b is alive")
	nodes = 1
	beat(t, a)
	answers(true, "b is dead")
}

// A node that dies is not counted once its lease has ended, by its own life.
func TestDeadNode(t *testing.T) {
	s := testredis.Start(t)
	c := s.Client()
	a := openWith(t, redispresence.Config{URL: s.URL(), Node: "a", Life: time.Second})
	b := openWith(t, redispresence.Config{URL: s.URL(), Node: "b", Life: time.Second})
	apply(t, a, true, "r", "ann", "bob")
	apply(t, b, true, "r", "bob", "cid")
	apply(t, b, true, "q", "cid")
	wantOnline(t, a, s, c, "r", "ann", "bob", "cid")
	b.Abandon()
	died := time.Now()
	until(t, "the dead node's users vanish", func() bool {
		got, _, err := a.Online(t.Context(), "r", 10)
		return err == nil && slices.Equal(got, []chat.UserID{"ann", "bob"})
	})
	if took := time.Since(died); took > 3*time.Second {
		t.Errorf("after %v, with leases of one second", took)
	}
	until(t, "its keys vanish", func() bool { return !strings.Contains(s.Do(c, "KEYS", "*"), ":b:") })
	until(t, "its user vanishes", func() bool { return s.Do(c, "EXISTS", "user:cid:online", "room:q:users") == "0" })
	wantOnline(t, a, s, c, "r", "ann", "bob")
}

// A process that starts again under its name counts at once, and its predecessor not.
func TestNodeStartsAgain(t *testing.T) {
	s := testredis.Start(t)
	c := s.Client()
	other, first := open(t, s, "b"), open(t, s, "a")
	apply(t, first, true, "r", "ann")
	apply(t, other, true, "r", "bob")
	first.Abandon()
	second := open(t, s, "a")
	apply(t, second, true, "r", "cid")
	beat(t, other)
	wantOnline(t, other, s, c, "r", "bob", "cid")
}

func TestTwoProcessesOfOneName(t *testing.T) {
	s := testredis.Start(t)
	reg := prometheus.NewRegistry()
	var log testlog.Buffer
	first := openWith(t, redispresence.Config{URL: s.URL(), Node: "a", Every: time.Hour, Registerer: reg, Log: log.Logger(slog.LevelInfo)})
	open(t, s, "a")
	beat(t, first)
	if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "another process has the name") {
		t.Errorf("log: %s", log.String())
	}
	if n := metric(t, reg, "roomtide_redis_twins_total"); n != 1 {
		t.Errorf("metric: %v", n)
	}
}

func metric(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}
