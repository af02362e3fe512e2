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
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/roomtide/roomtide/websocket"
)

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
	return w.dialWith(websocket.Dialer{NetDial: w.dial}, url, header)
}

func (w *world) dialWith(d websocket.Dialer, url string, header http.Header) (*socket, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := d.Dial(ctx, "ws"+strings.TrimPrefix(url, "http"), header)
	if err != nil {
		return nil, err
	}
	return &socket{w, c}, nil
}

// ReadMessage waits for one message.
func (s *socket) ReadMessage(limit int) (websocket.Op, []byte, error) {
	if !s.bubble { // which ends when nothing moves
		s.NetConn().SetReadDeadline(time.Now().Add(patience))
	}
	return s.Conn.ReadMessage(limit)
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

// deflating is ws for a client that offers compression.
func (w *world) deflating(c *client) *socket {
	w.Helper()
	s, err := w.dialWith(websocket.Dialer{NetDial: w.dial, Deflate: true}, c.url("websocket"), nil)
	if err != nil {
		w.Fatal(err)
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
