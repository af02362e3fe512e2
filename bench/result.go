package bench

import (
	"fmt"
	"strings"
	"time"
)

// Result is what a run cost. Times are nanoseconds in JSON, sizes bytes.
type Result struct {
	Scenario Scenario `json:"scenario"`
	Server   string   `json:"server"` // "roomtide" or one of the rivals

	Connections int           `json:"connections,omitempty"`
	Connecting  time.Duration `json:"connecting_ns,omitempty"`
	RSS         int64         `json:"rss_bytes,omitempty"`          // of the server, at the end of the run
	RSSPerConn  int64         `json:"rss_per_conn_bytes,omitempty"` // before the load, without the empty server
	RSSPerIdle  int64         `json:"rss_per_idle_bytes,omitempty"` // the same at the end of an idle run

	Sent       int64         `json:"sent,omitempty"`
	Acked      int64         `json:"acked,omitempty"`
	Delivered  int64         `json:"delivered,omitempty"`
	Elapsed    time.Duration `json:"elapsed_ns,omitempty"` // from the first send to the last delivery
	ServerUser time.Duration `json:"server_user_ns,omitempty"`
	ServerSys  time.Duration `json:"server_sys_ns,omitempty"`
	ClientCPU  time.Duration `json:"client_cpu_ns,omitempty"`

	DatabaseCPU time.Duration `json:"database_cpu_ns,omitempty"` // of the servers of --database-pid

	Ack        Latency `json:"ack"`
	Delivery   Latency `json:"delivery"`
	FirstReply Latency `json:"start"` // scenario start

	Phases []*Phase `json:"phases,omitempty"` // storm and slow
	Storm  *Storm   `json:"storm,omitempty"`
	Slow   *Slow    `json:"slow,omitempty"`

	Anomalies Anomalies `json:"anomalies"`

	progress *progress // nil: none is shown
}

// Anomalies count what should be zero.
type Anomalies struct {
	LostConnections int64            `json:"lost_connections"`
	Unacked         int64            `json:"unacked"`
	Missing         int64            `json:"missing"` // deliveries that never came
	Doubled         int64            `json:"doubled"` // a number seen before, or out of order
	Revs            int64            `json:"revs"`    // a change that was not the next rev
	Gaps            int64            `json:"gaps"`    // gap events: a member was too slow
	Refused         map[string]int64 `json:"refused"` // commands by the code of their error
}

func (a *Anomalies) total() int {
	n := a.LostConnections + a.Unacked + a.Missing + a.Doubled + a.Revs + a.Gaps
	for _, k := range a.Refused {
		n += k
	}
	return int(n)
}

func (a *Anomalies) String() string {
	if a.total() == 0 {
		return "every message arrived once, in order, at every member"
	}
	s := fmt.Sprintf("ANOMALIES: %d connections lost, %d messages unacknowledged, %d deliveries missing, %d doubled or out of order, %d revs that were not the next, %d gaps",
		a.LostConnections, a.Unacked, a.Missing, a.Doubled, a.Revs, a.Gaps)
	for code, n := range a.Refused {
		s += fmt.Sprintf(", %d refused with %s", n, code)
	}
	return s
}

// CPU is what the server used.
func (r *Result) CPU() time.Duration { return r.ServerUser + r.ServerSys }

