package hub

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/bus/membus"
	"github.com/roomtide/roomtide/chat"
)

func goodbyeBytes(g chat.Goodbye) []byte { return []byte("bye " + g.Reason + "\n") }

// tcpPair returns both ends of a loopback connection with small buffers.
func tcpPair(t testing.TB) (server, client *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); s.Close() })
	server, client = s.(*net.TCPConn), c.(*net.TCPConn)
	for _, err := range []error{server.SetWriteBuffer(16 << 10), client.SetReadBuffer(16 << 10),
		client.SetReadDeadline(time.Now().Add(20 * time.Second))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return server, client
}

// fill writes until the peer accepts no more and returns how much it took.
func fill(t *testing.T, l Link) int {
	t.Helper()
	chunk := net.Buffers{make([]byte, 10<<10), make([]byte, 1)}
	for total := 0; total < 64<<20; {
		n, err := l.TryWrite(chunk)
		if err != nil {
			t.Fatal(err)
		}
		if total += n; n < 10<<10+1 {
			return total
		}
	}
	t.Fatal("there is no end to it")
	return 0
}

// links makes each kind of Link over a TCP connection.
var links = map[string]func(c *net.TCPConn) Link{
	"tcp": func(c *net.TCPConn) Link { return NewTCPLink(c, goodbyeBytes) },
	"buffered": func(c *net.TCPConn) Link {
		l := NewBufferedLink(c, 0, goodbyeBytes)
		go func() { _ = l.Run() }()
		return l
	},
}

func eachLink(t *testing.T, test func(t *testing.T, l Link, server, client *net.TCPConn)) {
	for name, link := range links {
		t.Run(name, func(t *testing.T) {
			server, client := tcpPair(t)
			l := link(server)
			test(t, l, server, client)
			l.Close(chat.ByeDraining) // ends Run
		})
	}
}

func TestLinkJoinsBuffers(t *testing.T) {
	eachLink(t, func(t *testing.T, l Link, _, client *net.TCPConn) {
		var bufs net.Buffers
		want := strings.Repeat("ab", 1500) // more than one system call takes
		for i := range want {
			bufs = append(bufs, []byte(want[i:i+1]))
		}
		if n, err := l.TryWrite(bufs); n != len(want) || err != nil {
			t.Fatal(n, err)
		}
		if len(bufs) != 3000 || string(bufs[2999]) != "b" {
			t.Fatal("bufs were changed")
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(client, got); err != nil || string(got) != want {
			t.Fatalf("%v %q", err, got)
		}
	})
}

func TestLinkSaysGoodbye(t *testing.T) {
	eachLink(t, func(t *testing.T, l Link, server, client *net.TCPConn) {
		if _, err := l.TryWrite(net.Buffers{[]byte("hello\n")}); err != nil {
			t.Fatal(err)
		}
		l.Close(chat.ByeRevoked)
		l.Close(chat.ByeDraining)
		got, err := io.ReadAll(client)
		if err != nil || string(got) != "hello\nbye revoked\n" {
			t.Fatalf("%v %q", err, got)
		}
		if _, err := l.TryWrite(net.Buffers{[]byte("more")}); err == nil {
			t.Fatal("wrote after Close")
		}
		if err := l.WaitWritable(time.Second); err == nil {
			t.Fatal("writable after Close")
		}
		client.Close()
		if _, err := server.Read(make([]byte, 1)); err == nil { // EOF, or closed
			t.Fatal("the reading half goes on")
		}
	})
}

func TestLinkWaits(t *testing.T) {
	eachLink(t, func(t *testing.T, l Link, _, client *net.TCPConn) {
		total := fill(t, l)
		for { // a buffered link may still be emptying itself into the kernel
			if err := l.WaitWritable(50 * time.Millisecond); err != nil {
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatal(err)
				}
				break
			}
			total += fill(t, l)
		}
		read := make(chan error, 1)
		go func() {
			_, err := io.CopyN(io.Discard, client, int64(total))
			read <- err
		}()
		if err := l.WaitWritable(10 * time.Second); err != nil {
			t.Fatal(err)
		}
		if err := <-read; err != nil {
			t.Fatal(err)
		}
		if n, err := l.TryWrite(net.Buffers{[]byte("on")}); n != 2 || err != nil {
			t.Fatal(n, err)
		}
	})
}

