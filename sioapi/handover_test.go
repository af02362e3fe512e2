package sioapi

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/hub"
)

// A piece fits into a message of NATS, however long its sessions are.
func TestHandOverInPieces(t *testing.T) {
	var pieces, weights []int
	cfg := Config{HandOver: func(text []byte) bool {
		var some []*resumeState
		if err := json.Unmarshal(text, &some); err != nil {
			t.Error(err)
		}
		weight := 0
		for _, r := range some {
			weight += r.weight()
		}
		pieces, weights = append(pieces, len(some)), append(weights, weight)
		if len(text) > 1<<20 {
			t.Errorf("%d bytes of %d sessions", len(text), len(some))
		}
		return false
	}}
	h := New(cfg)
	long := strings.Repeat("r", chat.DefaultLimits().IDBytes)
	for i, rooms := range []int{1000, 1000, 1000, 3000, 47} {
		r := disconnected(fmt.Sprint("heavy", i), 0)
		for j := range rooms {
			r.Delivered.Rooms = append(r.Delivered.Rooms, hub.Position{Room: chat.RoomID(fmt.Sprintf("%s%d", long[4:], j)), Rev: 1 << 50})
		}
		h.resumable.put(r)
	}
	for i := range 2 * piece {
		h.resumable.put(disconnected(fmt.Sprint("light", i), 1))
	}
	h.Close()
	if got := fmt.Sprint(pieces); got != "[2 1 1 64 64 1]" {
		t.Errorf("pieces of %s sessions, with %v positions", got, weights)
	}
}

// Nodes that do not answer hold up one that stops for a bounded time. It keeps what it
// has not handed over.
func TestHandOverIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const all = 20 * piece
		calls := 0
		h := New(Config{HandOver: func([]byte) bool { // as cluster.Away without an answer
			calls++
			time.Sleep(time.Second)
			return false
		}})
		for i := range all {
			h.resumable.put(disconnected(fmt.Sprint(i), 1))
		}
		began := time.Now()
		h.Close()
		if took := time.Since(began); took != handOverTime || h.resumable.len() != all-calls*piece {
			t.Errorf("it took %v; %d of %d are left behind %d calls", took, h.resumable.len(), all, calls)
		}
	})
}
