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
	UserOnline      Kind = "user.online"
	UserOffline     Kind = "user.offline"
)

// Kinds are all kinds. Those of users' presence are ephemeral: no entry of the outbox has
// them.
func Kinds() []Kind {
	return []Kind{
		MessageCreated, MessageEdited, MessageDeleted, ReactionChanged,
		MemberJoined, MemberLeft, MemberChanged, RoomChanged, UserOnline, UserOffline,
	}
}

// Known reports whether there is such a kind.
func (k Kind) Known() bool { return slices.Contains(Kinds(), k) }

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
