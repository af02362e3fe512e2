package chat

// Limits bound what one client can request. The ack of hello has them; they are
// the same on every transport.
type Limits struct {
	IDBytes       int // a room or user id
	NameBytes     int // a display name or a room's title
	TopicBytes    int // a room's topic
	AvatarBytes   int // the address of a picture
	AboutBytes    int // opaque JSON that is kept about a user, a room or a member
	MessageRunes  int // characters of a message
	MessageBytes  int // bytes of a message
	DataBytes     int // opaque JSON that goes with a message
	KeyBytes      int // an idempotency key
	EmojiBytes    int // a reaction
	Emojis        int // different emoji under one message
	FrameBytes    int // one frame or request body from a client
	RoomsPerConn  int // rooms joined at once on one connection
	PageMessages  int // messages in one answer
	PageMembers   int // members or users in one answer
	InFlight      int // commands of one connection that wait for their commit
	ReadEventRoom int // EventRead is published in rooms with up to this many users online
}

// DefaultLimits are the limits unless configured.
func DefaultLimits() Limits {
	return Limits{
		IDBytes:       128,
		NameBytes:     256,
		TopicBytes:    1024,
		AvatarBytes:   512,
		AboutBytes:    4 << 10,
		MessageRunes:  4000,
		MessageBytes:  16 << 10,
		DataBytes:     16 << 10,
		KeyBytes:      128,
		EmojiBytes:    64,
		Emojis:        20,
		FrameBytes:    64 << 10,
		RoomsPerConn:  1000,
		PageMessages:  100,
		PageMembers:   1000,
		InFlight:      256,
		ReadEventRoom: 100,
	}
}

// DemoRoomsPerConn is RoomsPerConn where guests are accepted.
const DemoRoomsPerConn = 50
