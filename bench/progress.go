package bench

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

const (
	progressEvery = 5 * time.Second        // between lines in a file or pipe
	liveEvery     = 250 * time.Millisecond // on a terminal, where a line is written anew
)

// progress says how far a run is. A nil progress says nothing.
type progress struct {
	w     io.Writer
	live  bool // a terminal
	every time.Duration
}

func newProgress(w io.Writer) *progress {
	p := &progress{w: w, every: progressEvery}
	if f, ok := w.(*os.File); ok {
		st, err := f.Stat()
		if p.live = err == nil && st.Mode()&os.ModeCharDevice != 0; p.live {
			p.every = liveEvery
		}
	}
	return p
}

// during says what is being done, now and again until the returned function is called.
// say is called by one goroutine at a time.
func (p *progress) during(say func() string) (end func()) {
	if p == nil {
		return func() {}
	}
	ended := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(p.every)
		defer tick.Stop()
		for last := ""; ; {
			if line := say(); line != last {
				last = line
				p.print(line)
			}
			select {
			case <-tick.C:
			case <-ended:
				return
			}
		}
	})
	return func() {
		close(ended)
		wg.Wait()
		if p.live {
			fmt.Fprint(p.w, "\r\x1b[K")
		}
	}
}

// print writes a line; what cannot be written is not missed.
func (p *progress) print(line string) {
	if p.live {
		fmt.Fprintf(p.w, "\r\x1b[K%s", line)
	} else {
		fmt.Fprintln(p.w, line)
	}
}

// title is the run that lines of progress are about.
func (r *Result) title() string {
	if r.Server == "roomtide" {
		return r.Scenario.Name
	}
	return r.Scenario.Name + " on " + r.Server
}

// during is progress.during for this run.
func (r *Result) during(say func() string) (end func()) {
	return r.progress.during(func() string { return r.title() + ": " + say() })
}

// working says how much of the load has arrived, and how much of the time is over.
func (l *load) working(what string, begin time.Time, of time.Duration) func() string {
	return func() string {
		took := min(time.Since(begin), of)
		line := fmt.Sprintf("%s, %d of %d s", what, int(took.Seconds()), int(of.Seconds()))
		if sent, _ := l.expected(); sent > 0 {
			line += fmt.Sprintf(", %d messages sent, %d deliveries", sent, l.delivered())
		}
		return line
	}
}
