package adopt

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/adopt"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/internal/testdb"
)

var (
	figures = flag.Bool("figures", false, "measure with many rows and for long, and print tables")
	rows    = flag.Int("rows", 1_000_000, "with -figures: rows that are copied")
)

// rooms is how many rooms the rows of a measurement are in.
const rooms = 1000

// How fast a history is copied into four SQLite files, what each step costs the three
// processes, and how much memory node and adopt take for it.
func TestCopyFigures(t *testing.T) {
	n := 2000
	if *figures {
		n = *rows
	}
	server := testdb.Start(t, testdb.Maria)
	s := newSite(t, server.Database())
	s.exec(fmt.Sprintf(`INSERT INTO messages (room_id, user_id, message, created_at)
		SELECT seq %% %d, seq %% 97 + 1, CONCAT('message ', seq, ' ', REPEAT('x', seq %% 100)), '2020-01-01' + INTERVAL seq SECOND FROM seq_1_to_%d`, rooms, n))
	begun := time.Now()
	run := s.adopt("--follow", "polling")
	all := []costs{{"node", s.node.Pid(), 0}, {"adopt", run.Pid(), 0}, {"database", server.Pid(), 0}}
	for i := range all {
		all[i].since(t)
	}
	state, err := adopt.OpenState(t.Context(), filepath.Join(s.dir, "adopt.state"))
	if err != nil {
		t.Fatal(err)
	}
	defer state.Close()
	phase := "begin"
	for at, wait := begun, 40*time.Minute; phase != "follow"; time.Sleep(50 * time.Millisecond) {
		beat, err := state.Beat(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if beat.Phase != phase && beat.Phase != "" {
			line := fmt.Sprintf("%8.1f s %-20s", time.Since(at).Seconds(), phase)
			for i := range all {
				line += fmt.Sprintf(" %s %.1f us", all[i].name, float64(all[i].since(t).Nanoseconds())/1e3/float64(n))
			}
			t.Log(line)
			phase, at = beat.Phase, time.Now()
		}
		if time.Since(begun) > wait {
			t.Fatalf("not within %s\n%s", wait, run.Output())
		}
	}
	took := time.Since(begun)
	t.Logf("%d rows in %.1f s: %.0f a second; at most %s in the node, %s in adopt",
		n, took.Seconds(), float64(n)/took.Seconds(), peak(t, s.node.Pid()), peak(t, run.Pid()))
	raw, err := s.call("GET", "/v1/rooms/5/messages?limit=1", nil)
	if err != nil || !bytes.Contains(raw, fmt.Appendf(nil, `"seq":%d,`, n/rooms)) {
		t.Errorf("room 5: %s, %v", raw, err)
	}
}

// costs are the CPU time of a process.
type costs struct {
	name string
	pid  int
	last time.Duration
}

// since is what was used since the last call.
func (c *costs) since(t *testing.T) time.Duration {
	t.Helper()
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(c.pid) + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields, was := strings.Fields(rest), c.last
	c.last = 0
	for _, ticks := range fields[11:13] { // user and system
		n, err := strconv.Atoi(ticks)
		if err != nil {
			t.Fatal(err)
		}
		c.last += time.Duration(n) * 10 * time.Millisecond
	}
	return c.last - was
}

// peak is the most memory that a process has held.
func peak(t *testing.T, pid int) string {
	t.Helper()
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			return strings.TrimSpace(rest)
		}
	}
	return "?"
}

// How long a row of the old table takes to a client in its room, at a rate of rows, by each
// way to follow the table.
func TestLagFigures(t *testing.T) {
	rate, seconds := 20, 1
	if *figures {
		rate, seconds = 1000, 30
	}
	server := testdb.Start(t, testdb.Maria, "log-bin=binlog", "binlog-format=ROW", "server-id=1", "log-bin-trust-function-creators=1")
	for _, way := range []string{"polling", "triggers", "binlog"} {
		t.Run(way, func(t *testing.T) {
			dsn := server.Database()
			u, err := url.Parse(dsn)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := server.Open(server.Admin()).ExecContext(t.Context(), "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO "+u.User.Username()); err != nil {
				t.Fatal(err)
			}
			s := newSite(t, dsn)
			if way == "triggers" {
				s.must("triggers", "install")
			}
			s.exec("INSERT INTO messages (room_id, user_id, message, created_at) VALUES (7, 1, 'first', '2020-01-01')")
			run := s.adopt("--follow", way)
			s.await("the first row", func() bool { return len(s.messages(7)) == 1 })
			lags := s.lags(rate, seconds)
			slices.Sort(lags)
			at := func(part float64) time.Duration { return lags[int(part*float64(len(lags)-1))].Round(time.Millisecond) }
			t.Logf("%s: %d rows at %d a second: lag p50 %s, p99 %s, most %s", way, len(lags), rate, at(.5), at(.99), at(1))
			if t.Failed() {
				t.Log(run.Output())
			}
		})
	}
}

// lags writes rows at a rate, and returns how long each took to a client.
func (s *site) lags(rate, seconds int) (lags []time.Duration) {
	s.t.Helper()
	if _, err := s.call("PUT", "/v1/rooms/7/members/reader", []byte(`{}`)); err != nil {
		s.t.Fatal(err)
	}
	token, _, err := program.Run(s.t.Context(), "token", "--user", "reader", "--data-dir", filepath.Join(s.dir, "data"))
	if err != nil {
		s.t.Fatal(err)
	}
	c, err := client.Dial(s.t.Context(), client.Options{URL: "ws://" + s.addr, Token: func(context.Context) (string, error) { return strings.TrimSpace(token), nil }})
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Join(s.t.Context(), "7", client.JoinOptions{}); err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Duration(seconds)*time.Second+patience)
	defer cancel()
	want := rate * seconds
	written := make(chan struct{})
	go func() { defer close(written); s.write(ctx, rate, want) }()
	defer func() { cancel(); <-written }()
	for len(lags) < want {
		select {
		case e := <-c.Events():
			if e.Kind != chat.EventMessage {
				continue
			}
			sent, err := strconv.ParseInt(e.Message.Text, 10, 64)
			if err != nil {
				continue
			}
			lags = append(lags, time.Since(time.Unix(0, sent)))
		case <-ctx.Done():
			s.t.Fatalf("%d of %d rows have come", len(lags), want)
		}
	}
	return lags
}

// write inserts n rows, a hundredth of a second's at a time, each with the time at which it
// is committed, nearly.
func (s *site) write(ctx context.Context, rate, n int) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for begun, done := time.Now(), 0; done < n && ctx.Err() == nil; <-tick.C {
		for due := min(n, int(time.Since(begun).Seconds()*float64(rate))); done < due; {
			k := cmp.Or(min(due-done, 20), 1)
			values := strings.Repeat("(7, 1, ?, UTC_TIMESTAMP()),", k)
			var args []any
			for range k {
				args = append(args, strconv.FormatInt(time.Now().UnixNano(), 10))
			}
			if _, err := s.db.ExecContext(ctx, "INSERT INTO messages (room_id, user_id, message, created_at) VALUES "+strings.TrimSuffix(values, ","), args...); err != nil {
				if ctx.Err() == nil {
					s.t.Errorf("insert: %v", err)
				}
				return
			}
			done += k
		}
	}
}
