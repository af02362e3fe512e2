package httpapi

import (
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/hub"
)

func TestStreamCutsAtGap(t *testing.T) {
	whole := sse{}.AppendGap([]byte("data: 1\n\n"), "r", 5, chat.GapSlow)
	bytes := append(append([]byte(nil), whole...), "id: 7\nevent: message\n\n"...)
	for step := 1; step <= len(bytes); step++ {
		s, written, ended := &stream{}, 0, false
		for from := 0; from < len(bytes) && !ended; from += step {
			var k int
			k, ended = s.cutAtGap(bytes[from:min(from+step, len(bytes))])
			written += k
		}
		if !ended || written != len(whole) {
			t.Fatalf("in steps of %d: wrote %d of %d, ended %v", step, written, len(whole), ended)
		}
	}
}

// Every kind is sent under its name; the durable ones bear their rev as the id.
func TestStreamSendsEveryKind(t *testing.T) {
	for _, k := range chat.EventKinds() {
		ev := chat.Event{
			Kind: k, Room: "r", Message: &chat.Message{}, Member: &chat.Member{},
			Info: &chat.Room{}, Presence: &chat.Presence{},
		}
		want := "event: " + k.String() + "\ndata: {\"type\":\"" + k.String() + "\","
		if k.Durable() {
			ev.Rev = 7
			want = "id: 7\n" + want
		}
		if got := string(sse{}.AppendEvent(nil, &ev)); !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "}\n\n") {
			t.Errorf("%s: %q", k, got)
		}
	}
	if got := (sse{}).AppendEvent(nil, &chat.Event{Kind: 255}); len(got) != 0 {
		t.Errorf("a kind that is not in the table: %q", got)
	}
}

// stuck is a response whose reader does not read: a write waits for its deadline.
type stuck struct {
	waiting  chan struct{}
	deadline chan time.Time
}

func (s *stuck) Header() http.Header { return http.Header{} }
func (s *stuck) WriteHeader(int)     {}
func (s *stuck) Flush()              {}

func (s *stuck) Write(p []byte) (int, error) {
	<-s.deadline // the one set for this write
	close(s.waiting)
	if t := <-s.deadline; time.Until(t) > 2*time.Second {
		return 0, errors.New("the deadline was not moved forward")
	}
	return 0, os.ErrDeadlineExceeded
}

func (s *stuck) SetWriteDeadline(t time.Time) error { s.deadline <- t; return nil }

// The hub closes a link from a goroutine that serves many. It must not wait for
// a reader that does not read, and makes the write that waits give up.
func TestCloseDoesNotWaitForReader(t *testing.T) {
	w := &stuck{waiting: make(chan struct{}), deadline: make(chan time.Time, 1)}
	s := newStream(w)
	link := hub.NewBufferedLink(s, 0, s.goodbye)
	if _, err := link.TryWrite(net.Buffers{[]byte("data: 1\n\n")}); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- link.Run() }()
	<-w.waiting
	link.Close(chat.ByeRevoked)
	if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}

// slowly takes what is written at some bytes a second of a clock of its own, and fails at a
// deadline.
type slowly struct {
	http.ResponseWriter
	rate  int
	taken time.Duration // by the clock
	until time.Duration
}

func (s *slowly) Header() http.Header { return http.Header{} }
func (s *slowly) WriteHeader(int)     {}
func (s *slowly) Flush()              {}

func (s *slowly) SetWriteDeadline(t time.Time) error {
	s.until = s.taken + time.Until(t)
	return nil
}

func (s *slowly) Write(p []byte) (int, error) {
	s.taken += time.Duration(len(p)) * time.Second / time.Duration(s.rate)
	if s.taken > s.until {
		return 0, os.ErrDeadlineExceeded
	}
	return len(p), nil
}

// A page of a catch-up, which may take a slow reader longer than a single event may, comes
// to it whole; a reader that hardly reads ends it.
func TestSlowReadersOfPages(t *testing.T) {
	page := make([]byte, 256<<10)
	for rate, want := range map[int]error{4 << 10: nil, 1 << 10: os.ErrDeadlineExceeded} {
		if n, err := newStream(&slowly{rate: rate}).Write(page); !errors.Is(err, want) || n != len(page) && want == nil {
			t.Errorf("%d bytes a second: %d, %v", rate, n, err)
		}
	}
}
