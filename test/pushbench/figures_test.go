package pushbench

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/roomtide/roomtide/bench"
	"github.com/roomtide/roomtide/push/standin"
)

var services = []string{standin.FCM, standin.APNs, standin.WebPush}

// How many notifications a second reach a service when more are due: 50 rooms of 100
// members who are away. Those that cannot be sent in time become one with the next
// of their room.
func TestThroughput(t *testing.T) {
	rooms, members, rate, warm, long := 50, 100, 120.0, 4*time.Second, 15*time.Second
	if !*figures {
		rooms, members, rate, warm, long = 4, 5, 20, 0, time.Second
	}
	head("service", "offered/s", "pushes/s", "us of CPU a push: node", "load and stand-in", "pushes/s of two cores", "connections", "memory of the node")
	for _, service := range services {
		t.Run(service, func(t *testing.T) {
			w := open(t, service, 0, rooms, members)
			ann := w.dial()
			if warm > 0 {
				w.write(ann, rate, warm)
			}
			ended := w.profile(service, long)
			begin, first, node, self := time.Now(), w.count(), cpuOf(t, w.node.Pid()), ownCPU(t)
			w.write(ann, rate, long)
			took, n := time.Since(begin), w.count()-first
			node, self = cpuOf(t, w.node.Pid())-node, ownCPU(t)-self
			ended()
			if !*figures { // with figures more is offered than there is time for
				w.await(rooms * members)
			}
			if refused := w.services.Refused(); len(refused) > 0 {
				t.Errorf("the service refuses: %v", refused)
			}
			print(service, int(rate)*members, fmt.Sprintf("%.0f", float64(n)/took.Seconds()), micros(node, n), micros(self, n),
				fmt.Sprintf("%.0f", 2*float64(n)/(node+self).Seconds()), w.services.Connections(), fmt.Sprintf("%d MB", w.resident()))
		})
	}
}

// How long after its message a notification is with the service, beyond the delay that is
// configured: 500 a second in rooms of 11.
func TestLatency(t *testing.T) {
	rooms, rate, long, delay := 100, 50.0, 30*time.Second, 3*time.Second
	if !*figures {
		rooms, rate, long, delay = 2, 4, time.Second, 100*time.Millisecond
	}
	const members = 10
	head("service", "pushes", "beyond the delay: p50", "p99", "most")
	for _, service := range services {
		t.Run(service, func(t *testing.T) {
			w := open(t, service, delay, rooms, members)
			ann := w.dial()
			// A message that comes before the one of before is due takes its place: there is one
			// for each room.
			w.write(ann, rate, min(long, time.Duration(float64(rooms)/rate*float64(time.Second))))
			w.await(rooms * members)
			var beyond []time.Duration
			for round := 1; float64(round*rooms)/rate < long.Seconds(); round++ {
				select {
				case <-time.After(delay):
				case <-t.Context().Done():
				}
				w.write(ann, rate, time.Duration(float64(rooms)/rate*float64(time.Second)))
				w.await((round + 1) * rooms * members)
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, a := range w.arrived {
				beyond = append(beyond, a.after(t)-delay)
			}
			slices.Sort(beyond)
			if beyond[0] < -time.Second/100 {
				t.Errorf("one came %v before its delay was over", -beyond[0])
			}
			at := func(share float64) time.Duration {
				return beyond[int(share*float64(len(beyond)-1))].Round(time.Millisecond)
			}
			print(service, len(beyond), at(0.5), at(0.99), at(1))
		})
	}
}

// What sending costs when all members have devices and are online: 200 rooms of 10, the same
// load with devices and without, in turn.
func TestSendingCost(t *testing.T) {
	pairs, load := 5, []string{"rooms", "--rate", "2000", "--duration", "10s"}
	if !*figures {
		pairs, load = 1, []string{"rooms", "--rooms", "2", "--members", "3", "--senders", "2", "--window", "1", "--duration", "500ms"}
	}
	head("pair", "us of CPU a message: without push", "with devices", "ratio")
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
		print(i+1, fmt.Sprintf("%.1f", cost[0]), fmt.Sprintf("%.1f", cost[1]), fmt.Sprintf("%.3f", cost[1]/cost[0]))
	}
	slices.Sort(ratios)
	print("median", "", "", fmt.Sprintf("%.3f", ratios[len(ratios)/2]))
}

func micros(d time.Duration, n int) string {
	return fmt.Sprintf("%.0f", float64(d.Microseconds())/float64(max(n, 1)))
}

// profile takes a CPU profile of the node, if there is a place for it, and returns what
// waits for it.
func (w *world) profile(name string, long time.Duration) (wait func()) {
	if *profiles == "" {
		return func() {}
	}
	done := make(chan error, 1)
	go func() {
		done <- fetch(fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%.0f", w.pprof, long.Seconds()), filepath.Join(*profiles, name+".pprof"))
	}()
	return func() { must(w.t, <-done) }
}

func fetch(url, file string) error {
	resp, err := http.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, resp.Body); err != nil {
		return err
	}
	return f.Close()
}
