package chat

// Room is a conversation. Everything in it is ordered by the room alone.
type Room struct {
	ID       RoomID
	Title    string // for display; may be empty
	Open     bool   // every authenticated user may join; otherwise members are added
	ReadOnly bool   // only moderators and owners may post
	LastSeq  Seq    // number of the newest message, 0 when there is none
	Rev      Rev    // number of the newest change
	InfoRev  Rev    // the last change of Title, Open or ReadOnly
	Members  int    // members now, banned ones not counted
	Created  int64  // Unix milliseconds
}

// Role is what a member may do. The numbers are stored: the list is append-only.
type Role uint8

const (
	RoleNone      Role = 0 // not a member
	RoleMember    Role = 1 // reads and writes
	RoleModerator Role = 2 // also deletes messages of other members, adds and removes members
	RoleOwner     Role = 3 // also changes roles and the room itself
	RoleBanned    Role = 4 // may not join until the role changes
)

var roleNames = [...]string{"none", "member", "moderator", "owner", "banned"}

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
func (r Role) Present() bool { return r == RoleMember || r == RoleModerator || r == RoleOwner }

// Member is a user's membership of a room. Its row stays after the user has left,
// with RoleNone, so that a delta contains the end of the membership.
type Member struct {
	Room  RoomID
	User  UserID
	Name  string // display name; empty means the user id
	Role  Role
	Rev   Rev   // the last change of this row
	Since int64 // Unix milliseconds of the last join
}
