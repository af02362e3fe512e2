package chat

import (
	"hash/fnv"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Message is what a member wrote. It is named by Room and Seq, by nothing else.
type Message struct {
	Room    RoomID
	Seq     Seq
	Rev     Rev    // the change that last touched this message
	Created Rev    // the change that wrote it
	User    UserID // who wrote it
	Text    string // empty once Deleted
	Time    int64  // Unix milliseconds, set by the server
	Key     string // the sender's idempotency key, empty if none was given
	Digest  int64  // of the draft the key came with; 0 without a key
	ReplyTo Seq    // 0 if not a reply
	Data    []byte // opaque JSON of the host app, nil if none
	Edited  int64  // Unix milliseconds of the last edit, 0 if never
	Deleted bool   // a tombstone: the row stays, its text and data do not

	Reactions []Reaction // filled by reads, in order of first use; not stored in the row
}

// Reaction is one emoji under a message and who chose it.
type Reaction struct {
	Emoji string
	Users []UserID // in order of choosing
}

// Draft is a message that has no number yet.
type Draft struct {
	Text    string
	Key     string
	ReplyTo Seq
	Data    []byte
}

// Digest fingerprints what the sender wrote, so that the same key with another
// body can be told from a retry (Conflict). It is never 0.
func (d *Draft) Digest() int64 {
	h := fnv.New64a()
	io.WriteString(h, d.Text)
	h.Write([]byte{0})
	io.WriteString(h, strconv.FormatInt(int64(d.ReplyTo), 10))
	h.Write([]byte{0})
	h.Write(d.Data)
	if n := int64(h.Sum64()); n != 0 {
		return n
	}
	return 1
}

// Check reports what is wrong with the draft, nil if nothing.
func (d *Draft) Check(l *Limits) error {
	switch {
	case d.Text == "" && len(d.Data) == 0:
		return E(Invalid, "message is empty")
	case len(d.Data) > l.DataBytes:
		return E(TooLarge, "data is larger than "+strconv.Itoa(l.DataBytes)+" bytes")
	case len(d.Key) > l.KeyBytes:
		return E(TooLarge, "key is longer than "+strconv.Itoa(l.KeyBytes)+" bytes")
	case !utf8.ValidString(d.Key):
		return E(Invalid, "key is not valid UTF-8")
	case d.ReplyTo < 0:
		return E(Invalid, "reply_to is not a message number")
	}
	return CheckText(d.Text, l)
}

// CheckText reports what is wrong with a message's text, nil if nothing.
func CheckText(s string, l *Limits) error {
	switch {
	case len(s) > l.MessageBytes:
		return E(TooLarge, "message is larger than "+strconv.Itoa(l.MessageBytes)+" bytes")
	case !utf8.ValidString(s):
		return E(Invalid, "message is not valid UTF-8")
	case strings.IndexByte(s, 0) >= 0: // not every database can keep it
		return E(Invalid, "message has a NUL character")
	case len(s) > l.MessageRunes && utf8.RuneCountInString(s) > l.MessageRunes:
		return E(TooLarge, "message is longer than "+strconv.Itoa(l.MessageRunes)+" characters")
	}
	return nil
}

// CheckEmoji reports what is wrong with a reaction, nil if nothing.
func CheckEmoji(s string, l *Limits) error {
	switch {
	case s == "":
		return E(Invalid, "emoji is missing")
	case len(s) > l.EmojiBytes:
		return E(TooLarge, "emoji is longer than "+strconv.Itoa(l.EmojiBytes)+" bytes")
	case !utf8.ValidString(s):
		return E(Invalid, "emoji is not valid UTF-8")
	}
	return nil
}