func (r *Result) String() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-11s %s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(&b, "%s on %s%s\n", r.Scenario.Name, r.Server, r.Scenario.describe())
	if r.Scenario.Start {
		line("start", "%s from the start of the process to the first acknowledged message", &r.FirstReply)
		line("memory", "%.1f MB resident when idle", mb(r.RSS))
		return b.String() + "\n"
	}
	line("connected", "%d in %.2f s (%.0f/s), %.2f KB of server memory each", r.Connections, r.Connecting.Seconds(), float64(r.Connections)/r.Connecting.Seconds(), float64(r.RSSPerConn)/1024)
	if r.Scenario.Idle {
		line("idle", "%.1f MB resident, %.2f KB each, %.2f s CPU in %.0f s", mb(r.RSS), float64(r.RSSPerIdle)/1024, r.CPU().Seconds(), r.Elapsed.Seconds())
		line("check", "%d connections lost", r.Anomalies.LostConnections)
		return b.String() + "\n"
	}
	if len(r.Phases) > 0 {
		r.tellPhases(line)
		line("check", "%s", &r.Anomalies)
		return b.String() + "\n"
	}
	line("messages", "%d, %.0f/s", r.Acked, float64(r.Acked)/r.Elapsed.Seconds())
	line("deliveries", "%d, %.0f/s", r.Delivered, float64(r.Delivered)/r.Elapsed.Seconds())
	line("ack", "%s", &r.Ack)
	line("delivery", "%s", &r.Delivery)
	if r.CPU() > 0 {
		line("server CPU", "%.1f us a message, %.3f us a delivery (user %.2f s, system %.2f s; the load itself used %.2f s)",
			per(r.CPU(), r.Acked), per(r.CPU(), r.Delivered), r.ServerUser.Seconds(), r.ServerSys.Seconds(), r.ClientCPU.Seconds())
		if r.DatabaseCPU > 0 {
			line("database CPU", "%.1f us a message, %.1f us with that of the server", per(r.DatabaseCPU, r.Acked), per(r.CPU()+r.DatabaseCPU, r.Acked))
		}
		line("memory", "%.1f MB resident at the end", mb(r.RSS))
	}
	line("check", "%s", &r.Anomalies)
	return b.String() + "\n"
}

// tellPhases writes the result of a storm or a slow reader, and the latencies of the
// others.
func (r *Result) tellPhases(line func(name, format string, args ...any)) {
	for _, p := range r.Phases {
		l := &p.Ack
		what := "ack"
		if r.Slow != nil {
			l, what = &p.Delivery, "delivery"
		}
		line(p.Name, "%s %s; server %.2f s CPU in %.1f s, up to %.1f MB", what, l, p.CPU.Seconds(), p.Took.Seconds(), mb(p.RSS))
	}
	if s := r.Storm; s != nil {
		line("change", "p99 of the acks in the storm is %.2f times that of the phases around it", r.change(Phase.ackP99))
		line("back", "%d of %d in %.2f s, each after %s", s.Resumed, s.Cut, s.All.Seconds(), &s.Each)
		line("attempts", "%d, failed: %v, joins put off: %d, ended by the server: %v", s.Attempts, s.Failed, s.Busy, s.Ended)
		line("caught up", "%d messages came with the joins, %d deliveries in all", s.CaughtUp, r.Delivered)
	}
	if s := r.Slow; s != nil {
		line("change", "p99 of the others' deliveries is %.2f times that of the phases around it", r.change(Phase.deliveryP99))
		line("reader", "was %d messages behind and had everything %.2f s later: %d joins to resume, %d messages with them, %d new connections",
			s.Missed, s.Whole.Seconds(), s.Gaps, s.CaughtUp, s.Attempts)
	}
}

func (p Phase) ackP99() time.Duration      { return p.Ack.P99 }
func (p Phase) deliveryP99() time.Duration { return p.Delivery.P99 }

// change is how a figure of the middle phase stands to the mean of those around
// it. How far these two are apart is what the machine does by itself.
func (r *Result) change(figure func(Phase) time.Duration) float64 {
	around := figure(*r.Phases[0]) + figure(*r.Phases[2])
	return 2 * float64(figure(*r.Phases[1])) / float64(max(around, 1))
}

func mb(n int64) float64 { return float64(n) / (1 << 20) }

// per is microseconds for each of n.
func per(d time.Duration, n int64) float64 {
	if n == 0 {
		return 0
	}
	return float64(d.Nanoseconds()) / 1000 / float64(n)
}
