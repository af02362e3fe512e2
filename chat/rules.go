package chat

// The rules of a room, as pure functions of the actor's role and the room. Each
// returns nil or the error for the client.

// CanJoin decides whether a user may join the room. now is the user's present
// role; granted says that a token or the back end of the application admits the
// user.
func CanJoin(room *Room, now Role, granted bool) error {
	switch {
	case now.Present():
		return nil
	case now == RoleBanned:
		return E(Forbidden, "you are banned from this room")
	case room.Open || granted:
		return nil
	}
	return NotInvited()
}

// NotInvited is the answer to a user who joins a room that is by invitation, and to
// one who joins a room that does not exist: both look the same.
func NotInvited() error {
	return E(Forbidden, "there is no such room, or it is by invitation")
}

// CanRead decides whether a member may read the room.
func CanRead(role Role) error {
	if role.Present() {
		return nil
	}
	return E(NotMember, "you are not a member of this room")
}

// CanWrite decides whether anything may be written in the room: an archived one is
// left as it is, and only the host's back end is above that.
func CanWrite(room *Room) error {
	if room.Archived {
		return E(Forbidden, "this room is archived")
	}
	return nil
}

// CanPost decides whether a member may post in the room.
func CanPost(room *Room, role Role) error {
	if err := CanRead(role); err != nil {
		return err
	}
	if err := CanWrite(room); err != nil {
		return err
	}
	if role == RoleMuted {
		return E(Forbidden, "you are muted in this room")
	}
	if room.ReadOnly && !role.Moderates() {
		return E(Forbidden, "only moderators may write in this room")
	}
	return nil
}

// CanEdit decides whether user may replace the text of m: the author alone, and as
// long as the author may post.
func CanEdit(room *Room, m *Message, user UserID, role Role) error {
	if err := CanPost(room, role); err != nil {
		return err
	}
	if m.Deleted {
		return E(NotFound, "this message was deleted")
	}
	if m.User != user {
		return E(Forbidden, "only the sender may edit a message")
	}
	return nil
}

// CanReact decides whether a member may put a reaction under a message, or take the
// member's own away. In a read-only room members take back and do not add.
func CanReact(room *Room, role Role, on bool) error {
	if !on {
		return CanRead(role)
	}
	return CanPost(room, role)
}

// CanDelete decides whether user may delete m: the author, or a moderator. An author
// may take back what the author may not edit any more.
func CanDelete(m *Message, user UserID, role Role) error {
	if err := CanRead(role); err != nil {
		return err
	}
	if m.User != user && !role.Moderates() {
		return E(Forbidden, "only the sender or a moderator may delete a message")
	}
	return nil
}

// CanSetRole decides whether an actor with role by may change a member from role
// from to role to. Moderators add, remove, mute and ban members; only owners appoint
// and dismiss moderators and owners.
func CanSetRole(by, from, to Role) error {
	switch {
	case by == RoleOwner:
		return nil
	case by == RoleModerator && !from.Moderates() && !to.Moderates():
		return nil
	}
	return E(Forbidden, "your role does not allow this")
}

// CanSetRoom decides whether a member may change the room itself.
func CanSetRoom(by Role) error {
	if by == RoleOwner {
		return nil
	}
	return E(Forbidden, "only an owner may change the room")
}
