package hub

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/bus/bustest"
	"github.com/roomtide/roomtide/chat"
)

// withMoving is a hub on a bus of its own, for which the room "moves" is in the given lane and
// others are in lane 1. The bus is closed behind the hub.
func withMoving(t *testing.T, lane *bus.Lane) (*harness, bus.Bus, *prometheus.Registry) {
	n, reg := bustest.NewNetwork(1), prometheus.NewRegistry()
	return newHarness(t, Config{Bus: n.Node(0), LateAfter: time.Hour, Registerer: reg, Lane: func(room chat.RoomID) bus.Lane {
		if room == "moves" {
			return *lane
		}
		return 1
	}}), n.Node(0), reg
}

// A room that changes its lane goes on without a gap, for those that are subscribed and
// for those that come; what the old lane loses from then on does not concern it.
func TestRoomsChangeTheirLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lane := bus.Lane(1)
		h, node, reg := withMoving(t, &lane)
		defer node.Close()
		defer h.Hub.Close()
		c, l := h.conn(-1)
		h.join(c, "moves", 0)
		h.join(c, "stays", 0)
		h.say(7, "moves", events("moves", 1, 1)...)
		h.expect(l, lines("moves", 1, 1))

		if err := h.Listen(2); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		lane = 2
		if err := h.Reroute(); err != nil {
			t.Fatal(err)
		}
		h.say(40, "moves", events("moves", 2, 2)...)
		h.expect(l, lines("moves", 2, 2))
		late, ll := h.conn(-1)
		h.join(late, "moves", 2)

		h.say(9, "stays", events("stays", 1, 1)...) // 8 was lost
		synctest.Wait()
		h.say(41, "moves", events("moves", 3, 3)...)
		h.expect(ll, lines("moves", 3, 3))
		synctest.Wait()
		if got := gather(t, reg)["gaps_total "+chat.GapLost.String()]; got != 1 {
			t.Errorf("%v subscriptions were told of a gap, of the one room that stayed", got)
		}
	})
}

// Rooms that have changed their lane on another node, some time ago, resume from the store:
// what the new lane has published since may be missing. Others go on.
func TestRoomsHaveChangedTheirLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lane := bus.Lane(1)
		h, node, reg := withMoving(t, &lane)
		defer node.Close()
		defer h.Hub.Close()
		c, _ := h.conn(-1)
		h.join(c, "moves", 0)
		h.join(c, "stays", 0)
		lane = 2
		for range 2 { // the second time there is nothing new
			if err := h.RerouteLate(); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if got := gather(t, reg)["gaps_total "+chat.GapLost.String()]; got != 1 {
			t.Errorf("%v subscriptions were told of a gap, of the one room that moved", got)
		}
	})
}

// stubborn is a bus that refuses the lanes that it is told to.
type stubborn struct {
	bus.Bus
	refuses map[bus.Lane]bool
}

func (b *stubborn) Subscribe(lane bus.Lane) error {
	if b.refuses[lane] {
		return chat.E(chat.Unavailable, "not now")
	}
	return b.Bus.Subscribe(lane)
}

// A connection that comes into a room is the first to find its new lane: those that were there
// resume from the store all the same, whether or not the lane can be listened to at once, and
// whatever becomes of that connection.
func TestComingIntoARoomThatHasMoved(t *testing.T) {
	for _, tt := range []struct {
		name   string
		lanes  []bus.Lane // of the room, one after the other, while the connection comes
		failed bool       // the last of them is refused
	}{
		{"moved", []bus.Lane{2}, false},
		{"moved twice, the second lane is refused", []bus.Lane{2, 2, 3}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reg, left := prometheus.NewRegistry(), []bus.Lane{1}
				n := bustest.NewNetwork(1)
				b := &stubborn{n.Node(0), map[bus.Lane]bool{3: true}}
				h := newHarness(t, Config{Bus: b, LateAfter: time.Hour, Registerer: reg, Lane: func(chat.RoomID) bus.Lane {
					lane := left[0]
					if len(left) > 1 {
						left = left[1:]
					}
					return lane
				}})
				defer n.Node(0).Close()
				defer h.Hub.Close()
				there, l := h.conn(-1)
				h.join(there, "r", 0)
				left = tt.lanes
				comes, _ := h.conn(-1)
				if err := comes.Subscribe("r"); (err != nil) != tt.failed {
					t.Fatal(err)
				}
				comes.Detach() // the join is refused
				h.expect(l, "g r 0 lost\n")
				if err := h.RerouteLate(); (err != nil) != tt.failed {
					t.Fatal(err)
				}
				synctest.Wait()
				if got := gather(t, reg)["gaps_total "+chat.GapLost.String()]; got != 1 {
					t.Errorf("%v gaps", got)
				}
			})
		})
	}
}
