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
