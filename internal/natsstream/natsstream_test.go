package natsstream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"github.com/roomtide/roomtide/internal/testnats"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// open returns a mesh, with a connection of its own.
func open(t *testing.T, servers *testnats.Servers, cfg Config) *Mesh {
	t.Helper()
	cfg.NATS, cfg.Prefix = servers.Connect(0), "rt.test"
	m, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	if err := cfg.NATS.Flush(); err != nil {
		t.Fatal(err)
	}
	return m
}

// pair returns both ends of a stream from one mesh to another.
func pair(t *testing.T, from, to *Mesh) (dialed, accepted net.Conn) {
	t.Helper()
	dialed, err := from.Dial(t.Context(), to.Tag())
	if err != nil {
		t.Fatal(err)
	}
	if accepted, err = to.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialed.Close(); accepted.Close() })
	return dialed, accepted
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("timed out waiting for %s", what)
		}
	}
}

// All bytes arrive, in order, both ways at once and more than windows hold; the ends of
// both halves come behind them.
func TestBytes(t *testing.T) {
	servers := testnats.Start(t, 1, nil)
	from, to := open(t, servers, Config{}), open(t, servers, Config{})
	dialed, accepted := pair(t, from, to)
	if dialed.RemoteAddr().String() != to.Tag() || accepted.RemoteAddr().String() != from.Tag() {
		t.Errorf("from %v to %v", accepted.RemoteAddr(), dialed.RemoteAddr())
	}
	var all sync.WaitGroup
	for seed, way := range [][2]net.Conn{{dialed, accepted}, {accepted, dialed}} {
		data := make([]byte, 1<<20+17)
		source := rand.NewChaCha8([32]byte{byte(seed)})
		source.Read(data)
		all.Go(func() {
			for rest := data; len(rest) > 0; {
				n := min(1+rand.IntN(100_000), len(rest))
				if m, err := way[0].Write(rest[:n]); m != n || err != nil {
					t.Errorf("wrote %d of %d: %v", m, n, err)
					return
				}
				rest = rest[n:]
			}
			if err := way[0].(*stream).CloseWrite(); err != nil {
				t.Error(err)
			}
		})
		all.Go(func() {
			if got, err := io.ReadAll(way[1]); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes arrived, %v", len(got), err)
			}
		})
	}
	all.Wait()
	dialed.Close()
	if _, err := dialed.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("reading what is closed: %v", err)
	}
	accepted.Close()
	for _, m := range []*Mesh{from, to} {
		until(t, "no stream", func() bool { return m.Len() == 0 && m.held.Load() == 0 })
	}
}

// A process that was closed, that is gone, or that never was is nowhere to be dialed.
func TestNobodyThere(t *testing.T) {
	servers := testnats.Start(t, 1, nil)
	from, to := open(t, servers, Config{}), open(t, servers, Config{})
	to.Close()
	if _, err := to.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v", err)
	}
	if err := to.cfg.NATS.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, tag := range []string{to.Tag(), from.Tag(), Tag(7), "", "*", ">", "00000000000000000", "000000000000000G", "+000000000000007", strings.ToUpper(Tag(0xabc))} {
		if c, err := from.Dial(t.Context(), tag); !errors.Is(err, errGone) {
			t.Errorf("%q: %v, %v", tag, c, err)
		}
	}
	if from.Len() != 0 {
		t.Errorf("%d streams", from.Len())
	}
}

// The streams of a process that is gone fail without an answer of it.
func TestProcessDies(t *testing.T) {
	servers := testnats.Start(t, 1, nil)
	from, to := open(t, servers, Config{}), open(t, servers, Config{})
	dialed, _ := pair(t, from, to)
	to.cfg.NATS.Close()
	if _, err := dialed.Read(make([]byte, 1)); !errors.Is(err, errGone) {
		t.Errorf("reading: %v", err)
	}
	if _, err := dialed.Write([]byte("x")); !errors.Is(err, errGone) {
		t.Errorf("writing: %v", err)
	}
}

// A message that is lost ends the streams between two processes, and no others: here one
// is made to be missing.
func TestLoss(t *testing.T) {
	servers := testnats.Start(t, 1, nil)
	from, to, other := open(t, servers, Config{}), open(t, servers, Config{}), open(t, servers, Config{})
	dialed, accepted := pair(t, from, to)
	apart, there := pair(t, other, to)
	p := dialed.(*stream).peer
	p.sending.Lock()
	p.sent++
	p.sending.Unlock()
	if _, err := dialed.Write([]byte("behind the hole")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{dialed, accepted} {
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, errLost) {
			t.Errorf("%v", err)
		}
	}
	if _, err := apart.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if n, err := there.Read(make([]byte, 9)); n != 1 || err != nil {
		t.Errorf("another stream: %d, %v", n, err)
	}
	dialed, accepted = pair(t, from, to)
	if _, err := dialed.Write([]byte("again")); err != nil {
		t.Fatal(err)
	}
	if n, err := accepted.Read(make([]byte, 9)); n != 5 || err != nil {
		t.Errorf("a new stream: %d, %v", n, err)
	}
}

