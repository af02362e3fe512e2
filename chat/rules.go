package chat

// The rules of a room, as pure functions of who asks and what the room is.
// Each returns nil or the error the asker gets.

// CanJoin decides whether a user may come into the room. now is their present
// role, granted says that a token or the host's back end vouches for them.
func CanJoin(room *Room, now Role, granted bool) error {
	switch {
	case now.Present():
		return nil
	case now == RoleBanned:
		return E(Forbidden, "you are banned from this room")
	case room.Open || granted:
		return nil
	}
	return E(Forbidden, "this room is by invitation")
}

// CanRead decides whether a member may read the room.
func CanRead(role Role) error {
	if role.Present() {
		return nil
	}
	return E(NotMember, "you are not a member of this room")
}

// CanPost decides whether a member may write in the room.
func CanPost(room *Room, role Role) error {
	if err := CanRead(role); err != nil {
		return err
	}
	if room.ReadOnly && role < RoleModerator {
		return E(Forbidden, "only moderators may write in this room")
	}
	return nil
}

// CanEdit decides whether user may replace the text of m: only who wrote it.
func CanEdit(m *Message, user UserID, role Role) error {
	if err := CanRead(role); err != nil {
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

// CanDelete decides whether user may delete m: who wrote it, or a moderator.
func CanDelete(m *Message, user UserID, role Role) error {
	if err := CanRead(role); err != nil {
		return err
	}
	if m.User != user && role < RoleModerator {
		return E(Forbidden, "only the sender or a moderator may delete a message")
	}
	return nil
}

// CanSetRole decides whether somebody with role by may change a member from
// role from to role to. Moderators put members in and out and ban them; only
// owners make or unmake moderators and owners.
func CanSetRole(by, from, to Role) error {
	high := func(r Role) bool { return r == RoleModerator || r == RoleOwner }
	switch {
	case by == RoleOwner:
		return nil
	case by == RoleModerator && !high(from) && !high(to):
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
