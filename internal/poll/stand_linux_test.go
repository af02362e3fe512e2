package poll

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// sleeper counts how often it was woken.
type sleeper chan struct{}

func newSleeper() sleeper { return make(sleeper, 100) }

func (s sleeper) Wake() { s <- struct{}{} }

// stand is a poller and a listener.
type stand struct {
	*testing.T
	*Poller
	net.Listener
}

func newStand(t *testing.T) *stand {
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close(); p.Close() })
	return &stand{t, p, ln}
}

func (s *stand) dial() net.Conn {
	s.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { c.Close() })
	return c
}

func (s *stand) accept() *net.TCPConn {
	s.Helper()
	c, err := s.Accept()
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

func (s *stand) socket(c *net.TCPConn, w Sleeper) *Socket {
	s.Helper()
	k := new(Socket)
	if err := k.Open(s.Poller, c, w); err != nil {
		s.Fatal(err)
	}
	return k
}

// wake is that of a socket of which something is expected.
func (s *stand) wake(w sleeper) {
	s.Helper()
	select {
	case <-w:
	case <-time.After(20 * time.Second):
		s.Fatal("Wake was not called")
	}
}

// settle returns when every event of the kernel has been passed on.
func (s *stand) settle() {
	s.Helper()
	peer, w := s.dial(), newSleeper()
	k := s.socket(s.accept(), w)
	s.park(k)
	peer.Close() // closing connections are woken last
	s.wake(w)
	k.Release()
}

func (s *stand) park(k *Socket) {
	s.Helper()
	if err := k.Park(); err != nil {
		s.Fatal(err)
	}
}

func (s *stand) write(c io.Writer, text string) {
	s.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		s.Fatal(err)
	}
}

func (s *stand) read(k *Socket, max int, want string, wantErr error) {
	s.Helper()
	p := make([]byte, max)
	n, err := k.Read(p)
	if string(p[:n]) != want || !errors.Is(err, wantErr) {
		s.Fatalf("read %q, %v, want %q, %v", p[:n], err, want, wantErr)
	}
}

func descriptor(c *net.TCPConn) (fd int) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1
	}
	_ = raw.Control(func(f uintptr) { fd = int(f) })
	return fd
}