// A connection to NATS that was made again may have lost anything.
func TestReconnected(t *testing.T) {
	servers := testnats.Start(t, 1, nil)
	from, to := open(t, servers, Config{}), open(t, servers, Config{})
	again := make(chan struct{}, 1)
	from.cfg.NATS.SetReconnectHandler(func(*nats.Conn) {
		from.Reconnected()
		again <- struct{}{}
	})
	dialed, accepted := pair(t, from, to)
	servers.Drop(0)
	select {
	case <-again:
	case <-time.After(patience):
		t.Fatal("the connection does not come back")
	}
	for _, c := range []net.Conn{dialed, accepted} {
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("the stream lives on")
		}
	}
}

// A reader that is slow holds up the writer of its stream alone, and deadlines end both.
func TestWindowAndDeadlines(t *testing.T) {
	servers := testnats.Start(t, 1, nil)
	from, to := open(t, servers, Config{}), open(t, servers, Config{})
	dialed, accepted := pair(t, from, to)
	if err := dialed.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	n, err := dialed.Write(make([]byte, window+1))
	if n != window || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("wrote %d, %v", n, err)
	}
	until(t, "all to arrive", func() bool { return to.held.Load() == window })
	if err := accepted.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := accepted.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("reading: %v", err)
	}
	if err := errors.Join(accepted.SetDeadline(time.Time{}), dialed.SetDeadline(time.Time{})); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		if n, err := dialed.Write(make([]byte, window)); n != window || err != nil {
			t.Errorf("wrote %d, %v", n, err)
		}
	})
	if n, err := io.ReadFull(accepted, make([]byte, 2*window)); err != nil {
		t.Errorf("read %d, %v", n, err)
	}
	all.Wait()
	if err := accepted.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := accepted.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("nothing comes: %v", err)
	}
}

// The end of one side wakes a writer that waits for it.
func TestCloseWakesTheWriter(t *testing.T) {
	servers := testnats.Start(t, 1, nil)
	dialed, accepted := pair(t, open(t, servers, Config{}), open(t, servers, Config{}))
	wrote := make(chan error)
	go func() {
		_, err := dialed.Write(make([]byte, 10*window))
		wrote <- err
	}()
	if _, err := io.ReadFull(accepted, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	accepted.Close()
	if err := <-wrote; !errors.Is(err, errReset) {
		t.Errorf("%v", err)
	}
}

// There is a bound of streams, and of what all of them hold.
func TestBounds(t *testing.T) {
	servers := testnats.Start(t, 1, nil)
	from, to := open(t, servers, Config{}), open(t, servers, Config{MaxStreams: 2, MaxBytes: window})
	first, _ := pair(t, from, to)
	second, there := pair(t, from, to)
	if _, err := from.Dial(t.Context(), to.Tag()); !errors.Is(err, errReset) {
		t.Errorf("a third stream: %v", err)
	}
	if _, err := first.Write(make([]byte, window)); err != nil {
		t.Fatal(err)
	}
	if _, err := second.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := there.Read(make([]byte, 1)); !errors.Is(err, errFull) {
		t.Errorf("what is too much: %v", err)
	}
	if _, err := second.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("its sender is told: %v", err)
	}
}

// A dial ends with its context, also if the other process hangs: here it has a
// subscription and does not answer.
func TestDialEnds(t *testing.T) {
	servers := testnats.Start(t, 1, nil)
	from := open(t, servers, Config{})
	mute := servers.Connect(0)
	if _, err := mute.SubscribeSync(from.subject(7) + ".*"); err != nil {
		t.Fatal(err)
	}
	if err := mute.Flush(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := from.Dial(ctx, Tag(7)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if _, err := from.Dial(t.Context(), Tag(7)); !errors.Is(err, errGone) {
		t.Errorf("without a deadline: %v", err)
	}
}

// A message that is no frame is dropped, and streams go on.
func TestGarbage(t *testing.T) {
	servers := testnats.Start(t, 1, nil)
	from, to := open(t, servers, Config{}), open(t, servers, Config{})
	dialed, accepted := pair(t, from, to)
	nc := servers.Connect(0)
	for i := range 64 {
		junk := make([]byte, i)
		for j := range junk {
			junk[j] = byte(rand.IntN(256))
		}
		for _, tag := range []string{Tag(uint64(i)), "x"} {
			if err := nc.Publish(to.subject(to.tag)+"."+tag, junk); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := dialed.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if n, err := accepted.Read(make([]byte, 9)); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

// net/http finds in streams what it finds in TCP: bodies both ways, connections that are
// used again, and a client that goes away ends the context of its request.
func TestHTTP(t *testing.T) {
	servers := testnats.Start(t, 1, nil)
	from, to := open(t, servers, Config{}), open(t, servers, Config{})
	left := make(chan struct{})
	srv := &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			<-r.Context().Done()
			close(left)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Write(body)
	})}
	serving := make(chan error)
	go func() { serving <- srv.Serve(to) }()
	var dials int
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		dials++
		return from.Dial(ctx, to.Tag())
	}}
	client := &http.Client{Transport: transport}
	body := strings.Repeat("body ", 50_000)
	for range 3 {
		resp, err := client.Post("http://there/", "text/plain", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(got) != body {
			t.Errorf("%d bytes come back, %v", len(got), err)
		}
	}
	if dials != 1 {
		t.Errorf("%d streams for three requests", dials)
	}
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://there/wait", nil)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := client.Do(req); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	select {
	case <-left:
	case <-time.After(patience):
		t.Error("the request goes on without its client")
	}
	transport.CloseIdleConnections()
	srv.Close()
	<-serving
}
