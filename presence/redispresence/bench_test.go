package redispresence_test

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testredis"
	"github.com/roomtide/roomtide/presence"
	"github.com/roomtide/roomtide/presence/redispresence"
)

const benchRooms = 1000

// entries are those of 10,000 users in 5 of 1,000 rooms each, on three nodes, in the
// order in which a tracker applies them.
func entries(node int) (changes []presence.Change) {
	for u := node; u < 10_000; u += 3 {
		for i := range 5 {
			room := (u*7 + i*211) % benchRooms
			changes = append(changes, presence.Change{Room: roomName(room), User: chat.UserID(fmt.Sprint("user", u)), On: true})
		}
	}
	slices.SortFunc(changes, func(a, b presence.Change) int {
		if a.Room != b.Room {
			return slices.Compare([]byte(a.Room), []byte(b.Room))
		}
		return slices.Compare([]byte(a.User), []byte(b.User))
	})
	return changes
}

func roomName(i int) chat.RoomID { return chat.RoomID(fmt.Sprint("room", i)) }

// ownCPU is the processor time of this process, which has all nodes.
func ownCPU(b *testing.B) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// What 50,000 entries cost: told by change, told again after a wipe, kept by heartbeats,
// and read. redis-ms and nodes-ms are the processor time of Redis and of all nodes for one round of three nodes, or
// for reading all rooms.
func BenchmarkEntries(b *testing.B) {
	s := testredis.Start(b)
	var nodes []*redispresence.Driver
	for i := range 3 {
		nodes = append(nodes, open(b, s, fmt.Sprint("n", i)))
	}
	fill := func() {
		for i, d := range nodes {
			for batch := range slices.Chunk(entries(i), 256) {
				if err := d.Apply(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	fill()
	for _, part := range []struct {
		name string
		do   func()
	}{
		{"fill", fill},
		{"wiped", func() {
			s.Do(s.Client(), "FLUSHALL")
			for _, d := range nodes {
				beat(b, d)
			}
		}},
		{"heartbeat", func() {
			for _, d := range nodes {
				beat(b, d)
			}
		}},
		{"read", func() {
			for i := range benchRooms {
				if _, n, err := nodes[i%3].Online(b.Context(), roomName(i), 100); err != nil || n != 50 {
					b.Fatal(n, err)
				}
			}
		}},
	} {
		b.Run(part.name, func(b *testing.B) {
			before, own := s.CPU(), ownCPU(b)
			for b.Loop() {
				part.do()
			}
			b.ReportMetric(float64(ownCPU(b)-own)/float64(time.Millisecond)/float64(b.N), "nodes-ms/op")
			b.ReportMetric(float64(s.CPU()-before)/float64(time.Millisecond)/float64(b.N), "redis-ms/op")
		})
	}
}
