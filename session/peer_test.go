package session_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/hub"
	"github.com/roomtide/roomtide/identity"
	"github.com/roomtide/roomtide/internal/testserver"
	"github.com/roomtide/roomtide/session"
	"github.com/roomtide/roomtide/wire"
)

var secret = []byte("0123456789abcdef0123456789abcdef")

// node is everything below the transports.
type node struct {
	t    *testing.T
	deps *session.Deps
	hub  *hub.Hub
}

func newNode(t *testing.T, guests bool) *node {
	t.Helper()
	return openNode(t, testserver.Config{Identity: identity.Config{Guests: guests}, HostRooms: !guests})
}

func openNode(t *testing.T, cfg testserver.Config) *node {
	t.Helper()
	if cfg.Limits == (chat.Limits{}) {
		cfg.Limits = chat.DefaultLimits()
		cfg.Limits.RoomsPerConn = 3
	}
	cfg.Identity.Secret, cfg.Shards, cfg.Presence = secret, 2, true
	deps, h := testserver.Open(t, cfg)
	return &node{t: t, deps: deps, hub: h}
}

// lines is the simplest wire there is: a JSON object a line.
type lines struct{}

func (lines) AppendEvent(dst []byte, ev *chat.Event) []byte {
	return append(wire.AppendEvent(dst, ev), '\n')
}
func (lines) AppendGap(dst []byte, room chat.RoomID, rev chat.Rev, reason chat.GapReason) []byte {
	return append(wire.AppendGap(dst, room, rev, reason), '\n')
}
func (lines) Ack(dst []byte, id int64, hasID bool, r wire.Reply) []byte {
	return append(wire.AppendAck(dst, id, hasID, r), '\n')
}
func (lines) Accepted(dst []byte, id int64, hasID bool, key string) []byte {
	return append(wire.AppendAccepted(dst, id, hasID, key), '\n')
}
func (lines) Error(dst []byte, cmd *wire.Command, e *chat.Error) []byte {
	return append(wire.AppendError(dst, cmd, e), '\n')
}

// peer is a client of the node.
type peer struct {
	t    *testing.T
	s    *session.Session
	conn *hub.Conn
	in   *bufio.Reader
	bye  chan chat.Goodbye
	left string // the room that it left last
}

func (n *node) connect() *peer {
	n.t.Helper()
	return n.connectOn(lines{})
}

// connectOn connects a client that is written to by a wire.
func (n *node) connectOn(w interface {
	hub.Encoding
	session.Codec
}) *peer {
	n.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		n.t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		n.t.Fatal(err)
	}
	server, err := ln.Accept()
	if err != nil {
		n.t.Fatal(err)
	}
	p := &peer{t: n.t, in: bufio.NewReader(client), bye: make(chan chat.Goodbye, 1)}
	link := hub.NewTCPLink(server.(*net.TCPConn), func(g chat.Goodbye) []byte {
		p.bye <- g
		return nil
	})
	p.conn = n.hub.Attach(link, w)
	p.s = session.New(n.deps, p.conn, w)
	n.t.Cleanup(func() {
		p.s.Close()
		p.conn.Detach()
		client.Close()
		server.Close()
	})
	return p
}

func (p *peer) say(frame string) {
	p.t.Helper()
	var cmd wire.Command
	if err := wire.Decode([]byte(frame), &cmd); err != nil {
		p.s.BadFrame(&cmd, err)
		return
	}
	p.s.Handle(p.t.Context(), &cmd)
}

// hear returns the next frame that is not about presence, nor the room's word
// of the peer's own leaving: that comes before the ack, behind it or not at all.
func (p *peer) hear() map[string]any {
	p.t.Helper()
	for {
		line, err := p.in.ReadBytes('\n')
		if err != nil {
			p.t.Fatal(err)
		}
		var m map[string]any
		if err := json.Unmarshal(line, &m); err != nil {
			p.t.Fatalf("%s: %v", line, err)
		}
		left := m["type"] == "member" && m["role"] == "none" && m["room"] == p.left
		if m["type"] != "presence" && !left {
			return m
		}
	}
}

// ask says a frame and wants the next thing heard to have these values.
func (p *peer) ask(frame string, want ...any) map[string]any {
	p.t.Helper()
	p.say(frame)
	return p.want(want...)
}

func (p *peer) want(want ...any) map[string]any {
	p.t.Helper()
	got := p.hear()
	for i := 0; i < len(want); i += 2 {
		if fmt.Sprint(got[want[i].(string)]) != fmt.Sprint(want[i+1]) {
			p.t.Fatalf("%v is %v, want %v in %v", want[i], got[want[i].(string)], want[i+1], got)
		}
	}
	return got
}

func (p *peer) leave(id int, room string) {
	p.t.Helper()
	p.left = room
	p.ask(fmt.Sprintf(`{"type":"leave","id":%d,"room":"%s"}`, id, room), "type", "ack", "room", room)
}
