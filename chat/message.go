package chat

import (
	"hash/fnv"
	"io"
	"strconv"
)

// Message is a message of a room, identified by Room and Seq.
type Message struct {
	Room    RoomID
	Seq     Seq
	Rev     Rev    // the last change of this message
	Created Rev    // the change that created it
	User    UserID // the author
	Name    string // the author's display name when the message was sent; empty: the user id
	Text    string // empty once Deleted
	Time    int64  // Unix milliseconds, set by the server
	Key     string // the sender's idempotency key, empty if none was given
	Digest  int64  // of the draft the key came with; 0 without a key
	ReplyTo Seq    // 0 if not a reply
	Data    []byte // opaque JSON of the application in canonical form (wire), nil if none
	Edited  int64  // Unix milliseconds of the last edit, 0 if never
	Deleted bool   // a tombstone: the row stays, its text, data and mentions do not

	// Mentions are members that the message was written for, of its text as it is now. Nil
	// if there are none.
	Mentions []UserID

	Reactions []Reaction // filled by reads, in order of first use; not stored in the row
}

// Reaction is one emoji under a message. Users has the first of those that chose
// it, up to ReactionUsers.
type Reaction struct {
	Emoji string
	Count int      // all that chose it
	Users []UserID // in the order of their reactions
}

// ReactionUsers is how many users a message names under one emoji. What a read of
// a message costs, and how large it is, is bounded by it.
const ReactionUsers = 50

// Draft is a message that has no number yet.
type Draft struct {
	Text    string
	Key     string
	ReplyTo Seq
	Data    []byte

	Mentions []UserID // users that it mentions, besides those in the text (Mentioned)
}

// Digest is a hash of the content, by which the same key with another content
// (Conflict) is distinguished from a retry. It is never 0.
func (d *Draft) Digest() int64 {
	h := fnv.New64a()
	io.WriteString(h, d.Text)
	h.Write([]byte{0})
	io.WriteString(h, strconv.FormatInt(int64(d.ReplyTo), 10))
	h.Write([]byte{0})
	h.Write(d.Data)
	for _, id := range d.Mentions {
		io.WriteString(h, "\x00"+string(id))
	}
	if n := int64(h.Sum64()); n != 0 {
		return n
	}
	return 1
}

// Check returns the error for a draft outside the limits, nil if it is good.
func (d *Draft) Check(l *Limits) error {
	switch {
	case len(d.Data) > l.DataBytes:
		return E(TooLarge, "data is larger than "+strconv.Itoa(l.DataBytes)+" bytes")
	case d.ReplyTo < 0:
		return E(Invalid, "reply_to is not a message number")
	}
	if err := checkMentions(d.Mentions, l); err != nil {
		return err
	}
	if err := CheckKey(d.Key, l); err != nil {
		return err
	}
	if err := CheckText(d.Text, l); err != nil {
		return err
	}
	if len(d.Data) == 0 && !visible(d.Text) {
		return E(Invalid, "message is empty")
	}
	return nil
}
