package engineio_test

import (
	"bytes"
	"errors"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/roomtide/roomtide/engineio"
)

// A client that does not read makes TryWrite take nothing and WaitWritable
// wait, and nothing is lost when it reads again.
func TestRawBackpressure(t *testing.T) {
	both(t, engineio.Options{}, func(t *testing.T, w *world) {
		c := &client{world: w, version: 4}
		ws := c.ws()
		s := w.engine.Find(ws.receiveHello().SID)
		if tcp, ok := ws.NetConn().(*net.TCPConn); ok {
			tcp.SetReadBuffer(16 << 10)
		}
		big := engineio.AppendFrame(nil, bytes.Repeat([]byte("x"), 100<<10))
		sent, stalled := 0, false
		for !stalled {
			n, err := s.TryWrite(net.Buffers{big[sent%len(big):]})
			if err != nil {
				t.Fatal(err)
			}
			sent += n
			stalled = n == 0 && s.Stalled()
			err = s.WaitWritable(50 * time.Millisecond)
			if timeout := errors.Is(err, os.ErrDeadlineExceeded); err != nil && !timeout {
				t.Fatal(err)
			} else if !timeout {
				stalled = false // the buffers on the way are not full yet
			}
		}
		var rest sync.WaitGroup
		rest.Go(func() {
			if err := s.WaitWritable(patience); err != nil {
				t.Error(err)
			}
			if err := writeRaw(s, big[sent%len(big):]); err != nil {
				t.Error(err)
			}
		})
		for range sent/len(big) + 1 {
			ws.receive("4" + string(big[len(big)-100<<10:]))
		}
		rest.Wait()
		ws.bye()
	})
}

// Over polling the bound is MaxQueued; a frame that has begun is taken whole.
func TestRawBoundWhilePolling(t *testing.T) {
	both(t, engineio.Options{MaxQueued: 1000}, func(t *testing.T, w *world) {
		c := w.open(4)
		s := w.engine.Find(c.sid)
		one := engineio.AppendFrame(nil, bytes.Repeat([]byte("x"), 396)) // 401 bytes
		n, err := s.TryWrite(net.Buffers{one, one, one[:200], one[200:], one})
		if err != nil || n != 3*len(one) {
			t.Fatalf("took %d, %v", n, err)
		}
		if n, err := s.TryWrite(net.Buffers{one}); n != 0 || err != nil {
			t.Fatalf("took %d, %v", n, err)
		}
		if err := s.Send(engineio.Message{}); err != engineio.ErrFull {
			t.Fatalf("Send: %v", err)
		}
		if err := s.WaitWritable(time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("WaitWritable: %v", err)
		}
		if full := w.engine.Stats().Full; full != 3 {
			t.Errorf("counted %d", full)
		}
		waited := make(chan error)
		go func() { waited <- s.WaitWritable(patience) }()
		if a := c.get(); len(c.split(a.body)) != 3 {
			t.Fatalf("%.100v", a)
		}
		if err := <-waited; err != nil {
			t.Fatal(err)
		}
		if n, err := s.TryWrite(net.Buffers{one}); n != len(one) || err != nil {
			t.Fatalf("took %d, %v", n, err)
		}
	})
}
