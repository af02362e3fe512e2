package pushbench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/bench"
	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/internal/testfigures"
	"github.com/roomtide/roomtide/push/standin"
)

var services = []string{standin.FCM, standin.APNs, standin.WebPush}

// How many notifications a second reach a service: 50 rooms of 100 members who are away. The
// next message of a room comes when all have been told of the one before, so that none takes
// the place of another.
func TestThroughput(t *testing.T) {
	rooms, members, rounds := 50, 100, 6
	if !*testfigures.Wanted {
		rooms, members, rounds = 4, 5, 2
	}
	testfigures.Head("service", "pushes", "pushes/s", "us of CPU a push: node", "load and service", "connections", "memory of the node")
	for _, service := range services {
		t.Run(service, func(t *testing.T) {
			w := open(t, service, 0, rooms, members)
			ann := w.dial()
			all := func(rounds int) {
				errs := make(chan error, rooms)
				for i := range rooms {
					go func() {
						var err error
						for range rounds {
							err = errors.Join(err, w.round(ann, i))
						}
						errs <- err
					}()
				}
				for range rooms {
					must(t, <-errs)
				}
			}
			all(1) // connections, tokens and caches
			ended := testfigures.Profile(t, "http://"+w.pprof+"/debug/pprof/", service, 10)
			begin, first, node, self := time.Now(), w.count(), cpuOf(t, w.node.Pid()), ownCPU(t)
			all(rounds)
			took, n := time.Since(begin), w.count()-first
			node, self = cpuOf(t, w.node.Pid())-node, ownCPU(t)-self
			ended()
			if refused := w.services.Refused(); len(refused) > 0 || n != rooms*members*rounds {
				t.Errorf("%d pushes, not %d; refused: %v; %s", n, rooms*members*rounds, refused, w.outcomes())
			}
			w.logAgain()
			testfigures.Row(service, n, fmt.Sprintf("%.0f", float64(n)/took.Seconds()), micros(node, n), micros(self, n),
				w.services.Connections(), fmt.Sprintf("%d MB", w.resident()))
		})
	}
}

// How long after its message a notification is with the service, beyond the delay that is
// configured: 525 a second, in rooms with 10 members who are away.
func TestLatency(t *testing.T) {
	rooms, rounds, every, delay := 210, 8, 4*time.Second, 3*time.Second
	if !*testfigures.Wanted {
		rooms, rounds, every, delay = 2, 2, time.Second, 100*time.Millisecond
	}
	const members = 10
	testfigures.Head("service", "pushes", "a second", "beyond the delay: p50", "p99", "most")
	for _, service := range services {
		t.Run(service, func(t *testing.T) {
			w := open(t, service, delay, rooms, members)
			var anns []*client.Client // each for its rooms
			for range (rooms + roomsOfConn - 1) / roomsOfConn {
				anns = append(anns, w.dial())
			}
			errs, begin := make(chan error, rooms), time.Now()
			for i := range rooms {
				go func() {
					var err error
					start := begin.Add(every * time.Duration(i) / time.Duration(rooms)) // evenly
					for k := range rounds {
						<-time.After(time.Until(start.Add(time.Duration(k) * every)))
						err = errors.Join(err, w.round(anns[i/roomsOfConn], i))
					}
					errs <- err
				}()
			}
			for range rooms {
				must(t, <-errs)
			}
			w.logAgain()
			w.mu.Lock()
			defer w.mu.Unlock()
			var beyond []time.Duration
			for _, a := range w.arrived {
				beyond = append(beyond, a.after-delay)
			}
			took := w.arrived[len(w.arrived)-1].at.Sub(w.arrived[0].at)
			slices.Sort(beyond)
			if beyond[0] < -10*time.Millisecond {
				t.Errorf("one came %v before its delay was over", -beyond[0])
			}
			at := func(share float64) time.Duration {
				return beyond[int(share*float64(len(beyond)-1))].Round(time.Millisecond)
			}
			testfigures.Row(service, len(beyond), fmt.Sprintf("%.0f", float64(len(beyond))/took.Seconds()), at(0.5), at(0.99), at(1))
		})
	}
}

// What sending costs when all members have devices and are online: 200 rooms of 10, the same
// load with devices and without, in turn.
func TestSendingCost(t *testing.T) {
	pairs, load := 5, []string{"rooms", "--rate", "2000", "--duration", "10s"}
	if !*testfigures.Wanted {
		pairs, load = 1, []string{"rooms", "--rooms", "2", "--members", "3", "--senders", "2", "--window", "1", "--duration", "500ms"}
	}
	testfigures.Head("pair", "us of CPU a message: without push", "with devices", "ratio")
	var ratios []float64
	for i := range pairs {
		var cost [2]float64
		for k := range cost {
			side := (i + k) % 2 // each begins half of the pairs
			args := append([]string{"bench", "--json", "--quiet"}, load...)
			if side == 1 {
				args = append(args, "--devices")
			}
			out, errs, err := program.Run(t.Context(), args...)
			if err != nil {
				t.Fatalf("%v\n%s%s", err, out, errs)
			}
			var r bench.Result
			must(t, json.Unmarshal([]byte(out), &r))
			if r.Acked == 0 {
				t.Fatal("no message was acknowledged")
			}
			cost[side] = float64(r.CPU().Microseconds()) / float64(r.Acked)
		}
		ratios = append(ratios, cost[1]/cost[0])
		testfigures.Row(i+1, fmt.Sprintf("%.1f", cost[0]), fmt.Sprintf("%.1f", cost[1]), fmt.Sprintf("%.3f", cost[1]/cost[0]))
	}
	slices.Sort(ratios)
	testfigures.Row("median", "", "", fmt.Sprintf("%.3f", ratios[len(ratios)/2]))
}

// logAgain says how many notifications came more than once, which is allowed and not counted.
func (w *world) logAgain() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.again > 0 {
		w.t.Logf("%d notifications came again", w.again)
	}
}

// outcomes are the metrics of what came of jobs and of attempts.
func (w *world) outcomes() string {
	resp, err := http.Get(w.node.URL("/metrics"))
	must(w.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must(w.t, err)
	return strings.Join(regexp.MustCompile(`(?m)^roomtide_push_(outcomes|jobs|collapsed|queued)_total.*$`).FindAllString(string(text), -1), "\n")
}

func micros(d time.Duration, n int) string {
	return fmt.Sprintf("%.0f", float64(d.Microseconds())/float64(max(n, 1)))
}
