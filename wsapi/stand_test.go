package wsapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomtide/roomtide/bus/membus"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/hub"
	"github.com/roomtide/roomtide/websocket"
	"github.com/roomtide/roomtide/wire"
)

// fake is a session that answers as little as the transport needs.
type fake struct {
	conn   *hub.Conn
	codec  Codec
	said   bool
	closed chan struct{}
}

func (s *fake) Authenticated() bool { return s.said }

func (s *fake) Close() { close(s.closed) }

func (s *fake) BadFrame(cmd *wire.Command, err error) {
	s.conn.Send(s.codec.Error(nil, cmd, chat.Public(err)))
}

func (s *fake) Handle(_ context.Context, cmd *wire.Command) {
	switch {
	case cmd.Type == wire.Hello && cmd.Token == "wrong":
		s.BadFrame(cmd, chat.E(chat.Unauthed, "wrong token"))
		return
	case cmd.Type == wire.Hello:
		s.said = true
	case cmd.Type == wire.Join:
		if err := s.conn.Subscribe(cmd.Room); err != nil {
			s.BadFrame(cmd, err)
			return
		}
		defer s.conn.Resume(cmd.Room, 0)
	case cmd.Type == wire.Message && cmd.Text == "panic":
		panic("a message body: " + cmd.Text)
	}
	s.conn.Send(s.codec.Ack(nil, cmd.ID, cmd.HasID, wire.DoneReply{Room: chat.RoomID(cmd.Text)}))
}

// stand is a handler on a real socket. The test advances its wheel.
type stand struct {
	*testing.T
	*Handler
	hub *hub.Hub
	url string
	tls *http.Client
	log *bytes.Buffer

	mu       sync.Mutex
	sessions []*fake
}

func newStand(t *testing.T, cfg Config, useTLS bool) *stand {
	b := membus.New()
	s := &stand{T: t, hub: hub.New(hub.Config{Bus: b, Workers: 1}), log: new(bytes.Buffer)}
	cfg.Hub = s.hub
	cfg.Log = slog.New(slog.NewTextHandler(s.log, nil))
	cfg.Open = func(conn *hub.Conn, codec Codec, _ *http.Request) Session {
		f := &fake{conn: conn, codec: codec, closed: make(chan struct{})}
		s.mu.Lock()
		s.sessions = append(s.sessions, f)
		s.mu.Unlock()
		return f
	}
	s.Handler = newHandler(cfg)
	srv := httptest.NewUnstartedServer(s.Handler)
	if useTLS {
		srv.StartTLS()
		s.tls = srv.Client()
	} else {
		srv.Start()
	}
	s.url = "ws" + strings.TrimPrefix(srv.URL, "http")
	t.Cleanup(func() {
		srv.Close()
		s.Handler.Close()
		s.hub.Close()
		b.Close()
		if n := s.cfg.Conns.InUse(); n != 0 {
			t.Errorf("%d places taken", n)
		}
	})
	return s
}

// session is that of the nth connection that sent hello.
func (s *stand) session(n int) *fake {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[n]
}

// await waits until the handler has come to a state. ok is called under its lock.
func (s *stand) await(ok func() bool) {
	for done := false; !done; runtime.Gosched() {
		s.Handler.mu.Lock()
		done = ok()
		s.Handler.mu.Unlock()
	}
}

type peerConn struct {
	*testing.T
	*websocket.Conn
}

func (s *stand) dial() *peerConn {
	s.Helper()
	return s.dialWith(websocket.Dialer{})
}

func (s *stand) dialWith(d websocket.Dialer) *peerConn {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), 20*time.Second)
	defer cancel()
	d.Protocols = []string{Protocol}
	if s.tls != nil {
		d.TLS = s.tls.Transport.(*http.Transport).TLSClientConfig
	}
	c, err := d.Dial(ctx, s.url, nil)
	if err != nil {
		s.Fatal(err)
	}
	c.NetConn().SetDeadline(time.Now().Add(time.Minute)) // for its whole life
	s.Cleanup(func() { c.Close() })
	return &peerConn{s.T, c}
}

func (p *peerConn) send(frame string) {
	p.Helper()
	if err := p.WriteMessage(websocket.Text, []byte(frame)); err != nil {
		p.Fatal(err)
	}
}

func (p *peerConn) want(frame string) {
	p.Helper()
	_, got, err := p.ReadMessage(1 << 20)
	if err != nil || string(got) != frame {
		p.Fatalf("%s, %v\nwant %s", got, err, frame)
	}
}

func (p *peerConn) hello() {
	p.Helper()
	p.send(`{"type":"hello","id":1,"user":"user1"}`)
	p.want(`{"type":"ack","id":1}`)
}

// wantBye reads on until the goodbye, the close frame with the same code, and
// the end of the connection.
func (p *peerConn) wantBye(g chat.Goodbye) {
	p.Helper()
	var last []byte
	for {
		_, got, err := p.ReadMessage(1 << 20)
		if err == nil {
			last = bytes.Clone(got)
			continue
		}
		var closed *websocket.CloseError
		if !errors.As(err, &closed) || closed.Code != g.Code || closed.Reason != g.Reason {
			p.Fatalf("ended with %v, want %d", err, g.Code)
		}
		break
	}
	if want := wire.AppendGoodbye(nil, g); !bytes.Equal(last, want) {
		p.Errorf("last words %s\nwant %s", last, want)
	}
	p.wantEnd()
}

// wantEnd expects that the server closes the connection, in good order.
func (p *peerConn) wantEnd() {
	p.Helper()
	if n, err := io.Copy(io.Discard, p.NetConn()); err != nil || n != 0 {
		p.Errorf("%d bytes after the close frame, %v", n, err)
	}
}

func forBoth(t *testing.T, f func(t *testing.T, useTLS bool)) {
	t.Run("tcp", func(t *testing.T) { f(t, false) })
	t.Run("tls", func(t *testing.T) { f(t, true) })
}
