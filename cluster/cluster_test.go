package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/roomtide/roomtide/chat"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// leases are kept in memory. They may fail, or hang until the context ends.
type leases struct {
	mu    sync.Mutex
	until map[string]int64
	calls int // of Renew
	reads int // of Nodes
	err   error
	hang  bool
}

func (l *leases) Renew(ctx context.Context, node string, until int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	if l.hang {
		l.mu.Unlock()
		<-ctx.Done()
		l.mu.Lock()
		return ctx.Err()
	}
	if l.err != nil {
		return l.err
	}
	if l.until == nil {
		l.until = map[string]int64{}
	}
	l.until[node] = until
	return nil
}

func (l *leases) Nodes(_ context.Context, now int64) (nodes []string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	for node, until := range l.until {
		if until > now {
			nodes = append(nodes, node)
		}
	}
	slices.Sort(nodes)
	return nodes, l.err
}

func (l *leases) set(err error, hang bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err, l.hang = err, hang
}

func (l *leases) renewals() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.calls
}

func (l *leases) asked() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reads
}

func join(t *testing.T, c Config) *Node {
	t.Helper()
	n, err := Join(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

func wantNodes(t *testing.T, n *Node, want ...string) {
	t.Helper()
	synctest.Wait()
	if got, err := n.Nodes(t.Context()); err != nil || !slices.Equal(got, want) {
		t.Errorf("after %v the nodes are %v, %v; want %v", time.Since(bubbleStart), got, err, want)
	}
}

// bubbleStart is when time begins in a synctest bubble.
var bubbleStart = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// A node is alive from the moment it joins until its lease has run out after its
// last renewal.
func TestLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ls := &leases{}
		a := join(t, Config{Name: "a", Leases: ls})
		b := join(t, Config{Name: "b", Leases: ls, Life: 3 * time.Second})
		if a.Name() != "a" || b.Name() != "b" {
			t.Error(a.Name(), b.Name())
		}
		wantNodes(t, a, "a", "b")
		time.Sleep(time.Hour)
		wantNodes(t, a, "a", "b")
		if n := ls.renewals(); n != 361+3601 {
			t.Errorf("%d renewals", n)
		}
		b.Close()
		b.Close()
		time.Sleep(2 * time.Second)
		wantNodes(t, a, "a", "b")
		time.Sleep(time.Second)
		wantNodes(t, a, "a")
		a.Close()
		time.Sleep(26 * time.Second)
		wantNodes(t, a, "a")
		time.Sleep(time.Second)
		wantNodes(t, a)
	})
}

// Seen asks nothing while renewals succeed, and what it says is a third of a life old at most.
func TestSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ls := &leases{}
		a := join(t, Config{Name: "a", Leases: ls, Life: 6 * time.Second})
		b := join(t, Config{Name: "b", Leases: ls, Life: 3 * time.Second})
		want := func(asked int, nodes ...string) {
			t.Helper()
			synctest.Wait()
			before := ls.asked()
			got, err := a.Seen(t.Context())
			if err != nil || !slices.Equal(got, nodes) || ls.asked()-before != asked {
				t.Errorf("after %v: %v, %v, asked %d times; want %v, %d", time.Since(bubbleStart), got, err, ls.asked()-before, nodes, asked)
			}
		}
		time.Sleep(2 * time.Second)
		want(0, "a", "b")
		b.Close()
		time.Sleep(3*time.Second + 2*time.Second)
		want(0, "a")
		ls.set(errors.New("the database is away"), false)
		time.Sleep(4 * time.Second)
		if _, err := a.Seen(t.Context()); err == nil {
			t.Error("what was seen long ago is taken for what is")
		}
	})
}

// A node that has ended shares no lanes, before its lease has run out; one that was only
// taken for that does again, when its lease would have run out.
func TestGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ls := &leases{}
		a := join(t, Config{Name: "a", Leases: ls, Life: 6 * time.Second})
		join(t, Config{Name: "b", Leases: ls, Life: 6 * time.Second})
		want := func(alive, working int) {
			t.Helper()
			synctest.Wait()
			if a.Alive() != alive || a.Working() != working {
				t.Errorf("after %v: %d are alive and %d work, want %d and %d", time.Since(bubbleStart), a.Alive(), a.Working(), alive, working)
			}
		}
		time.Sleep(3 * time.Second)
		want(2, 2)
		for _, name := range []string{"a", "b", "never heard of"} {
			a.Gone(name)
		}
		want(2, 1)
		time.Sleep(6*time.Second - 1)
		want(2, 1)
		time.Sleep(time.Nanosecond)
		want(2, 2)
	})
}

// Renewals that fail or hang are tried again; two of them cost nothing.
func TestLeaseFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		reg := prometheus.NewRegistry()
		ls := &leases{}
		n := join(t, Config{Name: "a", Leases: ls, Log: slog.New(slog.NewTextHandler(&log, nil)), Registerer: reg})
		time.Sleep(5 * time.Second)
		ls.set(errors.New("disk"), false)
		time.Sleep(10 * time.Second)
		ls.set(nil, true) // from the renewal at 20 s to its end at 30 s
		time.Sleep(10 * time.Second)
		ls.set(nil, false)
		wantNodes(t, n, "a")
		if n := ls.renewals(); n != 3 {
			t.Errorf("%d renewals", n)
		}
		time.Sleep(6 * time.Second)
		wantNodes(t, n, "a") // the first lease would have ended
		ls.set(errors.New("disk"), false)
		time.Sleep(30 * time.Second)
		ls.set(nil, false)
		wantNodes(t, n)
		time.Sleep(10 * time.Second)
		wantNodes(t, n, "a")
		n.Close()
		if s := log.String(); strings.Count(s, "level=WARN") != 5 || strings.Count(s, "renewed again") != 2 {
			t.Error(s)
		}
		families, err := reg.Gather()
		if err != nil || families[0].GetName() != "roomtide_cluster_lease_failures_total" || families[0].GetMetric()[0].GetCounter().GetValue() != 5 {
			t.Error(families, err)
		}
	})
}

// Close does not wait for a control database that hangs, and is no failure.
func TestCloseWhileRenewing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		n := join(t, Config{Name: "a", Leases: &leases{hang: true}, Log: slog.New(slog.NewTextHandler(&log, nil))})
		synctest.Wait()
		n.Close()
		if d := time.Since(bubbleStart); d != 0 || log.Len() != 0 {
			t.Errorf("after %v: %s", d, log.String())
		}
	})
}

// Leases are measured by the clock of the configuration.
func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ls := &leases{}
		now := time.UnixMilli(1_000_000)
		n := join(t, Config{Name: "a", Leases: ls, Life: time.Second, Now: func() time.Time { return now }})
		wantNodes(t, n, "a")
		n.Close()
		if fmt.Sprint(ls.until) != "map[a:1001000]" {
			t.Error(ls.until)
		}
		now = now.Add(time.Second)
		wantNodes(t, n)
	})
}

func TestNames(t *testing.T) {
	for _, good := range []string{"local", "a", "7", "roomtide-0", "EU_west-1", strings.Repeat("x", MaxName)} {
		if err := CheckName(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "-a", "_a", "a.b", "a b", "a*", "a>", "a:b", "{a}", "a/b", "a\n", "bär", "a\xff", strings.Repeat("x", MaxName+1)} {
		if err := CheckName(bad); chat.KindOf(err) != chat.Invalid {
			t.Errorf("%q: %v", bad, err)
		}
		if _, err := Join(Config{Name: bad, Leases: &leases{}}); chat.KindOf(err) != chat.Invalid {
			t.Errorf("joined as %q: %v", bad, err)
		}
	}
}
