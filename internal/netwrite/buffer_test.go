package netwrite

import (
	"bytes"
	"errors"
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// eachBuffer runs a test on both kinds of Buffer over a pipe, in a bubble with a
// clock of its own. ended yields what End or Run returned, once.
func eachBuffer(t *testing.T, o BufferOptions, test func(t *testing.T, b *Buffer, peer net.Conn, ended <-chan error)) {
	for _, spawns := range []bool{false, true} {
		t.Run(map[bool]string{false: "run", true: "spawn"}[spawns], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn, peer := net.Pipe()
				defer peer.Close()
				ended := make(chan error, 2)
				o := o
				if spawns {
					o.Spawn = func(f func()) { go f() }
					o.End = func() error { ended <- conn.Close(); return nil }
				}
				b := NewBuffer(conn, o)
				if !spawns {
					go func() { ended <- b.Run() }()
				}
				test(t, b, peer, ended)
				b.Close(nil, 0) // ends Run
				synctest.Wait()
				if len(ended) > 0 {
					t.Errorf("the writer ended twice: %v", <-ended)
				}
			})
		})
	}
}

// A full buffer takes nothing, what is being written counts, and Wait returns
// when there is space again.
func TestBufferIsBounded(t *testing.T) {
	eachBuffer(t, BufferOptions{Limit: 100}, func(t *testing.T, b *Buffer, peer net.Conn, ended <-chan error) {
		if n, err := b.Try([][]byte{make([]byte, 70), make([]byte, 70)}); n != 100 || err != nil {
			t.Fatal(n, err)
		}
		synctest.Wait() // the writer has all of it and is blocked
		if n, err := b.Try([][]byte{{1}}); n != 0 || err != nil {
			t.Fatal(n, err)
		}
		if writable, err := b.Wait(time.After(time.Minute)); writable || err != nil {
			t.Fatal(writable, err)
		}
		go io.ReadFull(peer, make([]byte, 100))
		if writable, err := b.Wait(nil); !writable || err != nil {
			t.Fatal(writable, err)
		}
		if n, err := b.Try([][]byte{make([]byte, 40)}); n != 40 || err != nil {
			t.Fatal(n, err)
		}
		b.Close([]byte("bye"), time.Minute)
		b.Close([]byte("not twice"), time.Minute)
		if got, err := io.ReadAll(peer); err != nil || string(got[40:]) != "bye" {
			t.Fatalf("%v %q", err, got)
		}
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if _, err := b.Try([][]byte{{1}}); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Try after Close: %v", err)
		}
		if _, err := b.Wait(nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Wait after Close: %v", err)
		}
	})
}

// Nothing is written behind a Try that was short.
func TestBufferEndsWithoutLastWordsInsideAFrame(t *testing.T) {
	eachBuffer(t, BufferOptions{Limit: 10}, func(t *testing.T, b *Buffer, peer net.Conn, ended <-chan error) {
		if n, err := b.Try([][]byte{make([]byte, 11)}); n != 10 || err != nil {
			t.Fatal(n, err)
		}
		b.Close([]byte("bye"), time.Minute)
		if got, err := io.ReadAll(peer); err != nil || len(got) != 10 {
			t.Fatalf("%v %q", err, got)
		}
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	})
}

// A peer that reads nothing has the linger of Close, then the stream is closed.
func TestBufferLingers(t *testing.T) {
	for _, spawns := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			conn, peer := net.Pipe()
			o := BufferOptions{}
			if spawns {
				o.Spawn = func(f func()) { go f() }
			}
			b := NewBuffer(conn, o)
			if !spawns {
				go b.Run()
			}
			b.Try([][]byte{[]byte("x")})
			b.Close([]byte("y"), 3*time.Second)
			<-time.After(2 * time.Second)
			if _, err := io.ReadFull(peer, make([]byte, 1)); err != nil {
				t.Errorf("spawn %v: closed before its time: %v", spawns, err)
			}
			<-time.After(2 * time.Second)
			if p, err := io.ReadAll(peer); len(p) != 0 || err != nil {
				t.Errorf("spawn %v: %q was written after its time, %v", spawns, p, err)
			}
			peer.Close()
		})
	}
}

// A stream that fails is closed; Try and a Wait in progress fail with its error.
func TestBufferFails(t *testing.T) {
	for _, spawns := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := &failing{hold: make(chan struct{}), err: errors.New("the cable was cut")}
			o := BufferOptions{Limit: 1}
			if spawns {
				o.Spawn = func(f func()) { go f() }
			}
			b := NewBuffer(s, o)
			ran := make(chan error, 1)
			if spawns {
				ran <- s.err
			} else {
				go func() { ran <- b.Run() }()
			}
			b.Try([][]byte{[]byte("x")})
			waited := make(chan error)
			go func() {
				_, err := b.Wait(nil)
				waited <- err
			}()
			synctest.Wait()
			close(s.hold)
			if err := <-waited; err != s.err {
				t.Errorf("Wait: %v", err)
			}
			if err := <-ran; err != s.err {
				t.Errorf("Run: %v", err)
			}
			synctest.Wait()
			if _, err := b.Try([][]byte{[]byte("x")}); err != s.err || s.closed.Load() != 1 {
				t.Errorf("Try: %v, closed %d times", err, s.closed.Load())
			}
			b.Close([]byte("bye"), time.Second)
			synctest.Wait()
			if s.writes.Load() != 1 {
				t.Errorf("%d writes to a stream that had failed", s.writes.Load())
			}
		})
	}
}

type failing struct {
	hold           chan struct{}
	err            error
	closed, writes atomic.Int32
}

func (s *failing) Write([]byte) (int, error)        { s.writes.Add(1); <-s.hold; return 0, s.err }
func (s *failing) Close() error                     { s.closed.Add(1); return nil }
func (s *failing) SetWriteDeadline(time.Time) error { return nil }

// An idle buffer keeps little memory and, with Spawn, no goroutine; a busy one
// allocates nothing.
func TestBufferCosts(t *testing.T) {
	s := &sink{wrote: make(chan int, 1)}
	b := NewBuffer(s, BufferOptions{Keep: 1 << 10, Spawn: func(f func()) { go f() }})
	before := runtime.NumGoroutine()
	write := func(n int) {
		if k, err := b.Try([][]byte{make([]byte, n)}); k != n || err != nil {
			t.Fatal(k, err)
		}
		<-s.wrote
		for b.busy() {
			runtime.Gosched()
		}
	}
	write(10 << 10)
	if c := cap(b.buf); c > 0 {
		t.Errorf("%d bytes are kept", c)
	}
	write(100)
	if c := cap(b.buf); c == 0 || c > 1<<10 {
		t.Errorf("%d bytes are kept", c)
	}
	for runtime.NumGoroutine() > before {
		runtime.Gosched()
	}
	b.Close(nil, 0)

	r := NewBuffer(s, BufferOptions{Keep: 1 << 10})
	go r.Run()
	one := [][]byte{bytes.Repeat([]byte("x"), 100)}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := r.Try(one); err != nil {
			t.Fatal(err)
		}
		<-s.wrote
	}); n >= 1 {
		t.Errorf("%v allocations for a write", n)
	}
	r.Close(nil, 0)
}

// busy reports whether there is a writer.
func (b *Buffer) busy() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.writing
}

// sink takes everything.
type sink struct{ wrote chan int }

func (s *sink) Write(p []byte) (int, error)      { s.wrote <- len(p); return len(p), nil }
func (s *sink) Close() error                     { return nil }
func (s *sink) SetWriteDeadline(time.Time) error { return nil }
