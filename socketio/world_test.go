package socketio_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtide/roomtide/engineio"
	"github.com/roomtide/roomtide/internal/memlistener"
	"github.com/roomtide/roomtide/socketio"
	"github.com/roomtide/roomtide/websocket"
)

// world is a server and its clients, over TCP or, inside a bubble of
// testing/synctest with a clock of its own, over pipes.
type world struct {
	*testing.T
	io   *socketio.Server
	addr string
	dial func(ctx context.Context, network, addr string) (net.Conn, error)
	http *http.Client
	gone chan string // ids of sockets of the main namespace that have ended
}

// overTCP makes a world. setup sets handlers.
func overTCP(t *testing.T, o socketio.Options, setup func(io *socketio.Server)) *world {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return newWorld(t, ln, new(net.Dialer).DialContext, o, setup)
}

func inBubble(t *testing.T, o socketio.Options, setup func(io *socketio.Server), test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ln := memlistener.New()
		test(newWorld(t, ln, ln.Dial, o, setup))
	})
}

func newWorld(t *testing.T, ln net.Listener, dial func(context.Context, string, string) (net.Conn, error), o socketio.Options, setup func(*socketio.Server)) *world {
	w := &world{T: t, io: socketio.New(o), addr: ln.Addr().String(), dial: dial, gone: make(chan string, 1000)}
	setup(w.io)
	w.io.Of("/").OnDisconnect(func(s *socketio.Socket, _ string) { w.gone <- s.ID() })
	srv := &http.Server{Handler: w.io}
	served := make(chan error)
	go func() { served <- srv.Serve(ln) }()
	transport := &http.Transport{DialContext: dial, DisableCompression: true}
	w.http = &http.Client{Transport: transport}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := w.io.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
		transport.CloseIdleConnections()
		srv.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
	})
	return w
}

// waitGone waits until the socket with that id has ended.
func (w *world) waitGone(id string) {
	w.Helper()
	for {
		select {
		case gone := <-w.gone:
			if gone == id {
				return
			}
		case <-time.After(patience):
			w.Fatal("the socket stays")
		}
	}
}

// echo is the set-up of the public test suites.
func echo(io *socketio.Server) {
	auth := func(s *socketio.Socket) { s.Emit("auth", s.Auth()) }
	io.Of("/custom").OnConnect(auth)
	n := io.Of("/")
	n.OnConnect(auth)
	n.On("message", func(s *socketio.Socket, e *socketio.Event) {
		e.Name = "message-back"
		s.Send(e.Message)
	})
	n.On("message-with-ack", func(s *socketio.Socket, e *socketio.Event) { e.Reply(e.Message) })
}

const patience = 20 * time.Second

// peer is a client of the test, on a WebSocket.
type peer struct {
	*testing.T
	ws  *websocket.Conn
	eio int
	sid string // of the engine
}

// connect opens a connection and reads the handshake of the engine.
func (w *world) connect(eio string) *peer {
	w.Helper()
	d := websocket.Dialer{NetDial: w.dial}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ws, err := d.Dial(ctx, "ws://"+w.addr+"/socket.io/?transport=websocket&EIO="+eio, nil)
	if err != nil {
		w.Fatal(err)
	}
	p := &peer{T: w.T, ws: ws, eio: int(eio[0] - '0')}
	w.Cleanup(func() { ws.Close() })
	var open struct{ SID string }
	text := p.read()
	if err := json.Unmarshal([]byte(strings.TrimPrefix(text, "0")), &open); err != nil || open.SID == "" {
		w.Fatalf("handshake %q: %v", text, err)
	}
	p.sid = open.SID
	return p
}

// join is connect and a CONNECT to a namespace ("40" is the main one), with the
// reply read.
func (w *world) join(connect string) (p *peer, reply welcome) {
	w.Helper()
	p = w.connect("4")
	p.send(connect)
	return p, p.welcomed(connect)
}

// echoing is a peer of echo in the main namespace.
func (w *world) echoing() *peer {
	w.Helper()
	p, _ := w.join("40")
	p.want(`42["auth",{}]`)
	return p
}

