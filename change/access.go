package change

import "github.com/roomtide/roomtide/chat"

// Access changes what is kept of a user for authentication (chat.Access): nothing
// of it is ever taken back.
//
// Replies Changed.
type Access struct {
	User      chat.UserID
	NotBefore int64 // refuses tokens that were made before, Unix seconds; 0: says nothing
	Claim     bool  // the id is one of the application's users
}

// Slot is that of the user.
func (c *Access) Slot() chat.Slot { return c.User.Slot() }

// Size implements Change.
func (c *Access) Size() int { return 64 + len(c.User) }

// Kind implements Change.
func (c *Access) Kind() Kind { return KindAccess }

func (c *Access) fields(f *coder) {
	text(f, 1, &c.User)
	number(f, 2, &c.NotBefore)
	flag(f, 3, &c.Claim)
}
