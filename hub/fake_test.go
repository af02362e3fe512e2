package hub

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/bus/membus"
	"github.com/roomtide/roomtide/chat"
)

// lineEncoding writes an event as a line: "e room rev text", an ephemeral event
// with rev 0, a gap as "g room rev reason".
type lineEncoding struct{ id int }

func (e lineEncoding) AppendEvent(dst []byte, ev *chat.Event) []byte {
	text := ""
	if ev.Message != nil {
		text = " " + ev.Message.Text
	}
	return fmt.Appendf(dst, "e %s %d%s\n", ev.Room, ev.Rev, text)
}

func (e lineEncoding) AppendGap(dst []byte, room chat.RoomID, rev chat.Rev, reason chat.GapReason) []byte {
	return fmt.Appendf(dst, "g %s %d %s\n", room, rev, reason)
}

// fakeLink takes bytes as long as its allowance lasts.
type fakeLink struct {
	onBytes func([]byte) // set once; called from TryWrite, may be nil

	mu     sync.Mutex
	got    bytes.Buffer
	allow  int // bytes it still takes; negative: any number
	writes int
	bye    *chat.Goodbye
	more   chan struct{} // closed and replaced when allow grows or the link is closed
}

func newFakeLink(allow int) *fakeLink {
	return &fakeLink{allow: allow, more: make(chan struct{})}
}

func (l *fakeLink) TryWrite(bufs net.Buffers) (n int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bye != nil {
		return 0, net.ErrClosed
	}
	l.writes++
	for _, b := range bufs {
		if l.allow >= 0 {
			b = b[:min(len(b), l.allow)]
			l.allow -= len(b)
		}
		if l.onBytes != nil {
			l.onBytes(b)
		} else {
			l.got.Write(b)
		}
		n += len(b)
	}
	return n, nil
}

func (l *fakeLink) WaitWritable(timeout time.Duration) error {
	late := time.NewTimer(timeout)
	defer late.Stop()
	for {
		l.mu.Lock()
		more, ok, closed := l.more, l.allow != 0, l.bye != nil
		l.mu.Unlock()
		if closed {
			return net.ErrClosed
		}
		if ok {
			return nil
		}
		select {
		case <-more:
		case <-late.C:
			return os.ErrDeadlineExceeded
		}
	}
}

func (l *fakeLink) Close(g chat.Goodbye) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bye == nil {
		l.bye = &g
		close(l.more)
		l.more = make(chan struct{})
	}
}

// let allows n more bytes, any number if negative.
func (l *fakeLink) let(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n < 0 {
		l.allow = -1
	} else {
		l.allow += n
	}
	close(l.more)
	l.more = make(chan struct{})
}

// read returns what the link took since the last read.
func (l *fakeLink) read() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.got.String()
	l.got.Reset()
	return s
}

func (l *fakeLink) goodbye() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bye == nil {
		return ""
	}
	return l.bye.Reason
}

func message(room chat.RoomID, rev chat.Rev, text string) *chat.Event {
	return &chat.Event{Kind: chat.EventMessage, Room: room, Rev: rev, Message: &chat.Message{Text: text}}
}

func events(room chat.RoomID, from, to chat.Rev) []*chat.Event {
	var evs []*chat.Event
	for rev := from; rev <= to; rev++ {
		evs = append(evs, message(room, rev, "x"))
	}
	return evs
}

// lines are the frames of events.
func lines(room string, from, to int) string {
	var b strings.Builder
	for rev := from; rev <= to; rev++ {
		fmt.Fprintf(&b, "e %s %d x\n", room, rev)
	}
	return b.String()
}

// harness is a hub on an in-process bus, inside a synctest bubble.
type harness struct {
	*testing.T
	*Hub
	bus bus.Bus

	mu       sync.Mutex
	position int64 // of the one lane
}

func inBubble(t *testing.T, cfg Config, test func(h *harness)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, cfg)
		defer h.Hub.Close()
		test(h)
	})
}

func newHarness(t *testing.T, cfg Config) *harness {
	if cfg.Bus == nil {
		cfg.Bus = membus.New()
	}
	if cfg.Workers == 0 {
		cfg.Workers = 2
	}
	if cfg.scanSize == 0 {
		cfg.scanSize = 2 // rooms of tests are small
	}
	return &harness{T: t, Hub: New(cfg), bus: cfg.Bus}
}

func (h *harness) publish(room chat.RoomID, evs ...*chat.Event) {
	h.Helper()
	h.commit(bus.RoomEvents{Room: room, Events: evs})
}

// commit publishes a batch: the next one of the lane, unless all events are
// ephemeral.
func (h *harness) commit(rooms ...bus.RoomEvents) {
	h.Helper()
	b := &bus.Batch{Rooms: rooms}
	if ephemeral := len(rooms) > 0 && rooms[0].Events[0].Rev == 0; !ephemeral {
		h.mu.Lock()
		b.After, b.Position = h.position, h.position+1
		h.position++
		h.mu.Unlock()
	}
	if err := h.bus.Publish(b); err != nil {
		h.Fatal(err)
	}
}

// gather puts events into a room's log, and leaves it to a later round to write
// them, as the first rooms of a batch.
func (h *harness) gather(id chat.RoomID, evs []*chat.Event) {
	if r := h.rooms.get(id); r != nil {
		h.deliver(r, evs, 0)
	}
}

func (h *harness) conn(allow int) (*Conn, *fakeLink) {
	l := newFakeLink(allow)
	return h.Attach(l, lineEncoding{}), l
}

func (h *harness) join(c *Conn, room chat.RoomID, after chat.Rev) {
	h.Helper()
	if err := c.Subscribe(room); err != nil {
		h.Fatal(err)
	}
	if !c.Enter(room, after, nil) {
		h.Error("the subscription has ended")
	}
	c.Resume(room, after)
}

// expect waits until nothing moves and compares what the link took.
func (h *harness) expect(l *fakeLink, want string) {
	h.Helper()
	synctest.Wait()
	if got := l.read(); got != want {
		h.Fatalf("got  %q\nwant %q", got, want)
	}
}
