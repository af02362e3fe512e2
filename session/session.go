// Package session is one client's conversation, whatever the transport: the
// identity of the speaker, the rooms joined on this connection, and the answer to
// each command.
//
// A transport decodes frames into wire commands and calls Handle, one after the
// other. Questions are answered before Handle returns, so a client that asks much
// waits for itself; durable changes are submitted to the engine and answered when
// they are committed, up to Limits.InFlight at a time.
package session

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/hub"
	"github.com/roomtide/roomtide/identity"
	"github.com/roomtide/roomtide/wire"
)

// Codec writes replies as whole frames of the connection's wire.
type Codec interface {
	// Ack appends the ack of the command with the id.
	Ack(dst []byte, id int64, hasID bool, r wire.Reply) []byte

	// Accepted appends that the message of the command is in the durable queue; nothing
	// if its client could not tell which one is meant.
	Accepted(dst []byte, id int64, hasID bool, key string) []byte

	// Error appends the refusal of the command, of which it reads ID, HasID, Type
	// and Room.
	Error(dst []byte, cmd *wire.Command, e *chat.Error) []byte
}

// Deps is what all sessions share.
type Deps struct {
	Engine   *engine.Engine
	Verifier *identity.Verifier
	Guests   bool // names without proof are accepted
	Limits   *chat.Limits
	Now      func() time.Time
	Log      *slog.Logger

	WebPushKey string // for which browsers subscribe; empty: there is no Web Push
}

// Session is one client's conversation. Handle, BadFrame, Recover and Close are
// called one after the other, in the order of the client's frames;
// which goroutine calls does not matter.
type Session struct {
	// Set once.
	deps  *Deps
	conn  *hub.Conn
	codec Codec

	// Made by Handle for the first change, and set once.
	inFlight chan struct{} // holds one token for each change that is not answered

	// Set once, before known: read by Handle, and by any goroutine that has seen known.
	known atomic.Bool
	guest bool // the name was not proven
	actor engine.Actor

	// Safe for any goroutine.
	refusals atomic.Pointer[rate.Limiter] // made for the first refusal

	// Set once, before Handle; nil when the speaker is known, and where Deps.Guests is
	// all there is to know.
	caller *Caller

	// Owned by the calls of Handle and its like.
	rooms   []chat.RoomID // joined on this connection, in order
	expiry  *time.Timer   // ends the connection with the token; nil if it does not
	refusal error         // why hello was refused last; nil: it was not
}

// Caller is where a client comes from.
type Caller struct {
	NoGuest error        // why the client has to bring a token; nil: it may come as a guest
	Network netip.Prefix // what guests do counts for their network too
}

// New starts the conversation of a connection.
func New(deps *Deps, conn *hub.Conn, codec Codec) *Session {
	return &Session{deps: deps, conn: conn, codec: codec}
}

// From says where the client comes from. It is called at once after New, or not at
// all.
func (s *Session) From(c *Caller) *Session {
	s.caller = c
	return s
}

// GuestsWelcome reports whether the client may speak without a token. It is of use
// before the client has identified itself.
func (s *Session) GuestsWelcome() bool { return s.noGuest() == nil }

// noGuest returns why the client has to bring a token, nil if it may come as a guest.
func (s *Session) noGuest() error {
	switch {
	case !s.deps.Guests:
		return errNoGuests
	case s.caller != nil:
		return s.caller.NoGuest
	}
	return nil
}

var errNoGuests = chat.E(chat.Unauthed, "say hello with a token first")

// Authenticated reports whether the speaker is known. Any goroutine may call it.
func (s *Session) Authenticated() bool { return s.known.Load() }

// Speaker is the identity of the client, once Authenticated. Any goroutine may call
// it.
func (s *Session) Speaker() (user chat.UserID, name string, guest bool) {
	return s.actor.User, s.actor.Name, s.guest
}

// BadFrame answers a frame that could not be decoded. cmd has what could be read.
func (s *Session) BadFrame(cmd *wire.Command, err error) { s.fail(cmd, err) }

// Close ends the conversation and every subscription of the connection. The user
// stays a member of the rooms.
func (s *Session) Close() {
	if s.expiry != nil {
		s.expiry.Stop()
	}
	for len(s.rooms) > 0 {
		s.unsubscribe(s.rooms[len(s.rooms)-1])
	}
}

