// Package session is one client's conversation, whatever the transport: who
// speaks, which rooms they have joined here, and what each command is answered.
//
// A transport decodes frames into wire commands and calls Handle, one after the
// other. Questions are answered before Handle returns, so a client
// that asks much waits for itself; changes are handed to the engine and
// answered when they are committed, up to Limits.InFlight at a time.
package session

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/hub"
	"github.com/roomtide/roomtide/identity"
	"github.com/roomtide/roomtide/wire"
)

// Codec writes replies as whole frames of the connection's wire.
type Codec interface {
	Ack(dst []byte, id int64, hasID bool, r wire.Reply) []byte
	Error(dst []byte, id int64, hasID bool, e *chat.Error) []byte
}

// Presence is told who sits where (presence.Tracker).
type Presence interface {
	Enter(room chat.RoomID, user chat.UserID)
	Leave(room chat.RoomID, user chat.UserID)
}

// Deps is what all sessions share.
type Deps struct {
	Engine   *engine.Engine
	Verifier *identity.Verifier
	Presence Presence
	Guests   bool // names without proof are accepted
	Limits   *chat.Limits
	Now      func() time.Time
	Log      *slog.Logger
}

// Session is one client's conversation. Handle, BadFrame, Recover and Close are
// called one after the other, in the order of the client's frames;
// which goroutine calls does not matter.
type Session struct {
	// Set once.
	deps  *Deps
	conn  *hub.Conn
	codec Codec
	slots chan struct{} // holds one token for each change on its way; made for the first

	// Set once, and before known; read by the owner, and by others who saw known.
	known atomic.Bool
	guest bool // without proof
	actor engine.Actor

	// Owned by whoever calls Handle.
	rooms  []chat.RoomID // joined on this connection, in order
	expiry *time.Timer   // ends the connection with the token; nil if it does not
}

// New starts the conversation of a connection.
func New(deps *Deps, conn *hub.Conn, codec Codec) *Session {
	return &Session{deps: deps, conn: conn, codec: codec}
}

// Authenticated reports whether the client has said who they are. Any goroutine
// may ask.
func (s *Session) Authenticated() bool { return s.known.Load() }

// Speaker is who the client is, once Authenticated. Any goroutine may ask.
func (s *Session) Speaker() (user chat.UserID, name string, guest bool) {
	return s.actor.User, s.actor.Name, s.guest
}

// BadFrame answers a frame that could not be decoded.
func (s *Session) BadFrame(id int64, hasID bool, err error) {
	s.fail(&wire.Command{ID: id, HasID: hasID}, err)
}

// Close ends the conversation: the connection leaves every room, but the user
// stays a member of all of them.
func (s *Session) Close() {
	if s.expiry != nil {
		s.expiry.Stop()
	}
	for len(s.rooms) > 0 {
		s.unsubscribe(s.rooms[len(s.rooms)-1])
	}
}

// Handle does what the command asks and sees to its answer.
func (s *Session) Handle(ctx context.Context, cmd *wire.Command) {
	if cmd.Type != wire.Hello {
		if err := s.authenticate(ctx, cmd); err != nil {
			s.fail(cmd, err)
			return
		}
	}
	switch cmd.Type {
	case wire.Hello:
		s.hello(ctx, cmd)
	case wire.Message, wire.Edit, wire.Delete, wire.React:
		s.change(ctx, cmd)
	case wire.Join:
		s.join(ctx, cmd)
	case wire.Leave:
		s.leave(ctx, cmd)
	default:
		r, err := s.ask(ctx, cmd)
		s.answer(cmd, r, err)
	}
}

// hello says who the client is. It comes first, once, or not at all for guests.
func (s *Session) hello(ctx context.Context, cmd *wire.Command) {
	r, err := s.Greet(ctx, cmd)
	if err != nil {
		s.fail(cmd, err)
		return
	}
	s.answer(cmd, r, nil)
}

// Greet is what hello does, for transports that are told with the handshake who
// is speaking and answer it themselves.
func (s *Session) Greet(ctx context.Context, cmd *wire.Command) (*wire.HelloReply, error) {
	if s.known.Load() {
		return nil, chat.E(chat.Invalid, "hello was said already")
	}
	guest := string(cmd.User)
	if guest == "" && cmd.Token == "" && s.deps.Guests {
		guest = guestName()
	}
	who, err := s.deps.Verifier.Hello(ctx, cmd.Token, guest)
	if err != nil {
		return nil, err
	}
	s.begin(who, cmd.Name)
	id := make([]byte, 12)
	rand.Read(id)
	return &wire.HelloReply{
		User: who.User, Name: s.actor.Name, Guest: who.Kind == identity.Guest,
		Session: hex.EncodeToString(id), Time: s.deps.Now().UnixMilli(), Limits: s.deps.Limits,
	}, nil
}

// authenticate lets a guest speak without hello, and keeps everybody to one
// name a connection.
func (s *Session) authenticate(ctx context.Context, cmd *wire.Command) error {
	if s.known.Load() {
		if cmd.User != "" && cmd.User != s.actor.User {
			return chat.E(chat.Forbidden, "this connection speaks for another user")
		}
		return nil
	}
	if !s.deps.Guests {
		return chat.E(chat.Unauthed, "say hello with a token first")
	}
	guest := string(cmd.User)
	if guest == "" {
		guest = guestName()
	}
	who, err := s.deps.Verifier.Hello(ctx, cmd.Token, guest)
	if err == nil {
		s.begin(who, "")
	}
	return err
}

// begin makes who the speaker of the connection. Only guests choose their own
// display name; the host's token says it for others.
func (s *Session) begin(who *identity.Identity, name string) {
	s.guest = who.Kind == identity.Guest
	s.actor = engine.Actor{User: who.User, Name: who.Name}
	if len(who.Rooms) > 0 { // else there is no reason to keep who
		s.actor.Granted = who.Granted
	}
	if s.guest && name != "" && len(name) <= s.deps.Limits.NameBytes {
		s.actor.Name = name
	}
	s.known.Store(true)
	s.conn.SetUser(who.User)
	if !who.Expires.IsZero() {
		s.expiry = time.AfterFunc(who.Expires.Sub(s.deps.Now()), func() { s.conn.Close(chat.ByeExpired) })
	}
}

func guestName() string {
	b := make([]byte, 4)
	rand.Read(b)
	return "guest-" + hex.EncodeToString(b)
}

// answer sends a reply, or the error.
func (s *Session) answer(cmd *wire.Command, r wire.Reply, err error) {
	switch {
	case err != nil:
		s.fail(cmd, err)
	case cmd.HasID:
		s.conn.Send(s.ack(cmd.ID, r))
	}
}

// scratch is where replies grow, before they are copied in their exact size. A
// join's may have 100 KB, and growing to that by doubling leaves twice as much.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

// maxScratch is how large a buffer is kept.
const maxScratch = 256 << 10

// ack frames a reply.
func (s *Session) ack(id int64, r wire.Reply) []byte {
	b := scratch.Get().(*[]byte)
	*b = s.codec.Ack((*b)[:0], id, true, r)
	frame := bytes.Clone(*b)
	if cap(*b) <= maxScratch {
		scratch.Put(b)
	}
	return frame
}

// fail tells the client what it may know of the error, and the log the rest.
func (s *Session) fail(cmd *wire.Command, err error) {
	if chat.KindOf(err) == chat.Internal {
		s.deps.Log.Error("a command failed", "type", string(cmd.Type), "user", s.actor.User, "room", cmd.Room, "err", err)
	}
	s.conn.Send(s.codec.Error(nil, cmd.ID, cmd.HasID, chat.Public(err)))
}
