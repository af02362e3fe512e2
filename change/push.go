package change

import "github.com/roomtide/roomtide/chat"

// RegisterDevice registers a device of a user, or says again that it is there. The user's
// device that was seen the longest time ago goes where there would be more than
// chat.MaxDevices, and so does one with another id and the same address.
//
// The client's request fills in Device, Language and, checked by the provider, Provider and Address.
//
// Replies Changed. The commit has a ClaimAddress follow.
type RegisterDevice struct {
	User     chat.UserID
	Device   string
	Provider string
	Address  string
	At       int64 // when it was said (Unix milliseconds); what is older than the row changes nothing
	Language string
}

// Slot is the user's.
func (c *RegisterDevice) Slot() chat.Slot { return c.User.Slot() }

// Size implements Change.
func (c *RegisterDevice) Size() int { return 512 + len(c.Address) }

// Kind implements Change.
func (c *RegisterDevice) Kind() Kind { return KindRegisterDevice }

func (c *RegisterDevice) fields(f *coder) {
	text(f, 1, &c.User)
	text(f, 2, &c.Device)
	text(f, 3, &c.Provider)
	text(f, 4, &c.Address)
	number(f, 5, &c.At)
	text(f, 6, &c.Language)
}

// DropDevice deletes a device and its jobs. It was asked for by the user, or its service
// says that it is gone, or another user has its address now.
//
// The client's request fills in Device.
//
// Replies Changed.
type DropDevice struct {
	User   chat.UserID
	Device string
	Digest string // unless empty: only while the device has the address with this digest (chat.AddressDigest)
	Before int64  // unless 0: only if the device was last seen before (Unix milliseconds)
}

// Slot is the user's.
func (c *DropDevice) Slot() chat.Slot { return c.User.Slot() }

// Size implements Change.
func (c *DropDevice) Size() int { return 512 }

// Kind implements Change.
func (c *DropDevice) Kind() Kind { return KindDropDevice }

func (c *DropDevice) fields(f *coder) {
	text(f, 1, &c.User)
	text(f, 2, &c.Device)
	text(f, 3, &c.Digest)
	number(f, 4, &c.Before)
}

// ClaimAddress makes a device the owner of an address. If another has it, a DropDevice
// for that one follows the commit. An owner who has seen the address later stays.
//
// It is made from what a lane has committed, never from a request.
//
// Replies Changed.
type ClaimAddress struct {
	Digest string // chat.AddressDigest
	User   chat.UserID
	Device string
	At     int64 // when the user's client gave the address (Unix milliseconds)
	Gone   bool  // the device does not have it any more: it has no owner, if that was the device
}

// Slot is that of the digest.
func (c *ClaimAddress) Slot() chat.Slot { return chat.UserID(c.Digest).Slot() }

// Size implements Change.
func (c *ClaimAddress) Size() int { return 512 }

// Kind implements Change.
func (c *ClaimAddress) Kind() Kind { return KindClaimAddress }

func (c *ClaimAddress) fields(f *coder) {
	text(f, 1, &c.Digest)
	text(f, 2, &c.User)
	text(f, 3, &c.Device)
	number(f, 4, &c.At)
	flag(f, 5, &c.Gone)
}

// SetPush changes the user's settings for a room, or with Room "" for all. Nil fields
// stay as they are. QuietFrom and those below are for Room "" alone.
//
// The client's request fills in all fields but User.
//
// Replies Push, Changed. Errors: NotMember (the user is not in the room).
type SetPush struct {
	User        chat.UserID
	Room        chat.RoomID
	Level       *chat.PushLevel
	MuteUntil   *int64
	QuietFrom   *int
	QuietTo     *int
	TimeZone    *string
	HideContent *bool
}

// Slot is the user's.
func (c *SetPush) Slot() chat.Slot { return c.User.Slot() }

// Size implements Change.
func (c *SetPush) Size() int { return 512 }

// Kind implements Change.
func (c *SetPush) Kind() Kind { return KindSetPush }

