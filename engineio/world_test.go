package engineio_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf16"

	"github.com/roomtide/roomtide/engineio"
	"github.com/roomtide/roomtide/websocket"
)

// The clock of the tests: that of the public test suites of the protocol.
const (
	pingInterval = 300 * time.Millisecond
	pingTimeout  = 200 * time.Millisecond
)

func options() engineio.Options {
	return engineio.Options{PingInterval: pingInterval, PingTimeout: pingTimeout}
}

// world is a server with an engine and everything that talks to it. It is
// either real, over TCP, or inside a bubble of testing/synctest, over pipes and
// with a clock of its own.
type world struct {
	*testing.T
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
		ln := newPipes()
		run(&world{T: t, addr: "pipe", dial: ln.dial, bubble: true}, ln, o, test)
	})
}

func run(w *world, ln net.Listener, o engineio.Options, test func(t *testing.T, w *world)) {
	w.rec = &recorder{events: make(chan string, 10_000)}
	w.engine = engineio.New(w.rec, o)
	srv := &http.Server{Handler: w.engine}
	served := make(chan error)
	go func() { served <- srv.Serve(ln) }()
	transport := &http.Transport{DialContext: w.dial, DisableCompression: true}
	w.http = &http.Client{Transport: transport}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
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

// pipes is a listener of connections in memory.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// recorder is the handler: it echoes every message unless told otherwise, and
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
		case <-time.After(10 * time.Second):
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

// client is one client of one protocol version.
type client struct {
	*world
	version int
	sid     string
	more    string // of the query
}

// answer is an HTTP answer, or why there is none.
type answer struct {
	status int
	body   string
	header http.Header
	err    error
}

func (a answer) String() string { return fmt.Sprintf("%d %q %v", a.status, a.body, a.err) }

func (c *client) url(transport string) string {
	u := fmt.Sprintf("http://%s/engine.io/?EIO=%d&transport=%s%s", c.addr, c.version, transport, c.more)
	if c.sid != "" {
		u += "&sid=" + c.sid
	}
	return u
}

func (w *world) do(req *http.Request) answer {
	resp, err := w.http.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, string(b), resp.Header, err}
}

func (w *world) request(method, url, body string, header ...string) answer {
	w.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return w.do(req)
}

func (c *client) get(header ...string) answer {
	c.Helper()
	return c.request("GET", c.url("polling"), "", header...)
}

func (c *client) post(body string, header ...string) answer {
	c.Helper()
	return c.request("POST", c.url("polling"), body, header...)
}

// poll begins a GET and returns when the server holds it, or has answered.
func (c *client) poll() <-chan answer {
	c.Helper()
	answers := make(chan answer, 1)
	go func() { answers <- c.get() }()
	c.settle(func() bool { return len(answers) > 0 || c.engine.Waiting(c.sid) })
	return answers
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
	for end := time.Now().Add(10 * time.Second); !holds(); runtime.Gosched() {
		if time.Now().After(end) {
			w.Fatal("the condition does not come to hold")
		}
	}
}

// hello is the data of an open packet.
type hello struct {
	SID          string   `json:"sid"`
	Upgrades     []string `json:"upgrades"`
	PingInterval int      `json:"pingInterval"`
	PingTimeout  int      `json:"pingTimeout"`
	MaxPayload   int      `json:"maxPayload"`
}

func (w *world) parseHello(packet string) hello {
	w.Helper()
	data, ok := strings.CutPrefix(packet, "0")
	d := json.NewDecoder(strings.NewReader(data))
	d.DisallowUnknownFields()
	var h hello
	if err := d.Decode(&h); !ok || err != nil {
		w.Fatalf("open packet %q: %v", packet, err)
	}
	return h
}

// open begins a polling session.
func (w *world) open(version int, more ...string) *client {
	w.Helper()
	c := &client{world: w, version: version, more: strings.Join(more, "")}
	a := c.get()
	packets := c.split(a.body)
	if a.status != 200 || len(packets) != 1 {
		w.Fatalf("handshake: %v", a)
	}
	c.sid = w.parseHello(packets[0]).SID
	w.expect("open")
	return c
}

// join makes a payload of packets, split takes one apart.
func (c *client) join(packets ...string) string {
	if c.version == 4 {
		return strings.Join(packets, "\x1e")
	}
	var b strings.Builder
	for _, p := range packets {
		fmt.Fprintf(&b, "%d:%s", len(utf16.Encode([]rune(p))), p)
	}
	return b.String()
}

