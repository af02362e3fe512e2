package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

// TestMain lets the test program be the floor that a bench starts.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "bench" {
		var f Flags
		kong.Must(&f).Parse(os.Args[2:])
		if err := Run(context.Background(), &f, os.Stdout, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// The load on a floor: everything arrives, once and in order, and what it cost
// is told.
func TestLoadOnFloors(t *testing.T) {
	scenarios := map[string]Scenario{
		"closed loop": {Name: "load", Rooms: 3, Members: 4, Senders: 5, Window: 4, Size: 120, Duration: 300 * time.Millisecond},
		"open loop":   {Name: "load", Rooms: 2, Members: 3, Senders: 2, Rate: 200, Size: 50, Keys: true, Duration: 300 * time.Millisecond},
	}
	for name, s := range scenarios {
		for _, floor := range []string{floorA, floorB} {
			t.Run(name+" on "+floor, func(t *testing.T) {
				r, err := run(t.Context(), options{}, s, floor)
				if err != nil {
					t.Fatal(err)
				}
				if r.Sent == 0 || r.Acked != r.Sent || r.Delivered != r.Sent*int64(s.Members) || r.Anomalies.total() != 0 {
					t.Errorf("%+v", r)
				}
				if s.Rate > 0 && (r.Sent < 50 || r.Sent > 62) {
					t.Errorf("%d messages in 300 ms at 200/s", r.Sent)
				}
				if r.Ack.Samples != r.Acked || r.Ack.P50 <= 0 || r.Ack.P50 > r.Ack.P99 || r.Ack.P99 > r.Ack.Max {
					t.Errorf("ack: %+v", r.Ack)
				}
				if r.Connections != s.Rooms*s.Members || r.RSS == 0 {
					t.Errorf("%d connections, %d bytes resident", r.Connections, r.RSS)
				}
				if text := r.String(); !strings.Contains(text, "every message arrived once") {
					t.Error(text)
				}
			})
		}
	}
}

func TestIdle(t *testing.T) {
	s := Scenario{Name: "idle", Idle: true, Rooms: 2, Members: 5, Duration: 10 * time.Millisecond}
	r, err := run(t.Context(), options{}, s, floorB)
	if err != nil {
		t.Fatal(err)
	}
	if r.Connections != 10 || r.Sent != 0 || r.Anomalies.total() != 0 {
		t.Errorf("%+v", r)
	}
}

// What the server does wrong is counted under its name. The server here is a
// script: it answers hello and join, and sends these frames for a message.
func TestAnomalies(t *testing.T) {
	message := func(seq int) string { return fmt.Sprintf(`{"type":"message","room":"r","seq":%d,"message":"x"}`, seq) }
	const ack = `{"type":"ack","id":ID}`
	tests := []struct {
		name   string
		frames []string
		want   Anomalies
	}{
		{"right", []string{ack, message(1)}, Anomalies{}},
		{"no ack", []string{message(1)}, Anomalies{Unacked: 1}},
		{"no delivery", []string{ack}, Anomalies{Missing: 1}},
		{"twice", []string{ack, message(1), message(1)}, Anomalies{Doubled: 1}},
		{"revs in order", []string{ack, `{"type":"member","room":"r","rev":1}`, `{"type":"members","room":"r","since":1,"rev":4}`, `{"type":"message","room":"r","seq":1,"rev":5}`}, Anomalies{}},
		{"a rev left out", []string{ack, `{"type":"member","room":"r","rev":1}`, `{"type":"message","room":"r","seq":1,"rev":3}`}, Anomalies{Revs: 1}},
		{"members left out", []string{ack, `{"type":"members","room":"r","since":1,"rev":4}`, `{"type":"message","room":"r","seq":1,"rev":5}`}, Anomalies{Revs: 1}},
		{"a gap", []string{ack, `{"type":"gap","room":"r","rev":1}`}, Anomalies{Missing: 1, Gaps: 1}},
		{"refused", []string{`{"type":"error","id":ID,"code":"rate_limited","message":"slow"}`}, Anomalies{Missing: 1, Refused: map[string]int64{"rate_limited": 1}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLoad(Scenario{Rooms: 1, Members: 1, Senders: 1, Window: 1, Size: 40}, scripted(t, tt.frames), "")
			c := newConn(nativeProto{}, l.addr, 0)
			if err := c.open(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := c.enter("user1", l.roomName(0)); err != nil {
				t.Fatal(err)
			}
			m := &member{load: l, conn: c, window: make(chan struct{}, 1)}
			l.members = []*member{m}
			m.window <- struct{}{}
			if err := c.write(appendFrame(nil, opText, m.appendMessage(nil, 12345))); err != nil {
				t.Fatal(err)
			}
			l.sent[0].Add(1)
			m.live(t.Context()) // the script ends with a close
			if l.lost.Add(-1) != 0 {
				t.Error("the close was not counted")
			}
			got := l.anomalies()
			a, _ := json.Marshal(got)
			b, _ := json.Marshal(tt.want)
			if !bytes.Equal(a, b) {
				t.Errorf("anomalies %s, want %s", a, b)
			}
			if (got.total() == 0) != strings.HasPrefix(got.String(), "every message") {
				t.Error(got.String())
			}
			l.close()
		})
	}
}

// scripted serves one connection.
func scripted(t *testing.T, frames []string) (addr string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		f := &script{nc: nc, frames: frames}
		_ = serveFloorConn(f, nc) // ends with the connection
	}()
	return ln.Addr().String()
}

type script struct {
	nc     net.Conn
	frames []string
}

func (s *script) enter(string, int) {}

func (s *script) send(_, _, text string) {
	_, id, _ := strings.Cut(text, stampMark)
	id, _, _ = strings.Cut(id, "~")
	for _, f := range s.frames {
		_, _ = s.nc.Write(appendServerFrame(nil, []byte(strings.ReplaceAll(f, "ID", id))))
	}
	s.nc.Close()
}

func TestParse(t *testing.T) {
	tests := []struct {
		args string
		want string // names of the scenarios, or part of the error
	}{
		{"", "rooms fanout idle start"},
		{"all --duration 1s", "rooms fanout fanout5k rate idle idle10k storm slow start"},
		{"storm slow --proto socketio", "storm slow"},
		{"storm --senders 1001", "senders that stay"},
		{"slow --rooms 2", "slow is about one room"},
		{"fanout --proto smoke", "there is no protocol"},
		{"fanout", "fanout"},
		{"start", "start"},
		{"--rooms 2 --members 2 --senders 1", "load"},
		{"load --rate 10", "load"},
		{"--mode idle", "load"},
		{"--mode busy", "there is no mode"},
		{"everything", "there is no scenario"},
		{"fanout --members 0", "at least one room"},
		{"load --senders 1000", "senders are members"},
		{"load --window 0", "a window of at least 1"},
		{"load --duration 0s", "duration"},
		{"load --speed 1", "unknown flag --speed"},
		{"--json", "rooms fanout idle start"},
		{"--addr 127.0.0.1:1", "load"},
		{"start --addr 127.0.0.1:1", "leave out --addr"},
		{"load more", "there is no scenario"},
		{"load --rate 1 more", "unexpected argument more"},
		{"--rate 1 fanout", "fanout"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			o, err := parse(strings.Fields(tt.args)...)
			got := strings.Join(names(o.scenarios), " ")
			if err != nil {
				got = err.Error()
			}
			if err == nil && got != tt.want || err != nil && !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	o, err := parse("fanout", "--members", "5", "--rate", "7")
	if err != nil || o.scenarios[0].Members != 5 || o.scenarios[0].Rate != 7 || o.scenarios[0].Senders != 1 {
		t.Errorf("overridden: %+v, %v", o.scenarios, err)
	}
}

// parse reads a command line as the program does.
func parse(args ...string) (options, error) {
	var f Flags
	p, err := kong.New(&f)
	if err != nil {
		return options{}, err
	}
	if _, err := p.Parse(args); err != nil {
		return options{}, err
	}
	return f.options()
}

// The help describes every scenario, and the shells complete every one.
func TestHelpNamesScenarios(t *testing.T) {
	var f Flags
	field, _ := reflect.TypeOf(f).FieldByName("Scenario")
	words := strings.Split(field.Tag.Get("words"), ",")
	for _, name := range append([]string{"all", "load"}, names(scenarios)...) {
		if !strings.Contains(f.Help(), "\n    "+name+" ") || !slices.Contains(words, name) {
			t.Errorf("the help or the completion does not name %s", name)
		}
	}
	if len(words) != len(scenarios)+2 {
		t.Errorf("completed are %q", words)
	}
}

func names(of []Scenario) (all []string) {
	for _, s := range of {
		all = append(all, s.Name)
	}
	return all
}

// A run says what it does and how far it is, on standard error alone.
func TestProgress(t *testing.T) {
	var said bytes.Buffer
	s := Scenario{Name: "load", Rooms: 2, Members: 3, Senders: 2, Window: 1, Pause: time.Millisecond, Size: 50, Duration: 300 * time.Millisecond}
	p := newProgress(&said)
	p.every = 20 * time.Millisecond
	if _, err := run(t.Context(), options{progress: p}, s, floorB); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"load on floor B: starting a server\n", "load on floor B: connecting, ", " of 6\n",
		"load on floor B: waiting until the server is quiet\n", "load on floor B: working, 0 of 0 s, ", " messages sent, ",
	} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("nothing said %q:\n%s", want, said.String())
		}
	}
	if strings.Contains(said.String(), "\r") {
		t.Error("what is for a terminal went into a file")
	}
	(*progress)(nil).during(func() string { t.Error("a quiet run asked how far it is"); return "" })()
}