func (c *SetPush) fields(f *coder) {
	text(f, 1, &c.User)
	text(f, 2, &c.Room)
	optional(f, 3, &c.Level, number[chat.PushLevel])
	optional(f, 4, &c.MuteUntil, number[int64])
	optional(f, 5, &c.QuietFrom, number[int])
	optional(f, 6, &c.QuietTo, number[int])
	optional(f, 7, &c.TimeZone, text[string])
	optional(f, 8, &c.HideContent, flag)
}

// Notify makes a job for each device of the user, or renews those that are there: of the
// message Seq of Room, or of a notice of the host's. There is none if the user has no
// device, has read the message or is not in the room, or if the settings say so; during
// quiet hours the jobs are due at their end. Jobs that wait keep their Due.
//
// It may come more than once and out of order: the jobs are about the newest message.
//
// Replies Changed. Errors: Busy (as many notices of the host as are kept of a user wait).
type Notify struct {
	User    chat.UserID
	Room    chat.RoomID // of the message; of a notice the room whose settings count, or ""
	Seq     chat.Seq    // 0 for a notice
	Mention bool        // the message mentions the user
	Edited  bool        // the message does so since an edit: it may have been told of without
	Notice  *chat.Notice
	Delay   int64 // milliseconds until the jobs are due
	Life    int64 // milliseconds until they expire, counted from when they are due
}

// Slot is the user's.
func (c *Notify) Slot() chat.Slot { return c.User.Slot() }

// Size implements Change.
func (c *Notify) Size() int {
	if c.Notice == nil {
		return 256
	}
	return 512 + len(c.Notice.Title) + len(c.Notice.Text) + len(c.Notice.Data)
}

// Kind implements Change.
func (c *Notify) Kind() Kind { return KindNotify }

func (c *Notify) fields(f *coder) {
	text(f, 1, &c.User)
	text(f, 2, &c.Room)
	number(f, 3, &c.Seq)
	flag(f, 4, &c.Mention)
	message(f, 5, &c.Notice, noticeFields)
	number(f, 6, &c.Delay)
	number(f, 7, &c.Life)
	flag(f, 8, &c.Edited)
}

func noticeFields(n *chat.Notice, f *coder) {
	text(f, 1, &n.Name)
	text(f, 2, &n.Title)
	text(f, 3, &n.Text)
	text(f, 4, &n.Data)
}

// PushOutcome is what came of a job.
type PushOutcome uint8

const (
	PushSent   PushOutcome = iota + 1 // the service has it: a silent job is done, another one says so until it expires
	PushLater                         // it is to be sent when Due
	PushFailed                        // it is a dead letter, which is kept until Due
	PushGone                          // it is deleted: read meanwhile, its device or room is gone, its time is over
)

// Pushed records what came of a job. It changes nothing if the job is of another version
// by now (Made), except that Sent makes it known that the device shows something.
//
// It is also how dead letters are retried (PushLater, with Expires) and dropped (PushGone).
//
// Replies Changed.
type Pushed struct {
	User    chat.UserID
	Topic   string
	Device  string
	Made    int64 // of the job that the outcome is of (store.PushJob)
	Outcome PushOutcome

	Due      int64  // of PushLater and PushFailed, Unix milliseconds
	Expires  int64  // of PushLater; 0: stays
	Attempts int    // of PushLater and PushFailed: so far
	Reason   string // of PushLater and PushFailed: of package push
}

// Slot is the user's.
func (c *Pushed) Slot() chat.Slot { return c.User.Slot() }

// Size implements Change.
func (c *Pushed) Size() int { return 512 }

// Kind implements Change.
func (c *Pushed) Kind() Kind { return KindPushed }

func (c *Pushed) fields(f *coder) {
	text(f, 1, &c.User)
	text(f, 2, &c.Topic)
	text(f, 3, &c.Device)
	number(f, 4, &c.Made)
	number(f, 5, &c.Outcome)
	number(f, 6, &c.Due)
	number(f, 7, &c.Expires)
	number(f, 8, &c.Attempts)
	text(f, 9, &c.Reason)
}
