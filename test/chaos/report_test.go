package chaos

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/internal/workload"
)

// report is what happened, over all clusters of a run.
type report struct {
	t      *testing.T
	start  time.Time
	commit string
	load   string // of the machine at the start
	rounds []round

	messages, accepted int64
	violations         int
}

type round struct {
	name string
	hits int
	took time.Duration // until all rooms worked again
}

func newReport(t *testing.T) *report {
	return &report{t: t, start: time.Now(), commit: commit(), load: load()}
}

func (p *report) add(name string, hits int, took time.Duration) {
	p.rounds = append(p.rounds, round{name, hits, took})
}

// sum adds what the clients of a cluster have noted.
func (p *report) sum(w *workload.Workload, violations int) {
	p.messages += w.Acked()
	p.accepted += w.Accepted()
	p.violations += violations
}

// last are the names of the newest rounds.
func (p *report) last(n int) (names []string) {
	for _, r := range p.rounds[max(0, len(p.rounds)-n):] {
		names = append(names, r.name)
	}
	return names
}

// print writes the report as a page that can be published.
func (p *report) print() {
	text := p.text()
	if *full {
		fmt.Fprint(os.Stdout, text)
		return
	}
	p.t.Log(text)
}

func (p *report) text() string {
	by := map[string][]time.Duration{}
	for _, r := range p.rounds {
		by[r.name] = append(by[r.name], r.took)
	}
	var b strings.Builder
	outcome := "passed"
	if p.t.Failed() {
		outcome = "FAILED"
	}
	fmt.Fprintf(&b, "%s: %d rounds, %d messages acknowledged, %d of strict writers accepted by the queue first, %d violations, %v; seed %d, commit %s, %d processors, load before %s, after %s\n\n",
		outcome, len(p.rounds), p.messages, p.accepted, p.violations, time.Since(p.start).Round(time.Second), *seed, p.commit, runtime.NumCPU(), p.load, load())
	b.WriteString("| fault | rounds | all rooms work again: median | worst |\n| --- | --- | --- | --- |\n")
	for _, name := range slices.Sorted(maps.Keys(by)) {
		took := by[name]
		slices.Sort(took)
		fmt.Fprintf(&b, "| %s | %d | %v | %v |\n", name, len(took), took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
	}
	return b.String()
}

// load is that of the machine over the last minute, which has others work on it too.
func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return err.Error()
	}
	return strings.Fields(string(b))[0]
}

// commit is the one that is tested.
func commit() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty", "--exclude=*").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