// On a terminal one line is written anew, and gone at the end.
func TestProgressOnTerminal(t *testing.T) {
	var said bytes.Buffer
	p := &progress{w: &said, live: true, every: time.Hour}
	p.during(func() string { return "working" })()
	if said.String() != "\r\x1b[Kworking\r\x1b[K" {
		t.Errorf("%q", said.String())
	}
}

// Percentiles are right within the width of a bucket.
func TestHistogram(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var h histogram
	var all []time.Duration
	for range 20_000 {
		d := time.Duration(1 + rng.ExpFloat64()*float64(time.Millisecond))
		all = append(all, d)
		h.add(d)
	}
	slices.Sort(all)
	l := h.latency()
	for _, q := range []struct {
		share float64
		got   time.Duration
	}{{.5, l.P50}, {.99, l.P99}, {.999, l.P999}, {1, l.Max}} {
		want := all[int(q.share*float64(len(all)-1))]
		if ratio := float64(q.got) / float64(want); ratio < 0.97 || ratio > 1.04 {
			t.Errorf("p%g = %v, want %v", q.share*100, q.got, want)
		}
	}
	for _, d := range []time.Duration{0, 1, 31, 32, 33, 1000, time.Hour, 1<<63 - 1} {
		if b := bucketOf(d); lowest(b) > max(d, 1) || b+1 < len(h.buckets) && b > 0 && lowest(b+1) > 0 && lowest(b+1) <= d {
			t.Errorf("%d is in bucket %d from %d to %d", d, b, lowest(b), lowest(b+1))
		}
	}
}

