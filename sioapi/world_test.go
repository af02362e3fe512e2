package sioapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/hub"
	"github.com/roomtide/roomtide/identity"
	"github.com/roomtide/roomtide/internal/memlistener"
	"github.com/roomtide/roomtide/internal/testserver"
	"github.com/roomtide/roomtide/session"
	"github.com/roomtide/roomtide/sioapi"
	"github.com/roomtide/roomtide/websocket"
)

// patience bounds every single wait.
const patience = 20 * time.Second

var secret = []byte("0123456789abcdef0123456789abcdef")

// world is a node with nothing but Socket.IO, over TCP or, inside a bubble of
// testing/synctest with a clock of its own, over pipes.
type world struct {
	*testing.T
	deps    *session.Deps
	hub     *hub.Hub
	reg     *prometheus.Registry
	log     testserver.Log
	handler *sioapi.Handler
	url     string
	net     func(ctx context.Context, network, addr string) (net.Conn, error)
	web     *http.Client
}

// newWorld opens a node where guests are welcome.
func newWorld(t *testing.T, cfg sioapi.Config) *world {
	t.Helper()
	return newWorldFor(t, true, cfg)
}

// newWorldFor opens a node with guests or without.
func newWorldFor(t *testing.T, guests bool, cfg sioapi.Config) *world {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, guests, cfg, ln, new(net.Dialer).DialContext)
}

func inBubble(t *testing.T, guests bool, cfg sioapi.Config, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ln := memlistener.New()
		test(serve(t, guests, cfg, ln, ln.Dial))
	})
}

func serve(t *testing.T, guests bool, cfg sioapi.Config, ln net.Listener, dial func(context.Context, string, string) (net.Conn, error)) *world {
	t.Helper()
	w := &world{T: t, net: dial}
	w.deps, w.hub = testserver.Open(t, testserver.Config{Identity: identity.Config{Guests: guests, Secret: secret}})
	w.listen(cfg, ln)
	return w
}

// listen opens the transport, on a node that may have had another one before.
func (w *world) listen(cfg sioapi.Config, ln net.Listener) {
	w.Helper()
	w.url, w.reg = "http://"+ln.Addr().String(), prometheus.NewRegistry()
	cfg.Hub, cfg.Registerer = w.hub, w.reg
	cfg.Log = slog.New(slog.NewTextHandler(&w.log, nil))
	if cfg.Open == nil {
		cfg.Open = func(c *hub.Conn, codec sioapi.Codec, _ *http.Request) *session.Session {
			return session.New(w.deps, c, codec)
		}
	}
	h := sioapi.New(cfg)
	w.handler = h
	srv := &http.Server{Handler: h}
	served := make(chan error)
	go func() { served <- srv.Serve(ln) }()
	transport := &http.Transport{DialContext: w.net}
	w.web = &http.Client{Transport: transport}
	w.Cleanup(func() {
		h.Close()
		transport.CloseIdleConnections()
		srv.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			w.Errorf("serve: %v", err)
		}
		if n := w.metric("roomtide_sioapi_connections"); n != 0 {
			w.Errorf("%v connections are left", n)
		}
		if strings.Contains(w.log.String(), "did not end in time") {
			w.Error("connections did not end in time")
		}
	})
}

// write has the host's back end write a message.
func (w *world) write(room chat.RoomID, text string) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	if _, err := w.deps.Engine.Do(ctx, engine.Actor{User: "host", Server: true}, &change.Send{Room: room, Draft: chat.Draft{Text: text}}); err != nil {
		w.Fatal(err)
	}
}