func TestLinkCloseWhileWaiting(t *testing.T) {
	eachLink(t, func(t *testing.T, l Link, _, client *net.TCPConn) {
		for full := 0; full < 2; { // once, a buffered link may only have been slow to empty itself
			if fill(t, l) > 0 {
				full = 0
			}
			if l.WaitWritable(50*time.Millisecond) != nil {
				full++
			}
		}
		waited := make(chan error, 1)
		go func() { waited <- l.WaitWritable(time.Hour) }()
		l.Close(chat.ByeSlow)
		if err := <-waited; err == nil {
			t.Fatal("writable")
		}
		if got, _ := io.ReadAll(client); bytes.Contains(got, []byte("bye")) { // the error depends on how it was cut
			t.Fatal("goodbye in the middle of a frame")
		}
	})
}

func TestLinkBreaks(t *testing.T) {
	eachLink(t, func(t *testing.T, l Link, server, client *net.TCPConn) {
		server.Close()
		for {
			if _, err := l.TryWrite(net.Buffers{[]byte("x")}); err != nil {
				return
			}
		}
	})
}

func TestBufferedLinkOverPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // its last words have a second
		server, client := net.Pipe()
		f := &flusher{Conn: server}
		l := NewBufferedLink(f, 100, goodbyeBytes)
		ran := make(chan error, 1)
		go func() { ran <- l.Run() }()
		n, err := l.TryWrite(net.Buffers{make([]byte, 70), make([]byte, 70)})
		if n != 100 || err != nil {
			t.Fatal(n, err)
		}
		if err := l.WaitWritable(time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(client, make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		if err := l.WaitWritable(10 * time.Second); err != nil {
			t.Fatal(err)
		}
		if n, err := l.TryWrite(net.Buffers{make([]byte, 40)}); n != 40 || err != nil {
			t.Fatal(n, err)
		}
		l.Close(chat.ByeDraining)
		got, err := io.ReadAll(client)
		if err != nil || string(got[40:]) != "bye draining\n" {
			t.Fatalf("%v %q", err, got)
		}
		if err := <-ran; err != nil || f.flushes == 0 {
			t.Fatal(err, f.flushes)
		}
	})
}

type flusher struct {
	net.Conn
	flushes int // owned by Run
}

func (f *flusher) Flush() error { f.flushes++; return nil }

// A real socket whose reader stops: the others are not disturbed, and when it
// reads on it gets whole frames, a gap, and after joining again the present.
func TestSlowSocket(t *testing.T) {
	b := membus.New()
	h := New(Config{Bus: b, RoomLogBytes: 16 << 10})
	defer h.Close()
	attach := func() (*Conn, *net.TCPConn) {
		server, client := tcpPair(t)
		c := h.Attach(NewTCPLink(server, goodbyeBytes), lineEncoding{})
		if err := c.Subscribe("r"); err != nil {
			t.Fatal(err)
		}
		c.Send([]byte("j r 0\n"))
		c.Resume("r", 0)
		return c, client
	}
	slow, slowEnd := attach()
	fast, fastEnd := attach()
	defer slow.Detach()
	defer fast.Detach()

	const last = 60000
	published := make(chan struct{})
	check := newReader(t)
	progress := make(chan int64, 1)
	go func() { copyTo(check, fastEnd, "r", progress) }()
	go func() {
		defer close(published)
		for rev := chat.Rev(1); rev <= last; rev += 20 {
			one := &bus.Batch{Rooms: []bus.RoomEvents{{Room: "r", Events: longEvents("r", rev, rev+19)}}}
			if err := b.Publish(one); err != nil {
				t.Error(err)
			}
			for <-progress < int64(rev)+20 { // the fast one keeps up
			}
		}
	}()
	<-published
	if check.gaps != 0 {
		t.Fatal("the fast reader got a gap")
	}

	read := newReader(t)
	slowProgress := make(chan int64, 1)
	go func() { copyTo(read, slowEnd, "r", slowProgress) }()
	for !read.needsJoin("r") {
		<-slowProgress
	}
	if err := slow.Subscribe("r"); err != nil {
		t.Fatal(err)
	}
	slow.Send([]byte("j r 60000\n"))
	slow.Resume("r", last)
	if err := b.Publish(&bus.Batch{Rooms: []bus.RoomEvents{{Room: "r", Events: events("r", last+1, last+1)}}}); err != nil {
		t.Fatal(err)
	}
	for <-slowProgress != last+2 {
	}
}

// copyTo feeds a connection to a reader and tells the next rev of a room after
// each piece; the newest value wins.
func copyTo(r *reader, c net.Conn, room string, next chan int64) {
	buf := make([]byte, 4<<10)
	for {
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		r.bytes(buf[:n])
		r.mu.Lock()
		v := r.next[room]
		r.mu.Unlock()
		select {
		case <-next:
		default:
		}
		next <- v
	}
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
