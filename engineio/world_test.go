package engineio_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtide/roomtide/engineio"
	"github.com/roomtide/roomtide/internal/memlistener"
)

// The clock of the tests: that of the public test suites of the protocol.
const (
	pingInterval = 300 * time.Millisecond
	pingTimeout  = 200 * time.Millisecond
)

func options() engineio.Options {
	return engineio.Options{PingInterval: pingInterval, PingTimeout: pingTimeout}
}

// patience bounds every single wait over TCP, where the clock is that of a
// machine that may be busy with other things for seconds.
const patience = 20 * time.Second

// world is a server with an engine and everything that talks to it. It is
// either real, over TCP, or inside a bubble of testing/synctest, over pipes and
// with a clock of its own.
type world struct {
	*testing.T
	opts   engineio.Options
	engine *engineio.Server
	rec    *recorder
	addr   string
	bubble bool
	dial   func(ctx context.Context, network, addr string) (net.Conn, error)
	http   *http.Client
}

// both runs a test in a real world and in a bubble.
func both(t *testing.T, o engineio.Options, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Run("tcp", func(t *testing.T) {
		t.Parallel()
		overTCP(t, o, test)
	})
	t.Run("pipe", func(t *testing.T) { inBubble(t, o, test) })
}

func overTCP(t *testing.T, o engineio.Options, test func(t *testing.T, w *world)) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	run(&world{T: t, addr: ln.Addr().String(), dial: new(net.Dialer).DialContext}, ln, o, test)
}

func inBubble(t *testing.T, o engineio.Options, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ln := memlistener.New()
		run(&world{T: t, addr: "pipe", dial: ln.Dial, bubble: true}, ln, o, test)
	})
}

func run(w *world, ln net.Listener, o engineio.Options, test func(t *testing.T, w *world)) {
	w.rec = &recorder{events: make(chan string, 10_000)}
	w.opts = o
	w.engine = engineio.New(w.rec, o)
	srv := &http.Server{Handler: w.engine}
	served := make(chan error)
	go func() { served <- srv.Serve(ln) }()
	transport := &http.Transport{DialContext: w.dial, DisableCompression: true}
	w.http = &http.Client{Transport: transport}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := w.engine.Close(ctx); err != nil {
			w.Errorf("close: %v", err)
		}
		transport.CloseIdleConnections()
		srv.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			w.Errorf("serve: %v", err)
		}
		if w.bubble {
			<-time.After(time.Second) // net/http waits a moment before it closes some connections
		}
	}()
	test(w.T, w)
}

// recorder is the handler: it echoes every message unless set otherwise, and
// remembers what happened.
type recorder struct {
	events    chan string
	onOpen    func(s *engineio.Socket)
	onMessage func(s *engineio.Socket, m engineio.Message)
	onClose   func(s *engineio.Socket)
}

func (r *recorder) Open(s *engineio.Socket) {
	then := r.onOpen
	r.events <- "open"
	if then != nil {
		then(s)
	}
}

func (r *recorder) Message(s *engineio.Socket, m engineio.Message) {
	if r.onMessage != nil {
		r.onMessage(s, m)
		return
	}
	if err := s.Send(m); err != nil && err != engineio.ErrClosed {
		r.events <- "send: " + err.Error()
	}
}

func (r *recorder) Close(s *engineio.Socket, reason string) {
	then := r.onClose
	r.events <- "close: " + reason
	if then != nil {
		then(s)
	}
}

// expect waits for events, in this order.
func (w *world) expect(want ...string) {
	w.Helper()
	for _, e := range want {
		select {
		case got := <-w.rec.events:
			if got != e {
				w.Fatalf("event %q, want %q", got, e)
			}
		case <-time.After(patience):
			w.Fatalf("no event, want %q", e)
		}
	}
}

// quiet checks that nothing more has happened.
func (w *world) quiet() {
	w.Helper()
	select {
	case got := <-w.rec.events:
		w.Fatalf("unexpected event %q", got)
	default:
	}
}

// settle returns when the condition holds.
func (w *world) settle(holds func() bool) {
	w.Helper()
	if w.bubble {
		synctest.Wait()
		if !holds() {
			w.Fatal("the condition does not hold, and nothing moves")
		}
		return
	}
	for end := time.Now().Add(patience); !holds(); runtime.Gosched() {
		if time.Now().After(end) {
			w.Fatal("the condition does not come to hold")
		}
	}
}
