package server

import (
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/bus/membus"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/hub"
	"github.com/roomtide/roomtide/internal/teststore"
	"github.com/roomtide/roomtide/store"
)

// deafBus does not answer a Subscribe while it is deaf.
type deafBus struct {
	bus.Bus
	deaf bool
	asks int
}

func (b *deafBus) Subscribe(lane bus.Lane) error {
	if b.asks++; b.deaf {
		return chat.E(chat.Unavailable, "NATS does not answer")
	}
	return b.Bus.Subscribe(lane)
}

// quiet is a link and an encoding with nothing to say.
type quiet struct{}

func (quiet) TryWrite(bufs net.Buffers) (n int, err error)                             { return 0, net.ErrClosed }
func (quiet) WaitWritable(time.Duration) error                                         { return net.ErrClosed }
func (quiet) Close(chat.Goodbye)                                                       {}
func (quiet) AppendEvent(dst []byte, _ *chat.Event) []byte                             { return dst }
func (quiet) AppendGap(dst []byte, _ chat.RoomID, _ chat.Rev, _ chat.GapReason) []byte { return dst }

// A slot map counts as followed once the hub listens to the new lanes of its rooms, and is
// followed again until then.
func TestMapIsFollowedUntilTheHubListens(t *testing.T) {
	const room chat.RoomID = "r"
	st := teststore.Open(t, t.TempDir(), 2, nil)
	defer st.Close()
	b := &deafBus{Bus: membus.New()}
	h := hub.New(hub.Config{Bus: b, Lane: func(id chat.RoomID) bus.Lane { return bus.Lane(st.ShardOf(id.Slot())) }})
	defer h.Close()
	p := &peers{s: &Server{store: st, hub: h, log: slog.New(slog.DiscardHandler)}}
	p.routed.Store(st.MapVersion())
	c := h.Attach(quiet{}, quiet{})
	defer c.Detach()
	if err := c.Subscribe(room); err != nil {
		t.Fatal(err)
	}
	var moves store.SlotSet
	moves.Add(room.Slot())
	if err := st.Assign(t.Context(), &moves, 1-st.ShardOf(room.Slot()), st.MapVersion()); err != nil {
		t.Fatal(err)
	}
	for i, tt := range []struct {
		deaf bool
		asks int
	}{{true, 1}, {true, 1}, {false, 1}, {true, 0}} {
		b.deaf, b.asks = tt.deaf, 0
		failed := p.readMap() != nil
		if failed != (tt.deaf && tt.asks > 0) || b.asks != tt.asks {
			t.Errorf("%d: failed %v, the bus was asked %d times", i, failed, b.asks)
		}
	}
}
