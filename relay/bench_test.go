package relay

import (
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/roomtide/roomtide/change"
)

// BenchmarkForward is 200 callers that each wait for their outcome, from one node to
// another over a server in the same process. The figure cpu-us/change holds the callers,
// the server and both nodes; the owner answers without a database.
func BenchmarkForward(b *testing.B) {
	for _, bench := range []struct {
		name    string
		callers int
	}{{"1 caller", 1}, {"200 callers", 200}, {"2000 callers", 2000}} {
		b.Run(bench.name, func(b *testing.B) {
			s := startNATS(b, -1)
			from := newNode(b, dial(b, s), "a", Config{Repeat: time.Second})
			to := newNode(b, dial(b, s), "b", Config{Repeat: time.Second}, func(r *Relay) { r.cfg.Submit = batches(b) })
			if err := to.Own(0, &change.Progress{}); err != nil {
				b.Fatal(err)
			}
			c := message("a", 1)
			c.Draft.Text = string(make([]byte, 100))
			run := func(n int) {
				var all sync.WaitGroup
				for i := range bench.callers {
					all.Go(func() { calls(b, from, c, (n+i)/bench.callers) })
				}
				all.Wait()
			}
			run(bench.callers)
			cpu := cpuTime(b)
			b.ResetTimer()
			run(b.N)
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "changes/s")
			b.ReportMetric(float64((cpuTime(b)-cpu).Microseconds())/float64(b.N), "cpu-us/change")
		})
	}
}

// calls forwards n times, each time when the outcome of the one before is there.
func calls(b *testing.B, from *node, c change.Change, n int) {
	answered := make(chan error, 1)
	done := func(_ change.Reply, err error) { answered <- err }
	for range n {
		from.Forward(0, c, done)
		if err := <-answered; err != nil {
			b.Error(err)
			return
		}
	}
}

// batches is a Submit whose goroutine answers all that waits, as a lane does.
func batches(b *testing.B) func(int, change.Change, change.Origin, change.Done) Taken {
	var mu sync.Mutex
	var waiting []change.Done
	wake, stop, ended := make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-wake:
			case <-stop:
				return
			}
			mu.Lock()
			batch := waiting
			waiting = nil
			mu.Unlock()
			for _, done := range batch {
				done(change.Reply{Seq: 1, Rev: 1, Time: 1, Changed: true}, nil)
			}
		}
	}()
	b.Cleanup(func() { close(stop); <-ended })
	return func(_ int, _ change.Change, _ change.Origin, done change.Done) Taken {
		mu.Lock()
		waiting = append(waiting, done)
		mu.Unlock()
		signal(wake)
		return Took
	}
}

// cpuTime is what this process has used.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
