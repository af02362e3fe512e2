// Package identity finds out who is speaking: a user with a signed token of the
// host app, the host's back end with an API key, or a guest who gives a name.
//
// It decides nothing about rooms. What it promises is narrow and meant to be
// read in full: a token is believed only when a key from the configuration (or
// from the one configured JWKS URL) signed it with the algorithm that belongs
// to that key; nothing is fetched because of what an unverified token says;
// sizes are bounded before anything is parsed; secrets are compared in constant
// time, are kept only as hashes where they are kept at all, and are never in an
// error or a log line.
package identity

import (
	"slices"
	"time"

	"github.com/roomtide/roomtide/chat"
)

// Kind says how somebody proved who they are.
type Kind uint8

const (
	Guest  Kind = iota + 1 // gave a name; proved nothing
	Token                  // a token signed by the host app
	Server                 // an API key: the host's back end, above all roles
)

func (k Kind) String() string {
	switch k {
	case Guest:
		return "guest"
	case Token:
		return "token"
	case Server:
		return "server"
	}
	return "nobody"
}

// Scopes of API keys.
const (
	ScopeAll   = "*"
	ScopeSend  = "send"  // write as anyone: messages, reactions, read marks, typing
	ScopeRead  = "read"  // read every room
	ScopeRooms = "rooms" // create and change rooms, put members in and out
	ScopeUsers = "users" // end a user's connections
)

// KnownScope reports whether s is one of the scopes above.
func KnownScope(s string) bool {
	return slices.Contains([]string{ScopeAll, ScopeSend, ScopeRead, ScopeRooms, ScopeUsers}, s)
}

// AllRooms in a token's rooms grants every room.
const AllRooms chat.RoomID = "*"

// Identity is who is speaking. It is read-only once made and may be shared.
type Identity struct {
	User    chat.UserID // empty for Server: it speaks as whom the request names
	Name    string      // display name; empty: the user id
	Kind    Kind
	Expires time.Time            // the connection ends here; zero: never. Clock skew is included
	Rooms   map[chat.RoomID]bool // rooms the host vouches for; nil: none
	Scopes  []string             // Server only
}

// Allows reports whether an API key has the scope. Users have none: what they
// may do is the engine's to decide, room by room.
func (id *Identity) Allows(scope string) bool {
	return id.Kind == Server && (slices.Contains(id.Scopes, scope) || slices.Contains(id.Scopes, ScopeAll))
}

// Granted reports whether the host vouches for the user in the room, which opens
// rooms that are by invitation.
func (id *Identity) Granted(room chat.RoomID) bool {
	return id.Rooms[room] || id.Rooms[AllRooms]
}

// Expired reports whether the identity has run out.
func (id *Identity) Expired(now time.Time) bool {
	return !id.Expires.IsZero() && !now.Before(id.Expires)
}
