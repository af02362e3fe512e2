package embednats

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/internal/testlog"
	"github.com/roomtide/roomtide/internal/testprocess"
)

// changing is a cluster whose servers are told a new list one after the other, as a
// rolling restart does it.
type changing struct {
	t   *testing.T
	log *testlog.Buffer
	cfg map[string]Config
	run map[string]*Server
}

// start starts a server, or restarts it, with the servers of a list.
func (c *changing) start(name string, list ...string) {
	c.t.Helper()
	c.stop(name)
	cfg := c.cfg[name]
	cfg.Routes = nil
	for _, n := range list {
		cfg.Routes = append(cfg.Routes, c.cfg[n].Listen)
	}
	c.run[name] = start(c.t, cfg)
	until(c.t, name+" to take part", func() bool { return c.run[name].Ready() == nil && len(c.run[name].Reached()) == len(c.run)-1 })
}

func (c *changing) stop(name string) {
	if s := c.run[name]; s != nil {
		s.Close()
		delete(c.run, name)
	}
}

// members is how many servers JetStream has, as its leader tells.
func (c *changing) members() int {
	for _, s := range c.run {
		if s.natsd.JetStreamIsLeader() {
			info, err := s.natsd.Jsz(nil)
			if err != nil || info.Meta == nil {
				return 0
			}
			return info.Meta.Size
		}
	}
	return 0
}

// Three servers become five and three again while they run. What they keep stays, on three
// servers that run; those that have left count for no majority, and one that is away and
// listed is waited for.
func TestServersComeAndLeave(t *testing.T) {
	log := &testlog.Buffer{}
	c := &changing{t: t, log: log, cfg: site(t, log), run: map[string]*Server{}}
	for _, name := range []string{"d", "e"} {
		c.cfg[name] = Config{Dir: t.TempDir(), Name: name, Listen: testprocess.FreeAddr(t), Secret: secret, MaxBytes: 64 << 20, Log: log.Logger(slog.LevelDebug), patience: time.Nanosecond}
	}
	for name, cfg := range c.cfg {
		cfg.leftAfter = 3 * time.Second
		c.cfg[name] = cfg
	}
	three, five := []string{"a", "b", "c"}, []string{"a", "b", "c", "d", "e"}
	for _, name := range three {
		c.run[name] = start(t, c.cfg[name])
	}
	nc := connect(t, c.run["a"])
	last := publish(t, nc, 3)
	until(t, "three copies", func() bool { return current(t, nc, last) == 3 })
	nc.Close()

	for _, name := range []string{"d", "e", "c", "b", "a"} {
		c.start(name, five...)
	}
	until(t, "five servers", func() bool { return c.members() == 5 })
	// The list is four now, and then three.
	for _, step := range []struct {
		gone string
		list []string
	}{{"e", []string{"a", "b", "c", "d"}}, {"d", three}} {
		c.stop(step.gone)
		until(t, step.gone+" to be missed", func() bool { return !c.run["a"].Whole() })
		for _, name := range slices.Backward(step.list) {
			c.start(name, step.list...)
		}
		until(t, step.gone+" to leave", func() bool { return c.members() == len(step.list) && c.run["a"].Whole() })
		nc = connect(t, c.run["a"])
		last = publish(t, nc, 3)
		until(t, "three copies on servers that run", func() bool { return current(t, nc, last) == 3 })
		nc.Close()
	}
	c.stop("c")
	nc = connect(t, c.run["a"])
	defer nc.Close()
	if got := publish(t, nc, 3); got != last+1 {
		t.Errorf("entry %d follows %d", got, last)
	}
	until(t, "a leader of JetStream", func() bool { return c.members() > 0 })
	waited := left{s: c.run["a"], since: map[string]time.Time{}}
	for _, later := range []time.Duration{0, time.Hour} {
		waited.look(time.Now().Add(later))
	}
	if c.members() != 3 {
		t.Errorf("JetStream has %d servers: one that is away and listed has left", c.members())
	}
	if n := strings.Count(log.String(), "has left JetStream"); n != 2 {
		t.Errorf("%d have left", n)
	}
	for _, name := range []string{"a", "b"} {
		c.stop(name)
	}
}
