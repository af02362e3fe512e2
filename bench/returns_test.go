package bench

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// The pauses are those of the stock client. The numbers are what its source
// (backo2, with the defaults of socket.io-client) gives for these draws.
func TestBackoffIsTheStockClients(t *testing.T) {
	tests := []struct {
		random float64
		want   []int // ms
	}{
		{0, []int{1000, 2000, 4000, 5000, 5000, 5000, 5000}},
		{0.25, []int{875, 1750, 3500, 5000, 5000, 5000, 5000}},   // 2 is even: shorter
		{0.375, []int{1187, 2375, 4750, 5000, 5000, 5000, 5000}}, // 3 is odd: longer
		{0.8125, []int{594, 1188, 2375, 4750, 5000, 5000, 5000}},
		{0.9999, []int{1499, 2999, 5000, 5000, 5000, 5000, 5000}},
	}
	for _, tt := range tests {
		b := backoff{random: func() float64 { return tt.random }}
		var got []int
		for range tt.want {
			got = append(got, int(b.next().Milliseconds()))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("with %v: %v, want %v", tt.random, got, tt.want)
		}
	}
}

// By chance, the first pauses are spread and the later ones are all the same:
// this is what makes a storm come in waves.
func TestBackoffInACrowd(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	const clients = 10_000
	atMost := make([]int, 7) // clients that wait the longest, by attempt
	for range clients {
		b := backoff{random: rng.Float64}
		for i := range atMost {
			d := b.next()
			if low := min(500<<i, backoffMax/2) * int(time.Millisecond); int(d) < low || d > 5*time.Second {
				t.Fatalf("attempt %d after %v", i+1, d)
			}
			if d == 5*time.Second {
				atMost[i]++
			}
		}
	}
	for i, want := range []float64{0, 0, 0.3, 0.9, 1, 1, 1} {
		if got := float64(atMost[i]) / clients; got < want-0.03 || got > want+0.03 {
			t.Errorf("attempt %d: %.2f of all wait the longest, want %.2f", i+1, got, want)
		}
	}
}

// comeback serves a member that is cut and comes back: on the first connection
// it says one message and ends, on the second it answers the join.
func comeback(t *testing.T, answers ...string) (addr string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			_ = serveFloorConn(&rejoins{nc: nc, answers: &answers}, nc) // ends with the connection
			nc.Close()
		}
	}()
	return ln.Addr().String()
}

// rejoins answers joins with the script instead of the floor's own answer.
type rejoins struct {
	nc      net.Conn
	answers *[]string
}

func (f *rejoins) enter(string, int) {}
func (f *rejoins) send(_, _, text string) {
	a := (*f.answers)[0]
	*f.answers = (*f.answers)[1:]
	_, _ = f.nc.Write(appendServerFrame(nil, []byte(a)))
}

// resumeProto makes a join look like a message to the floor, so that the script
// can answer it.
type resumeProto struct{ nativeProto }

func (resumeProto) appendCommand(dst []byte, name string, id int64, fields []byte) []byte {
	if name != "join" {
		return nativeProto{}.appendCommand(dst, name, id, fields)
	}
	return fmt.Appendf(dst, `{"type":"message","id":%d,%s,"message":"x"}`, id, fields)
}

// What a join brings is checked like what comes live: a message that is missing
// or comes twice is seen, and so is a rev that does not fit.
func TestResumeIsChecked(t *testing.T) {
	message := func(seq, rev int) string {
		return fmt.Sprintf(`{"seq":%d,"rev":%d,"user":"u","message":"x","time":"2026-01-02T03:04:05.000Z"}`, seq, rev)
	}
	answer := func(rev int, more bool, ms ...string) string {
		return fmt.Sprintf(`{"type":"ack","id":3,"room":"r","rev":%d,"seq":0,"messages":[%s],"members":[],"more":%t,"online":[],"online_count":0}`, rev, strings.Join(ms, ","), more)
	}
	const busy = `{"type":"error","id":3,"code":"busy","message":"later","retry_after":1}`
	tests := []struct {
		name    string
		answers []string
		want    Anomalies
		busy    int64
	}{
		{"right", []string{answer(12, false, message(6, 11), message(7, 12))}, Anomalies{}, 0},
		{"two pages", []string{answer(11, true, message(6, 11)), answer(12, false, message(7, 12))}, Anomalies{}, 0},
		{"put off", []string{busy, busy, answer(12, false, message(6, 11), message(7, 12))}, Anomalies{}, 2},
		{"one lost", []string{answer(12, false, message(7, 12))}, Anomalies{Missing: 1, Revs: 1}, 0},
		{"the last lost", []string{answer(12, false, message(6, 11))}, Anomalies{Missing: 1, Revs: 1}, 0},
		{"one doubled", []string{answer(12, false, message(5, 10), message(6, 11), message(7, 12))}, Anomalies{Doubled: 1}, 0},
		{"a rev left out", []string{answer(13, false, message(6, 12), message(7, 13))}, Anomalies{Revs: 1}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLoad(Scenario{Rooms: 1, Members: 1, Senders: 1, Size: 40}, comeback(t, tt.answers...), "")
			defer l.close()
			m := &member{load: l, conn: newConn(resumeProto{}, l.addr, 0), returns: true, name: "u", last: 5, rev: 10}
			l.members = []*member{m}
			l.sent[0].Store(2)
			l.acks.Store(2)
			if err := m.again(t.Context()); err != nil {
				t.Fatal(err)
			}
			got, _ := json.Marshal(l.anomalies())
			want, _ := json.Marshal(tt.want)
			if string(got) != string(want) || l.returns.busy.Load() != tt.busy || l.returns.resumed.Load() != 1 {
				t.Errorf("anomalies %s, want %s; put off %d times", got, want, l.returns.busy.Load())
			}
		})
	}
}

// Both protocols say and understand the same.
func TestProtos(t *testing.T) {
	tests := []struct {
		proto   proto
		command string
		says    map[string]frame
	}{
		{nativeProto{}, `{"type":"join","id":7,"room":"r"}`, map[string]frame{
			`{"type":"ack","id":7,"rev":3}`:      {true, 7, []byte(`{"type":"ack","id":7,"rev":3}`)},
			`{"type":"error","id":8,"code":"x"}`: {true, 8, []byte(`{"type":"error","id":8,"code":"x"}`)},
			`{"type":"message","id":9}`:          {false, 0, []byte(`{"type":"message","id":9}`)},
		}},
		{socketProto{}, `427["join",{"room":"r"}]`, map[string]frame{
			`437[{"type":"ack","rev":3}]`:             {true, 7, []byte(`{"type":"ack","rev":3}`)},
			`42["message",{"type":"message","a":[]}]`: {false, 0, []byte(`{"type":"message","a":[]}`)},
			`42["edited",{"type":"edited"},"7 r"]`:    {false, 0, []byte(`{"type":"edited"}`)},
			`42["hello",{"type":"ack"}]`:              {},
			`40{"sid":"x"}`:                           {},
			`43`:                                      {reply: true},
			``:                                        {},
		}},
	}
	for _, tt := range tests {
		if got := string(tt.proto.appendCommand(nil, "join", 7, []byte(`"room":"r"`))); got != tt.command {
			t.Errorf("command %s, want %s", got, tt.command)
		}
		for p, want := range tt.says {
			if got := tt.proto.parse([]byte(p)); got.reply != want.reply || got.id != want.id || string(got.object) != string(want.object) {
				t.Errorf("%s is %v %d %s", p, got.reply, got.id, got.object)
			}
		}
	}
}
