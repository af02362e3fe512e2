package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// run does one scenario: on a rival, or on a roomtide of its own unless there is
// an address.
func run(ctx context.Context, o options, s Scenario, rival string) (*Result, error) {
	r := &Result{Scenario: s, Server: cmp.Or(rival, "roomtide"), progress: o.progress}
	if s.Start {
		return r, r.start(ctx, o)
	}
	if o.addr == "" || rival != "" {
		c, err := startChild(&o, rival)
		if err != nil {
			return nil, err
		}
		err = r.onChild(ctx, c, rival)
		return r, errors.Join(err, c.stop())
	}
	return r, r.measure(ctx, newLoad(s, o.addr, ""), o.pids, o.databases)
}

func (r *Result) onChild(ctx context.Context, c *child, rival string) error {
	end := r.during(func() string { return "starting a server" })
	first, err := c.ready(ctx, protoOf(rival, r.Scenario))
	end()
	if err != nil {
		return err
	}
	first.close()
	return r.measure(ctx, newLoad(r.Scenario, c.addr, rival), processes{c.cmd.Process.Pid}, nil)
}

// measure connects all members, runs the scenario and fills in the result.
// databases are servers that the measured one uses.
func (r *Result) measure(ctx context.Context, l *load, server, databases processes) error {
	defer l.close()
	empty, before, err := r.connect(ctx, l, server)
	if err != nil {
		return err
	}
	self, err := usageOf(os.Getpid())
	if err != nil {
		return err
	}
	beforeDB, err := databases.familyCPU()
	if err != nil {
		return err
	}
	if err := r.run(ctx, l, server); err != nil {
		return err
	}
	after, err := server.usage()
	if err != nil {
		return err
	}
	selfAfter, err := usageOf(os.Getpid())
	if err != nil {
		return err
	}
	afterDB, err := databases.familyCPU()
	if err != nil {
		return err
	}
	r.DatabaseCPU = afterDB - beforeDB
	r.RSS = after.rss
	if r.Scenario.Idle {
		r.RSSPerIdle = max(0, after.rss-empty.rss) / int64(len(l.members))
	}
	r.ServerUser, r.ServerSys = after.user-before.user, after.sys-before.sys
	r.ClientCPU = selfAfter.cpu() - self.cpu()
	r.count(l)
	return ctx.Err()
}

// connect connects all members, and returns what the server used while it had none, and
// now that it is quiet again.
func (r *Result) connect(ctx context.Context, l *load, server processes) (empty, before processUsage, err error) {
	if empty, err = settled(server); err != nil {
		return empty, before, err
	}
	begin := time.Now()
	end := r.during(func() string { return fmt.Sprintf("connecting, %d of %d", l.entered.Load(), len(l.members)) })
	err = l.connect(ctx)
	end()
	if err != nil {
		return empty, before, err
	}
	r.Connections, r.Connecting = len(l.members), time.Since(begin)
	end = r.during(func() string { return "waiting until the server is quiet" })
	l.wait(ctx, l.s.Rest)
	before, err = settled(server)
	end()
	r.RSSPerConn = max(0, before.rss-empty.rss) / int64(len(l.members))
	return empty, before, err
}

// run runs the scenario.
func (r *Result) run(ctx context.Context, l *load, server processes) (err error) {
	switch s := &r.Scenario; {
	case s.Idle:
		end := r.during(l.working("idle", time.Now(), s.Duration))
		r.Elapsed = l.wait(ctx, l.s.Duration)
		end()
	case s.Storm:
		err = r.storm(ctx, l, server)
	case s.Slow:
		err = r.slow(ctx, l, server)
	default:
		end := r.during(l.working("working", time.Now(), s.Duration))
		r.Elapsed = l.work(ctx, s.Duration)
		end()
	}
	return err
}

// count takes over what the load has counted.
func (r *Result) count(l *load) {
	r.Sent, _ = l.expected()
	r.Acked, r.Delivered = l.acks.Load(), l.delivered()
	f := l.figures.Load()
	r.Ack, r.Delivery = f.ack.latency(), f.delivery.latency()
	r.Anomalies = l.anomalies()
}

// Phase is a part of a run, with the latencies of the unaffected members meanwhile.
type Phase struct {
	Name     string        `json:"name"`
	Took     time.Duration `json:"took_ns"`
	Ack      Latency       `json:"ack"`
	Delivery Latency       `json:"delivery"`
	CPU      time.Duration `json:"server_cpu_ns"`
	RSS      int64         `json:"rss_bytes"` // the most there was
}

// phase lets fn run and notes what the server used meanwhile. of is how long it should
// take.
func (r *Result) phase(name string, l *load, server processes, of time.Duration, fn func() error) (*Phase, error) {
	begin := time.Now()
	defer r.during(l.working("phase "+strconv.Quote(name), begin, of))()
	before, err := server.usage()
	if err != nil {
		return nil, err
	}
	ended, most := make(chan struct{}), make(chan int64)
	go func() { most <- mostMemory(server, ended) }()
	err = fn()
	close(ended)
	p := &Phase{Name: name, RSS: <-most, Took: time.Since(begin)}
	if err != nil {
		return nil, err
	}
	after, err := server.usage()
	p.CPU = after.cpu() - before.cpu()
	r.Phases = append(r.Phases, p)
	return p, err
}

// mostMemory looks at the server's memory until the phase has ended.
func mostMemory(server processes, ended <-chan struct{}) (most int64) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if u, err := server.usage(); err == nil {
			most = max(most, u.rss)
		}
		select {
		case <-ended:
			return most
		case <-tick.C:
		}
	}
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