// Frames of every size come through, with a ping between them.
func TestConnFrames(t *testing.T) {
	us, them := net.Pipe()
	defer us.Close()
	c := &conn{proto: nativeProto{}, nc: us, br: bufio.NewReaderSize(us, readBuffer)}
	sizes := []int{0, 1, 125, 126, 4096, readBuffer, 65535}
	pong := make(chan []byte, 1)
	go func() {
		defer them.Close()
		for i, n := range sizes {
			if i == 3 {
				_, _ = them.Write([]byte{0x80 | opPing, 2, 'h', 'i'})
				p := make([]byte, 8)
				_, _ = them.Read(p)
				pong <- p
			}
			_, _ = them.Write(appendServerFrame(nil, bytes.Repeat([]byte{'x'}, n)))
		}
		_, _ = them.Write([]byte{0x80 | opClose, 2, 0x0F, 0xA0})
	}()
	for _, n := range sizes {
		p, err := c.message()
		if err != nil || len(p) != n {
			t.Fatalf("%d bytes, %v; want %d", len(p), err, n)
		}
	}
	if want := appendFrame(nil, opPong, []byte("hi")); !bytes.Equal(<-pong, want) {
		t.Error("the ping was not answered")
	}
	if _, err := c.message(); err == nil {
		t.Error("a close is no error")
	}
}