type welcome struct{ SID, PID string }

// welcomed reads the reply to a CONNECT.
func (p *peer) welcomed(connect string) (reply welcome) {
	p.Helper()
	prefix, _, _ := strings.Cut(connect, "{")
	text := p.read()
	rest, ok := strings.CutPrefix(text, prefix)
	if err := json.Unmarshal([]byte(strings.TrimPrefix(rest, ",")), &reply); !ok || err != nil {
		p.Fatalf("CONNECT was answered with %q", text)
	}
	return reply
}

func (p *peer) send(texts ...string) {
	p.Helper()
	for _, text := range texts {
		if err := p.ws.WriteMessage(websocket.Text, []byte(text)); err != nil {
			p.Fatalf("send %.60q: %v", text, err)
		}
	}
}

func (p *peer) sendBinary(data ...byte) {
	p.Helper()
	if p.eio == 3 {
		data = append([]byte{4}, data...)
	}
	if err := p.ws.WriteMessage(websocket.Binary, data); err != nil {
		p.Fatal(err)
	}
}

// next reads a message. Pings are answered; binary data has a b in front.
func (p *peer) next() (string, error) {
	for {
		p.ws.NetConn().SetReadDeadline(time.Now().Add(patience))
		op, data, err := p.ws.ReadMessage(10 << 20)
		switch {
		case err != nil:
			return "", err
		case op == websocket.Binary && p.eio == 3:
			return "b" + string(data[1:]), nil
		case op == websocket.Binary:
			return "b" + string(data), nil
		case string(data) == "2":
			p.send("3")
		default:
			return string(data), nil
		}
	}
}

func (p *peer) read() string {
	p.Helper()
	text, err := p.next()
	if err != nil {
		p.Fatalf("read: %v", err)
	}
	return text
}

func (p *peer) want(texts ...string) {
	p.Helper()
	for _, want := range texts {
		if got := p.read(); got != want {
			p.Fatalf("got  %.200q\nwant %.200q", got, want)
		}
	}
}

// wantClosed reads until the server has closed the connection.
func (p *peer) wantClosed() {
	p.Helper()
	for {
		text, err := p.next()
		var timeout net.Error
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			p.Fatal("the connection stays open")
		case err != nil:
			p.ws.Close()
			return
		case strings.HasPrefix(text, "4"), strings.HasPrefix(text, "b"):
			p.Fatalf("got %q instead of the end", text)
		}
	}
}

// cut ends the connection without a word.
func (p *peer) cut() { p.ws.Close() }

// do is one HTTP request of a polling client.
func (w *world) do(method, query, body string) (int, string) {
	w.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+w.addr+"/socket.io/?"+query, strings.NewReader(body))
	if err != nil {
		w.Error(err)
		return 0, ""
	}
	resp, err := w.http.Do(req)
	if err != nil {
		w.Error(err)
		return 0, ""
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.Error(err)
	}
	return resp.StatusCode, string(b)
}

// recorder notes what happens, for tests to wait for.
type recorder struct {
	*testing.T
	events chan string
}

func record(t *testing.T) *recorder { return &recorder{t, make(chan string, 1000)} }

func (r *recorder) note(s string) { r.events <- s }

func (r *recorder) want(texts ...string) {
	r.Helper()
	for _, want := range texts {
		select {
		case got := <-r.events:
			if got != want {
				r.Fatalf("happened %q, want %q", got, want)
			}
		case <-time.After(patience):
			r.Fatalf("%q did not happen", want)
		}
	}
}

// disconnects notes the reasons in a namespace.
func (r *recorder) disconnects(n *socketio.Namespace) {
	n.OnDisconnect(func(s *socketio.Socket, reason string) { r.note(reason) })
}

// fast is the clock of the public test suites.
func fast() socketio.Options {
	return socketio.Options{
		Engine:         engineio.Options{PingInterval: 300 * time.Millisecond, PingTimeout: 200 * time.Millisecond},
		ConnectTimeout: time.Second,
	}
}

// plain are ordinary options.
func plain() socketio.Options { return socketio.Options{} }
