package poll

import (
	"io"
	"log/slog"
	"net"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// repeater is a Runner that sends back what it reads and signals when it has ended.
type repeater struct {
	reader Reader
	conn   net.Conn
	gone   chan error
}

func (e *repeater) Run() {
	b := make([]byte, 16)
	for {
		n, err := e.reader.Read(b)
		switch {
		case err == syscall.EAGAIN && e.reader.Park():
			return
		case err == syscall.EAGAIN:
			continue
		case err != nil:
			e.reader.Release()
			_ = e.conn.Close()
			e.gone <- err
			return
		}
		if _, err := e.conn.Write(b[:n]); err != nil {
			e.gone <- err
			return
		}
	}
}

// newRepeater is an repeater and its peer.
func newRepeater(t *testing.T, rs *Readers, server, peer net.Conn) *repeater {
	t.Helper()
	t.Cleanup(func() { peer.Close() })
	e := &repeater{conn: server, gone: make(chan error, 1)}
	rs.Open(&e.reader, server, e)
	e.reader.Start()
	return e
}

func tcp(t *testing.T) (server, peer net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if peer, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	return server, peer
}

// untilParked waits until the connection is parked, if it can be.
func (e *repeater) untilParked() {
	for e.reader.Parks() && !e.reader.Parked() {
		runtime.Gosched()
	}
}

func TestReader(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) (rs *Readers, server, peer net.Conn){
		"parked": func(t *testing.T) (*Readers, net.Conn, net.Conn) {
			server, peer := tcp(t)
			return NewReaders(slog.New(slog.DiscardHandler)), server, peer
		},
		"without a poller": func(t *testing.T) (*Readers, net.Conn, net.Conn) {
			server, peer := tcp(t)
			rs := NewReaders(slog.New(slog.DiscardHandler))
			rs.once.Do(func() {})
			return rs, server, peer
		},
		"no socket": func(*testing.T) (*Readers, net.Conn, net.Conn) {
			server, peer := net.Pipe()
			return NewReaders(slog.New(slog.DiscardHandler)), server, peer
		},
	} {
		t.Run(name, func(t *testing.T) {
			rs, server, peer := open(t)
			e := newRepeater(t, rs, server, peer)
			if can := name == "parked" && runtime.GOOS == "linux"; e.reader.Parks() != can {
				t.Errorf("it can be parked: %v", e.reader.Parks())
			}
			peer.SetDeadline(time.Now().Add(20 * time.Second))
			for _, text := range []string{"once", "and again"} {
				e.untilParked()
				if _, err := io.WriteString(peer, text); err != nil {
					t.Fatal(err)
				}
				got := make([]byte, len(text))
				if _, err := io.ReadFull(peer, got); err != nil || string(got) != text {
					t.Fatalf("%q, %v", got, err)
				}
			}
			e.untilParked()
			server.SetReadDeadline(time.Now())
			e.reader.End() // the Runner runs and finds the deadline
			if err, is := (<-e.gone).(net.Error); !is || !err.Timeout() {
				t.Errorf("it ended with %v", err)
			}
			rs.Close()
		})
	}
}

// Closing a parked connection is followed by End, and its Runner learns of it.
func TestReaderOfClosedConnection(t *testing.T) {
	rs := NewReaders(slog.New(slog.DiscardHandler))
	server, peer := tcp(t)
	e := newRepeater(t, rs, server, peer)
	e.untilParked()
	server.Close()
	e.reader.End()
	if err := <-e.gone; err == nil {
		t.Error("a closed connection was read")
	}
	rs.Close()
}
