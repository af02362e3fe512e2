package hub

import (
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/bus/membus"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/netwrite"
)

// countLink takes everything and counts frames of a known size.
type countLink struct{ counter *counter }

func (l countLink) TryWrite(bufs net.Buffers) (int, error) {
	n := netwrite.Size(bufs)
	l.counter.add(n)
	return n, nil
}
func (countLink) WaitWritable(time.Duration) error { return nil }
func (countLink) Close(chat.Goodbye)               {}

// counter says when a number of bytes was reached.
type counter struct {
	bytes, goal atomic.Int64
	reached     chan struct{}
}

func (c *counter) add(n int) {
	if c.bytes.Add(int64(n)) == c.goal.Load() {
		c.reached <- struct{}{}
	}
}

// drain reads a connection to its end.
func drain(c net.Conn, counter *counter) {
	buf := make([]byte, 32<<10)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		counter.add(n)
	}
}

// fixedEncoding is a frame of 160 bytes that costs nothing to make.
type fixedEncoding struct{ lineEncoding }

var fixedFrame = []byte(strings.Repeat("x", 160))

func (fixedEncoding) AppendEvent(dst []byte, _ *chat.Event) []byte { return append(dst, fixedFrame...) }

// BenchmarkFanout delivers to 1000 connections in one room; one operation is one
// event at one connection. Counting links show what the hub costs by itself,
// sockets add the kernel and the reading side. batch is how many events are
// published at once.
func BenchmarkFanout(b *testing.B) {
	const conns = 1000
	for _, kind := range []string{"counting", "tcp"} {
		for _, batch := range []int{1, 32} {
			b.Run(fmt.Sprintf("%s/batch=%d", kind, batch), func(b *testing.B) {
				carrier := membus.New()
				h := New(Config{Bus: carrier})
				bytes := &counter{reached: make(chan struct{}, 1)}
				var all []*Conn
				for range conns {
					var l Link
					if kind == "tcp" {
						server, client := tcpPair(b)
						go drain(client, bytes)
						l = NewTCPLink(server, nil)
					} else {
						l = countLink{bytes}
					}
					c := h.Attach(l, fixedEncoding{})
					if err := c.Subscribe("r"); err != nil {
						b.Fatal(err)
					}
					c.Resume("r", 0)
					all = append(all, c)
				}
				b.ReportAllocs()
				b.ResetTimer()
				rev, position := chat.Rev(0), int64(0)
				for n := 0; n < b.N; n += conns * batch {
					evs := events("r", rev+1, rev+chat.Rev(batch))
					rev += chat.Rev(batch)
					bytes.goal.Store(int64(rev) * conns * int64(len(fixedFrame)))
					position++
					one := &bus.Batch{After: position - 1, Position: position, Rooms: []bus.RoomEvents{{Room: "r", Events: evs}}}
					if err := carrier.Publish(one); err != nil {
						b.Fatal(err)
					}
					<-bytes.reached
				}
				b.StopTimer()
				for _, c := range all {
					c.Detach()
				}
				h.Close()
			})
		}
	}
}