// Handle carries out the command. The answer is sent on the connection, by the time
// Handle returns or, for a durable change, behind its commit. cmd is the caller's again
// then. Behind the connection's goodbye Handle does nothing: the user may not speak any
// more, and the answer would not arrive, so that a message without a key would be sent again.
func (s *Session) Handle(ctx context.Context, cmd *wire.Command) {
	if s.conn.Closing() {
		return
	}
	if cmd.Type != wire.Hello {
		if err := s.authenticate(ctx, cmd); err != nil {
			s.fail(cmd, err)
			return
		}
	}
	if large(cmd.Type) {
		if err := s.conn.AwaitSpace(ctx, spaceTime); err != nil {
			s.fail(cmd, err)
			return
		}
	}
	if s.conn.Closing() { // authenticate has ended it, or something else while this waited
		return
	}
	switch cmd.Type {
	case wire.Hello:
		s.hello(ctx, cmd)
	case wire.Message, wire.Edit, wire.Delete, wire.React, wire.SetRoom, wire.SetMember:
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

// spaceTime is how long a question waits for the client to read the answers before
// it. Nothing of the client is read meanwhile, so that it is well below the time in
// which a connection must give a sign of life.
const spaceTime = 10 * time.Second

// large reports whether the answer to a command may have a page in it.
func large(t wire.Type) bool {
	switch t {
	case wire.Join, wire.History, wire.Changes, wire.Members, wire.Online, wire.Rooms, wire.Unread, wire.Users, wire.Devices, wire.GetPush, wire.SetPush:
		return true
	}
	return false
}

// hello names the speaker. It comes first, once, or not at all for guests.
func (s *Session) hello(ctx context.Context, cmd *wire.Command) {
	r, err := s.Greet(ctx, cmd)
	if err != nil {
		s.refusal = err
		s.fail(cmd, err)
		return
	}
	s.answer(cmd, r, nil)
}

// Greet is what hello does, for transports that learn the speaker from the handshake
// and answer it themselves. Errors: Invalid, Unauthed, Busy, Unavailable.
func (s *Session) Greet(ctx context.Context, cmd *wire.Command) (*wire.HelloReply, error) {
	if s.known.Load() {
		return nil, chat.E(chat.Invalid, "hello was said already")
	}
	id, err := s.identify(ctx, cmd)
	if err != nil {
		return nil, err
	}
	if id.Kind == identity.Guest {
		if err := chat.CheckName("name", cmd.Name, s.deps.Limits.NameBytes); err != nil {
			return nil, err
		}
	}
	avatar := s.begin(ctx, id, cmd.Name)
	name := make([]byte, 12)
	rand.Read(name)
	return &wire.HelloReply{
		User: id.User, Name: s.actor.Name, Avatar: avatar, Guest: s.guest,
		Session: hex.EncodeToString(name), Time: s.deps.Now().UnixMilli(), Limits: s.deps.Limits,
		WebPushKey: s.deps.WebPushKey,
	}, nil
}

// authenticate lets a guest speak without hello, and keeps a connection to one
// speaker. Behind a hello that was refused there is no speaker: what a client has sent
// without waiting for the answer would be a guest's otherwise.
func (s *Session) authenticate(ctx context.Context, cmd *wire.Command) error {
	if s.known.Load() {
		if cmd.User != "" && cmd.User != s.actor.User {
			return chat.E(chat.Forbidden, "this connection speaks for another user")
		}
		return nil
	}
	if s.refusal != nil {
		return s.refusal
	}
	if err := s.noGuest(); err != nil {
		return err
	}
	id, err := s.identify(ctx, cmd)
	if err == nil {
		s.begin(ctx, id, "")
	}
	return err
}

// identify authenticates the client by its token, or as the guest it says it is. A
// guest without a name gets one.
func (s *Session) identify(ctx context.Context, cmd *wire.Command) (*identity.Identity, error) {
	if cmd.Token != "" || !s.deps.Guests {
		return s.deps.Verifier.Hello(ctx, cmd.Token, string(cmd.User))
	}
	if err := s.noGuest(); err != nil {
		return nil, err
	}
	guest := string(cmd.User)
	if guest == "" {
		guest = guestName()
	}
	return s.deps.Verifier.Hello(ctx, "", guest)
}

// begin sets the speaker of the connection, and returns the user's avatar. Only
// guests choose their own display name; that of other users is in their profile,
// which a token changes. A token that was ended, or a guest's name that was claimed,
// before the connection could be found by its user ends it now.
func (s *Session) begin(ctx context.Context, id *identity.Identity, name string) (avatar string) {
	s.guest = id.Kind == identity.Guest
	s.actor = engine.Actor{User: id.User, Name: id.Name, Guest: s.guest}
	if !s.guest {
		s.actor.Name, avatar = s.deps.Engine.Greet(ctx, id.User, engine.Claims{Name: id.ClaimedName, Avatar: id.ClaimedAvatar, Issued: id.Issued})
	}
	if len(id.Rooms) > 0 { // else there is no reason to keep id
		s.actor.Granted = id.Granted
	}
	if s.guest && name != "" {
		s.actor.Name = name
	}
	if s.guest && s.caller != nil {
		s.actor.Network = &s.caller.Network
	}
	s.caller = nil
	s.known.Store(true)
	if s.guest {
		s.conn.SetGuest()
	}
	s.conn.SetUser(id.User)
	if chat.KindOf(s.deps.Verifier.Still(ctx, id)) == chat.Unauthed {
		s.conn.Close(chat.ByeRevoked)
	}
	if !id.Expires.IsZero() {
		s.expiry = time.AfterFunc(id.Expires.Sub(s.deps.Now()), func() { s.conn.Close(chat.ByeExpired) })
	}
	return avatar
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

// scratch is the buffers that replies are encoded in, before they are copied in
// their exact size. That of a join may have 100 KB, and growing to that by doubling
// leaves twice as much.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

// maxScratch is the size up to which a buffer is kept.
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

// fail sends the public part of the error to the client, and logs the rest if it is
// Internal.
func (s *Session) fail(cmd *wire.Command, err error) {
	if chat.KindOf(err) == chat.Internal {
		s.deps.Log.Error("a command failed", "type", string(cmd.Type), "user", s.actor.User, "room", cmd.Room, "err", err)
	}
	s.conn.Send(s.codec.Error(nil, cmd, chat.Public(err)))
	s.refused(chat.KindOf(err))
}
