// Package identity authenticates: a user by a signed token of the host application,
// the application's back end by an API key, a guest by a name without proof.
//
// It decides nothing about rooms. Its promises: a token is accepted only if a key
// from the configuration (or from the one configured JWKS URL) signed it with the
// algorithm that belongs to that key; nothing is fetched because of the contents of
// an unverified token; sizes are bounded before anything is parsed; secrets are
// compared in constant time, are kept only as hashes where they are kept at all, and
// are never in an error or a log line.
package identity

import (
	"slices"
	"time"

	"github.com/roomtide/roomtide/chat"
)

// Kind says how an identity was proved.
type Kind uint8

const (
	Guest  Kind = iota + 1 // a name without proof
	Token                  // a token signed by the host app
	Server                 // an API key: the application's back end, above all roles
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
	return "unknown"
}

// Scopes of API keys.
const (
	ScopeAll   = "*"
	ScopeSend  = "send"  // write as any user: messages, reactions, read marks, typing
	ScopeRead  = "read"  // read every room
	ScopeRooms = "rooms" // create and change rooms, add and remove members
	ScopeUsers = "users" // say what users are called, end a user's connections

	ScopeAdmin   = "admin"   // move data between databases
	ScopeAdopt   = "adopt"   // move another chat in: import, follow what is committed, say which is in force
	ScopeMetrics = "metrics" // read the node's metrics, and nothing else
)

// KnownScope reports whether s is one of the scopes above.
func KnownScope(s string) bool {
	return slices.Contains([]string{ScopeAll, ScopeSend, ScopeRead, ScopeRooms, ScopeUsers, ScopeAdmin, ScopeAdopt, ScopeMetrics}, s)
}

// AllRooms in a token's rooms grants every room.
const AllRooms chat.RoomID = "*"

// Identity is the result of an authentication. It is read-only and may be shared.
type Identity struct {
	User    chat.UserID // empty for Server: the request names the user
	Name    string      // display name; empty: the user id
	Kind    Kind
	Expires time.Time            // the connection ends here; zero: never. Clock skew is included
	Rooms   map[chat.RoomID]bool // rooms that the token grants; nil: none
	Scopes  []string             // Server only

	// What the host says of the user with a token, nil: nothing.
	ClaimedName   *string
	ClaimedAvatar *string
	Issued        time.Time // of the token; zero if it does not say

	key string // Server: id of the API key
}

// Allows reports whether an API key has the scope. Users have none: the engine
// decides room by room what they may do.
func (id *Identity) Allows(scope string) bool {
	return id.Kind == Server && (slices.Contains(id.Scopes, scope) || slices.Contains(id.Scopes, ScopeAll))
}

// Granted reports whether the token grants the room, which admits the user to a room
// that is by invitation.
func (id *Identity) Granted(room chat.RoomID) bool {
	return id.Rooms[room] || id.Rooms[AllRooms]
}

// Expired reports whether the identity has run out.
func (id *Identity) Expired(now time.Time) bool {
	return !id.Expires.IsZero() && !now.Before(id.Expires)
}