// metric is the sum of a metric over all labels.
func (w *world) metric(name string) (sum float64) {
	w.Helper()
	families, err := w.reg.Gather()
	if err != nil {
		w.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// settle returns when the condition holds.
func (w *world) settle(what string, holds func() bool) {
	w.Helper()
	for end := time.Now().Add(patience); !holds(); runtime.Gosched() {
		if time.Now().After(end) {
			w.Fatalf("it does not come to: %s", what)
		}
	}
}

func token(t *testing.T, user chat.UserID, ttl time.Duration) string {
	t.Helper()
	s, err := identity.Mint(secret, user, "", nil, ttl)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// kind is a transport and a version of Engine.IO.
type kind struct {
	transport string
	version   int
}

func (k kind) String() string { return k.transport + " " + strconv.Itoa(k.version) }

func (k kind) path() string {
	return "/socket.io/?EIO=" + strconv.Itoa(k.version) + "&transport=" + k.transport
}

var kinds = []kind{{"websocket", 4}, {"websocket", 3}, {"polling", 4}, {"polling", 3}}

// peer speaks Socket.IO packets.
type peer struct {
	*world
	kind
	ws  *websocket.Conn
	url string // of a polling session
	in  []string
}

// dial begins a session and joins nothing. It fails with the status of the refusal.
func (w *world) dial(k kind, header http.Header) (p *peer, status int) {
	w.Helper()
	p = &peer{world: w, kind: k, url: w.url + k.path()}
	if k.transport == "polling" {
		body, status := p.http(http.MethodGet, "", header)
		if status != http.StatusOK {
			return nil, status
		}
		var open struct{ SID string }
		if err := json.Unmarshal([]byte(p.packets(body)[0][1:]), &open); err != nil {
			w.Fatalf("%q: %v", body, err)
		}
		p.url += "&sid=" + open.SID
		return p, status
	}
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	d := websocket.Dialer{NetDial: w.net}
	ws, err := d.Dial(ctx, "ws"+strings.TrimPrefix(p.url, "http"), header)
	if refused, is := err.(*websocket.HandshakeError); is {
		return nil, refused.Status
	} else if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { ws.Close() })
	p.ws = ws
	if open := p.read(); !strings.HasPrefix(open, `0{"sid":`) {
		w.Fatalf("open: %s", open)
	}
	return p, http.StatusSwitchingProtocols
}

// connect begins a session and joins the main namespace; auth is for version 4.
func (w *world) connect(k kind, auth string) *peer {
	w.Helper()
	p, status := w.dial(k, nil)
	if p == nil {
		w.Fatalf("%v: refused with %d", k, status)
	}
	if k.version == 4 {
		p.say("0" + auth)
	}
	if got := p.next(); got != "0" && !strings.HasPrefix(got, `0{"sid":`) {
		w.Fatalf("%v: %s", k, got)
	}
	return p
}

// say sends a Socket.IO packet.
func (p *peer) say(packet string) {
	p.Helper()
	if p.ws != nil {
		if err := p.ws.WriteMessage(websocket.Text, []byte("4"+packet)); err != nil {
			p.Fatal(err)
		}
		return
	}
	body := "4" + packet
	if p.version == 3 {
		body = strconv.Itoa(len(body)) + ":" + body
	}
	if answer, status := p.http(http.MethodPost, body, nil); status != http.StatusOK {
		p.Fatalf("posting: %d %s", status, answer)
	}
}

// read returns the next Engine.IO packet, "" when the session has ended.
func (p *peer) read() string {
	p.Helper()
	if p.ws != nil {
		p.ws.NetConn().SetReadDeadline(time.Now().Add(patience))
		_, b, err := p.ws.ReadMessage(1 << 20)
		if _, closed := err.(*websocket.CloseError); closed || err == io.EOF {
			return ""
		} else if err != nil {
			p.Fatalf("%v: %v", p.kind, err)
		}
		return string(b)
	}
	for len(p.in) == 0 {
		body, status := p.http(http.MethodGet, "", nil)
		if status != http.StatusOK {
			return ""
		}
		p.in = p.packets(body)
	}
	packet := p.in[0]
	p.in = p.in[1:]
	if packet == "1" {
		return ""
	}
	return packet
}

// next returns the next Socket.IO packet, "" when the session has ended.
func (p *peer) next() string {
	p.Helper()
	for {
		switch packet := p.read(); {
		case packet == "":
			return ""
		case packet[0] == '4':
			return packet[1:]
		}
	}
}

// want expects a packet that begins so.
func (p *peer) want(prefix string) (packet string) {
	p.Helper()
	if packet = p.next(); !strings.HasPrefix(packet, prefix) || prefix == "" && packet != "" {
		p.Fatalf("%v: %q came, want %q", p.kind, packet, prefix)
	}
	return packet
}

// packets takes a payload apart, which is ASCII.
func (p *peer) packets(body string) (list []string) {
	p.Helper()
	if p.version == 4 {
		return strings.Split(body, "\x1e")
	}
	for body != "" {
		length, rest, _ := strings.Cut(body, ":")
		n, err := strconv.Atoi(length)
		if err != nil || n > len(rest) {
			p.Fatalf("payload %q", body)
		}
		list, body = append(list, rest[:n]), rest[n:]
	}
	return list
}

func (p *peer) http(method, body string, header http.Header) (answer string, status int) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, p.url, strings.NewReader(body))
	if err != nil {
		p.Fatal(err)
	}
	if header != nil {
		req.Header = header
	}
	req.Header.Set("Content-Type", "text/plain")
	resp, err := p.web.Do(req)
	if err != nil {
		p.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		p.Fatal(err)
	}
	return string(b), resp.StatusCode
}
