package chat

// Room is a conversation. Everything in it is ordered by the room alone.
type Room struct {
	ID       RoomID
	Title    string // for display; may be empty
	Topic    string // for display, longer than the title; may be empty
	Avatar   string // address of a picture (CheckAvatar); may be empty
	Data     string // opaque JSON of the application, empty if none
	Open     bool   // every authenticated user may join; otherwise members are added
	ReadOnly bool   // only moderators and owners may post, edit, react and be seen typing
	LastSeq  Seq    // number of the newest message, 0 when there is none
	Rev      Rev    // number of the newest change
	InfoRev  Rev    // the last change of what an event of the room itself tells: also Archived and Deleted
	Members  int    // members now, banned ones not counted
	Created  int64  // Unix milliseconds
	Active   int64  // time of the newest message, Created before the first; Unix milliseconds
	Archived bool   // only the host's back end writes; lists leave the room out unless asked

	// Deleted is set from the change on that deletes the room. To readers the room
	// does not exist then. Its rows are removed in steps; when none are left, Floor
	// is the Rev of that change. A room made later under the same id goes on from
	// there, so that no rev is used twice: revs up to Floor belong to a history that
	// is gone.
	Deleted bool
	Floor   Rev
}

// Removing reports whether the room is deleted and rows of it may be left.
func (r *Room) Removing() bool { return r.Deleted && r.Floor < r.Rev }

// Role is what a member may do. The numbers are stored: the list is append-only.
type Role uint8

const (
	RoleNone      Role = 0 // not a member
	RoleMember    Role = 1 // reads and writes
	RoleModerator Role = 2 // also deletes messages of other members, adds and removes members
	RoleOwner     Role = 3 // also changes roles and the room itself
	RoleBanned    Role = 4 // may not join until the role changes
	RoleMuted     Role = 5 // a member who reads and does not write
)

var roleNames = [...]string{"none", "member", "moderator", "owner", "banned", "muted"}

func (r Role) String() string {
	if int(r) < len(roleNames) {
		return roleNames[r]
	}
	return "none"
}

// ParseRole is the reverse of String; ok is false for an unknown word.
func ParseRole(s string) (r Role, ok bool) {
	for i, n := range roleNames {
		if n == s {
			return Role(i), true
		}
	}
	return RoleNone, false
}

// Present reports whether the role is one of a member in the room.
func (r Role) Present() bool { return r != RoleNone && r != RoleBanned && int(r) < len(roleNames) }

// Moderates reports whether the role stands above those of ordinary members.
func (r Role) Moderates() bool { return r == RoleModerator || r == RoleOwner }

// Ends reports whether the role can have an end (Member.Until).
func (r Role) Ends() bool { return r == RoleBanned || r == RoleMuted }

// Member is a user's membership of a room. Its row stays after the user has left,
// with RoleNone, so that a delta contains the end of the membership.
type Member struct {
	Room   RoomID
	User   UserID
	Name   string // display name; empty means the user id
	Avatar string // address of the user's picture; may be empty
	Data   string // opaque JSON of the application about this membership, empty if none
	Role   Role
	Until  int64 // Unix milliseconds at which a Role that Ends does, 0: never; with RoleNone, as Gone has it
	Rev    Rev   // the last change of this row
	Since  int64 // Unix milliseconds of the last join
}

// At is the member as the row is to be read at a time (Unix milliseconds): a ban
// that has ended leaves no member, and a mute that has ended an ordinary one. The
// end of a role is no change of the row and has no rev.
func (m Member) At(now int64) Member {
	if m.Until == 0 || now < m.Until {
		return m
	}
	m.Until = 0
	switch m.Role {
	case RoleBanned:
		m.Role = RoleNone
	case RoleMuted:
		m.Role = RoleMember
	}
	return m
}

// endless is Until of a user who was muted without an end, and has left: the last
// millisecond that RFC 3339 can write.
const endless = 253402300799999

// Gone is the row, as it is At a time, of a member who leaves. The end of a mute stays
// in Until, which is not shown of such rows: leaving and joining again does not lift it.
func (m Member) Gone() Member {
	if m.Role == RoleMuted && m.Until == 0 {
		m.Until = endless
	} else if m.Role != RoleMuted {
		m.Until = 0
	}
	m.Role = RoleNone
	return m
}

// Back is the row, as it is At a time, of a user who joins: with the role, or muted as
// the user has left.
func (m Member) Back(role Role) Member {
	if m.Role == RoleNone && m.Until != 0 {
		role = RoleMuted
	}
	if m.Until == endless {
		m.Until = 0
	}
	m.Role = role
	return m
}