func (c *client) split(payload string) (packets []string) {
	c.Helper()
	if c.version == 4 {
		return strings.Split(payload, "\x1e")
	}
	for payload != "" {
		if payload[0] <= 1 {
			return append(packets, c.splitRecords(payload)...)
		}
		var n int
		i := strings.IndexByte(payload, ':')
		if _, err := fmt.Sscanf(payload, "%d:", &n); err != nil || i < 0 {
			c.Fatalf("payload %q", payload)
		}
		units := utf16.Encode([]rune(payload[i+1:]))
		if n > len(units) {
			c.Fatalf("payload %q", payload)
		}
		p := string(utf16.Decode(units[:n]))
		packets = append(packets, p)
		payload = payload[i+1+len(p):]
	}
	return packets
}

func (c *client) splitRecords(payload string) (packets []string) {
	c.Helper()
	for payload != "" {
		n, i := 0, strings.IndexByte(payload, 255)
		if i < 2 {
			c.Fatalf("records %q", payload)
		}
		for _, d := range []byte(payload[1:i]) {
			n = n*10 + int(d)
		}
		packets = append(packets, payload[i+1:i+1+n])
		payload = payload[i+1+n:]
	}
	return packets
}

// socket is a WebSocket of a client.
type socket struct {
	*world
	*websocket.Conn
}

func (w *world) dialWS(url string, header http.Header) (*socket, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	d := websocket.Dialer{NetDial: w.dial}
	c, err := d.Dial(ctx, "ws"+strings.TrimPrefix(url, "http"), header)
	if err != nil {
		return nil, err
	}
	c.NetConn().SetReadDeadline(time.Now().Add(10 * time.Second))
	return &socket{w, c}, nil
}

// ws opens a WebSocket for the client's session, or a new session without one.
func (c *client) ws() *socket {
	c.Helper()
	s, err := c.dialWS(c.url("websocket"), nil)
	if err != nil {
		c.Fatal(err)
	}
	return s
}

func (s *socket) send(text string) {
	s.Helper()
	if err := s.WriteMessage(websocket.Text, []byte(text)); err != nil {
		s.Fatal(err)
	}
}

func (s *socket) sendBinary(b ...byte) {
	s.Helper()
	if err := s.WriteMessage(websocket.Binary, b); err != nil {
		s.Fatal(err)
	}
}

func (s *socket) receive(want string) {
	s.Helper()
	if op, p, err := s.ReadMessage(1 << 20); err != nil || op != websocket.Text || string(p) != want {
		s.Fatalf("received %d %.200q %v, want %.200q", op, p, err, want)
	}
}

func (s *socket) receiveBinary(want ...byte) {
	s.Helper()
	if op, p, err := s.ReadMessage(1 << 20); err != nil || op != websocket.Binary || !bytes.Equal(p, want) {
		s.Fatalf("received %d %v %v, want %v", op, p, err, want)
	}
}

func (s *socket) receiveHello() hello {
	s.Helper()
	_, p, err := s.ReadMessage(1 << 20)
	if err != nil {
		s.Fatal(err)
	}
	return s.parseHello(string(p))
}

// ended waits for the end, answers it and returns it.
func (s *socket) ended() error {
	s.Helper()
	defer s.Close()
	for {
		_, p, err := s.ReadMessage(1 << 20)
		var closed *websocket.CloseError
		switch {
		case errors.As(err, &closed):
			s.WriteClose(closed.Code, "")
			return err
		case err != nil:
			if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
				s.Fatal("the socket does not end")
			}
			return err
		case string(p) != "2" && p[0] != '0':
			s.Fatalf("received %q before the end", p)
		}
	}
}

// bye ends a WebSocket from the client's side.
func (s *socket) bye() {
	s.Helper()
	s.WriteClose(websocket.CodeNormal, "")
	for {
		if _, _, err := s.ReadMessage(1 << 20); err != nil {
			s.Close()
			return
		}
	}
}

// upgrade takes the session over to a WebSocket.
func (c *client) upgrade() *socket {
	c.Helper()
	s := c.ws()
	s.send("2probe")
	s.receive("3probe")
	s.send("5")
	return s
}

func (a answer) want(t *testing.T, status int, body string) {
	t.Helper()
	if a.err != nil || a.status != status || a.body != body {
		t.Fatalf("answer %.300v, want %d %q", a, status, body)
	}
}

// Bodies of refusals.
const (
	unknownTransport = `{"code":0,"message":"Transport unknown"}`
	unknownSession   = `{"code":1,"message":"Session ID unknown"}`
	badMethod        = `{"code":2,"message":"Bad handshake method"}`
	badRequest       = `{"code":3,"message":"Bad request"}`
	unsupported      = `{"code":5,"message":"Unsupported protocol version"}`
)
