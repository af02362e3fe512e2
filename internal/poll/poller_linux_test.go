package poll

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Many peers that end at once are all woken, in portions, and so are the others.
func TestManyCloseAtOnce(t *testing.T) {
	s := newStand(t)
	const crowd = 20 * closingBatch
	var peers []net.Conn
	var sleepers []sleeper
	for range crowd {
		peers = append(peers, s.dial())
		w := newSleeper()
		sleepers = append(sleepers, w)
		s.park(s.socket(s.accept(), w))
	}
	stays, w := s.dial(), newSleeper()
	k := s.socket(s.accept(), w)
	s.park(k)
	for _, c := range peers {
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	s.write(stays, "x")
	s.wake(w)
	for _, w := range sleepers {
		s.wake(w)
	}
	if waiting, deferred := s.Closing(); waiting != 0 || deferred == 0 || deferred > crowd-closingBatch {
		t.Errorf("%d wait, %d had to", waiting, deferred)
	}
	s.read(k, 10, "x", nil)
}

func TestReadAndPark(t *testing.T) {
	s := newStand(t)
	peer, w := s.dial(), newSleeper()
	conn := s.accept()
	k := s.socket(conn, w)
	s.read(k, 10, "", syscall.EAGAIN)
	s.park(k)
	s.write(peer, "hello")
	s.wake(w)
	s.read(k, 3, "hel", nil)
	s.read(k, 3, "lo", nil)
	s.read(k, 3, "", syscall.EAGAIN)
	s.write(peer, "before parking")
	s.settle()
	if len(w) != 0 {
		t.Error("woken without having parked")
	}
	s.park(k)
	s.wake(w)
	s.read(k, 6, "before", nil)
	s.park(k) // the rest is there
	s.wake(w)
	s.read(k, 100, " parking", nil)
	s.park(k)
	peer.Close()
	s.wake(w)
	s.read(k, 10, "", io.EOF)
	s.read(k, 10, "", io.EOF)
	k.Release()
	s.settle()
	if len(w) != 0 {
		t.Error("woken once too often")
	}
}

// What the peer sends in its last segment is read, and its end is.
func TestLastWords(t *testing.T) {
	s := newStand(t)
	for range 50 {
		peer, w := s.dial(), newSleeper()
		k := s.socket(s.accept(), w)
		s.park(k)
		go func() { io.WriteString(peer, "bye"); peer.Close() }()
		var got []byte
		p := make([]byte, 10)
		for {
			n, err := k.Read(p)
			got = append(got, p[:n]...)
			if err == io.EOF {
				break
			}
			if err == syscall.EAGAIN {
				s.park(k)
				s.wake(w)
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if string(got) != "bye" {
			t.Fatalf("got %q", got)
		}
	}
}

func TestReset(t *testing.T) {
	s := newStand(t)
	peer, w := s.dial().(*net.TCPConn), newSleeper()
	k := s.socket(s.accept(), w)
	s.park(k)
	peer.SetLinger(0)
	peer.Close()
	s.wake(w)
	s.read(k, 10, "", unix.ECONNRESET)
}

// The net.Conn goes on working, deadlines included.
func TestDeadline(t *testing.T) {
	s := newStand(t)
	s.dial()
	conn := s.accept()
	k := s.socket(conn, newSleeper())
	s.park(k)
	conn.SetReadDeadline(time.Unix(1, 0))
	s.read(k, 10, "", os.ErrDeadlineExceeded)
}

func TestClosedAndReleased(t *testing.T) {
	s := newStand(t)
	peer, w := s.dial(), newSleeper()
	conn := s.accept()
	k := s.socket(conn, w)
	k.Release()
	if err := k.Park(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("parked after Release: %v", err)
	}
	k = s.socket(conn, w)
	s.park(k)
	k.Release()
	k.Release()
	s.write(peer, "x")
	s.settle()
	if len(w) != 0 {
		t.Error("woken after Release")
	}
	conn.Close()
	k = s.socket(s.accept2(), w)
	k.Release()
	k = s.socket(conn, w)
	s.read(k, 10, "", net.ErrClosed)
	if err := k.Park(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("parked after Close: %v", err)
	}
}

// accept2 is a connection whose peer does not matter.
func (s *stand) accept2() *net.TCPConn {
	s.dial()
	return s.accept()
}

// reopen closes old and returns a connection with the same descriptor.
func (s *stand) reopen(old *net.TCPConn) (peer net.Conn, conn *net.TCPConn) {
	s.Helper()
	fd := descriptor(old)
	for {
		peer = s.dial()
		if old != nil {
			old.Close()
			old = nil
		}
		if conn = s.accept(); descriptor(conn) == fd {
			return peer, conn
		}
	}
}

// A descriptor that belongs to another connection now is that one's alone,
// whether the first was released before, after, or was only closed.
func TestDescriptorsAreReused(t *testing.T) {
	for name, release := range map[string]func(old *Socket, conn *net.TCPConn, reopen func()){
		"before": func(old *Socket, _ *net.TCPConn, reopen func()) { old.Release(); reopen() },
		"after":  func(old *Socket, _ *net.TCPConn, reopen func()) { reopen(); old.Release() },
		"never":  func(_ *Socket, _ *net.TCPConn, reopen func()) { reopen() },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t)
			peer1, w1 := s.dial(), newSleeper()
			conn1 := s.accept()
			k1 := s.socket(conn1, w1)
			s.park(k1)
			var peer2 net.Conn
			w2 := newSleeper()
			var k2 *Socket
			release(k1, conn1, func() {
				var conn2 *net.TCPConn
				peer2, conn2 = s.reopen(conn1)
				k2 = s.socket(conn2, w2)
				s.park(k2)
			})
			io.WriteString(peer1, "x")
			for i := range 3 {
				s.write(peer2, "y")
				s.wake(w2)
				s.read(k2, 10, "y", nil)
				if i < 2 {
					s.park(k2)
				}
			}
			if late := []unix.EpollEvent{{Fd: k2.fd, Pad: int32(k1.number)}}; len(s.find(late, nil)) != 0 {
				t.Error("an event for the first connection goes to the second")
			}
			s.settle()
			if len(w1) != 0 || len(w2) != 0 {
				t.Errorf("woken too often: %d, %d", len(w1), len(w2))
			}
		})
	}
}

