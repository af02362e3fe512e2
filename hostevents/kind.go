package hostevents

import (
	"slices"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// Kind names what happened. The names are part of the interface for hosts.
type Kind string

const (
	MessageCreated  Kind = "message.created"
	MessageEdited   Kind = "message.edited"
	MessageDeleted  Kind = "message.deleted"
	ReactionChanged Kind = "reaction.changed"
	MemberJoined    Kind = "member.joined"
	MemberLeft      Kind = "member.left"
	MemberChanged   Kind = "member.changed"
	RoomChanged     Kind = "room.changed"
	PushDead        Kind = "push.dead"
	UserOnline      Kind = "user.online"
	UserOffline     Kind = "user.offline"
)

// Kinds are all kinds.
func Kinds() []Kind {
	return []Kind{
		MessageCreated, MessageEdited, MessageDeleted, ReactionChanged,
		MemberJoined, MemberLeft, MemberChanged, RoomChanged,
		PushDead, UserOnline, UserOffline,
	}
}

// Known reports whether there is such a kind.
func (k Kind) Known() bool { return slices.Contains(Kinds(), k) }

// Asked reports whether events of the kind happen only because they are asked for by name:
// "everything" does not mean them.
func (k Kind) Asked() bool { return k == UserOnline || k == UserOffline }

// factKind is the kind of a fact about a user; "" for one that is not told.
func factKind(k store.FactKind) Kind {
	switch k {
	case store.FactOnline:
		return UserOnline
	case store.FactOffline:
		return UserOffline
	case store.FactPushDead:
		return PushDead
	}
	return ""
}

// kindOf is the kind of a numbered change of a room; "" for those of members, which
// the member rows of the entry tell.
func kindOf(k chat.EventKind) Kind {
	switch k {
	case chat.EventMessage:
		return MessageCreated
	case chat.EventEdited:
		return MessageEdited
	case chat.EventDeleted:
		return MessageDeleted
	case chat.EventReacted:
		return ReactionChanged
	case chat.EventRoom:
		return RoomChanged
	}
	return ""
}

// memberKind is what became of a membership; "" if nothing did.
func memberKind(s *store.RoomSpan, i int) Kind {
	is := s.Members[i].Role
	if len(s.Was) == 0 { // an old version, which does not tell joining from other changes
		if is.Present() {
			return MemberChanged
		}
		return MemberLeft
	}
	switch was := s.Was[i]; {
	case was == chat.RoleNone && is == chat.RoleNone:
		return ""
	case !was.Present() && is.Present():
		return MemberJoined
	case was.Present() && !is.Present():
		return MemberLeft
	}
	return MemberChanged
}
