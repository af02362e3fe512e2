package hub

import (
	"net"
	"time"

	"github.com/roomtide/roomtide/chat"
)

// maxEncodings bounds the encodings in use on one hub.
const maxEncodings = 8

// Encoding turns events into bytes ready for one kind of connection. Its values
// are comparable: equal ones are the same encoding, of which a hub has place for
// eight. The methods are pure: they may be called from any goroutine, AppendGap
// also while a room is locked, and must not call the hub.
type Encoding interface {
	// AppendEvent appends one whole frame, or nothing if the encoding does not
	// know the event's kind. It is called once for an event, however many
	// connections get it.
	AppendEvent(dst []byte, ev *chat.Event) []byte

	// AppendGap appends a frame that says: something after rev was missed, for
	// this reason; join the room again with the rev that the client has.
	AppendGap(dst []byte, room chat.RoomID, rev chat.Rev, reason chat.GapReason) []byte
}

// Link is the writing half of a transport. TryWrite and WaitWritable are never
// called at the same time; Close may be called at any time.
type Link interface {
	// TryWrite writes as much of bufs as the peer accepts now and never waits.
	// n less than the total with a nil err means that the peer accepts no more
	// now. It neither keeps nor changes bufs or the bytes in them.
	TryWrite(bufs net.Buffers) (n int, err error)

	// WaitWritable waits until TryWrite can make progress. It fails when that
	// takes longer than timeout, or when the link is closed meanwhile.
	WaitWritable(timeout time.Duration) error

	// Close ends the connection and says goodbye if it can. It does not block,
	// may be called again, and from any goroutine.
	Close(g chat.Goodbye)
}