// echo reads as the transports do: on the goroutine that was woken, until there is nothing.
type echo struct {
	k     *Socket
	conn  *net.TCPConn
	ended *sync.WaitGroup
}

func (e *echo) Wake() { go e.run() }

func (e *echo) run() {
	p := make([]byte, 5)
	for {
		n, err := e.k.Read(p)
		e.conn.Write(p[:n])
		if err == syscall.EAGAIN {
			if err = e.k.Park(); err == nil {
				return
			}
		}
		if err != nil {
			e.k.Release()
			e.conn.Close()
			e.ended.Done()
			return
		}
	}
}

// Many connections begin, send and end at once; every byte is echoed.
func TestMany(t *testing.T) {
	s := newStand(t)
	const conns, rounds, lives = 50, 20, 4
	var ended, peers sync.WaitGroup
	ended.Add(conns * lives)
	for i := range conns {
		peers.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			for range lives {
				peer, err := net.Dial("tcp", s.Addr().String())
				if err != nil {
					t.Error(err)
					ended.Done()
					continue
				}
				peer.SetDeadline(time.Now().Add(20 * time.Second))
				p := make([]byte, 30)
				for range rounds {
					n := 1 + r.IntN(len(p))
					for j := range n {
						p[j] = byte(r.Uint32())
					}
					want := string(p[:n])
					peer.Write(p[:n/2])
					peer.Write(p[n/2 : n])
					if _, err := io.ReadFull(peer, p[:n]); err != nil || string(p[:n]) != want {
						t.Errorf("%q, %v, want %q", p[:n], err, want)
						break
					}
				}
				peer.Close()
			}
		})
	}
	for range conns * lives {
		e := &echo{conn: s.accept(), ended: &ended}
		e.k = s.socket(e.conn, e)
		go e.run()
	}
	peers.Wait()
	ended.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for fd, k := range s.sockets {
		if k != nil {
			t.Errorf("descriptor %d is still watched", fd)
		}
	}
}

// Park, Release and Close at the same time: nothing is left behind.
func TestParkWhileClosing(t *testing.T) {
	s := newStand(t)
	for range 100 {
		s.dial()
		conn := s.accept()
		k := s.socket(conn, newSleeper())
		var wg sync.WaitGroup
		wg.Go(func() { k.Park() })
		wg.Go(func() { k.Release() })
		wg.Go(func() { conn.Close() })
		wg.Wait()
		s.mu.Lock()
		if k.number != 0 && s.sockets[k.fd] == k {
			t.Error("a released socket is watched")
		}
		s.mu.Unlock()
	}
}
