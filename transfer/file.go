// Package transfer writes rooms and users to a file, and reads them into the same or
// another deployment, whatever the number and the engines of its shards are. What
// comes back is exact: numbers, revs, keys, times, edits, reactions, members with
// roles and bans, read marks, names, profiles, revoked tokens, devices and push settings.
// What waits to be pushed is not in a file. The databases belong to the caller alone: the
// node is stopped.
//
// A file is lines of JSON: a Header, rows in their canonical form (store.Rows), and
// a footer with counts and a digest of all that is before it. The rows of a room
// lie together: the room, its members, each followed by their user_room (read mark),
// its messages, its reactions, each ascending by key. Rooms and users come in any
// order. Nothing is held in memory but a page of each.
package transfer

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// Version is that of the format. Files of newer versions are refused.
const Version = 1

// MaxLine is how long a line may be. Limits of messages are far below it.
const MaxLine = 16 << 20

// What a file holds.
const (
	HoldsAll  = "all"  // every room and user
	HoldsRoom = "room" // one room
	HoldsUser = "user" // what is stored of one user, for them; it cannot be imported
)

// Header is the first line of a file.
type Header struct {
	Type    string      `json:"type"` // "export"
	Version int         `json:"version"`
	Holds   string      `json:"holds"`
	Room    chat.RoomID `json:"room,omitempty"` // HoldsRoom
	User    chat.UserID `json:"user,omitempty"` // HoldsUser
	Made    int64       `json:"made"`           // Unix milliseconds
}

// Counts are rows by their type.
type Counts struct {
	Rooms     int64 `json:"rooms"`
	Members   int64 `json:"members"`
	UserRooms int64 `json:"user_rooms"`
	Messages  int64 `json:"messages"`
	Reactions int64 `json:"reactions"`
	Users     int64 `json:"users"`
	Access    int64 `json:"access"`

	Devices      int64 `json:"devices,omitempty"`
	PushSettings int64 `json:"push_settings,omitempty"`
	PushOwners   int64 `json:"push_owners,omitempty"`
}

// Rows is the number of all rows.
func (c *Counts) Rows() int64 {
	return c.Rooms + c.Members + c.UserRooms + c.Messages + c.Reactions + c.Users + c.Access +
		c.Devices + c.PushSettings + c.PushOwners
}

func (c *Counts) add(rows *store.Rows) {
	c.Rooms += int64(len(rows.Rooms))
	c.Members += int64(len(rows.Members))
	c.UserRooms += int64(len(rows.UserRooms))
	c.Messages += int64(len(rows.Messages))
	c.Reactions += int64(len(rows.Reactions))
	c.Users += int64(len(rows.Users))
	c.Access += int64(len(rows.Access))
	c.Devices += int64(len(rows.Devices))
	c.PushSettings += int64(len(rows.PushSettings))
	c.PushOwners += int64(len(rows.PushOwners))
}

// footer is the last line of a file.
type footer struct {
	Type   string `json:"type"` // "end"
	Counts        // of the rows
	SHA256 string `json:"sha256"` // of all bytes before this line, in hexadecimal
}

const (
	typeHeader = "export"
	typeFooter = "end"
)

// isFooter reports whether the line is a footer.
func isFooter(line []byte) bool { return bytes.HasPrefix(line, []byte(`{"type":"`+typeFooter+`"`)) }

// writer writes a file.
type writer struct {
	out    *bufio.Writer // behind it out and sum
	sum    hash.Hash
	counts Counts
}

func newWriter(out io.Writer, h Header) (*writer, error) {
	sum := sha256.New()
	w := &writer{out: bufio.NewWriterSize(io.MultiWriter(out, sum), 64<<10), sum: sum}
	h.Type, h.Version = typeHeader, Version
	return w, w.json(h)
}

func (w *writer) json(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.out.Write(append(line, '\n'))
	return err
}

func (w *writer) rows(rows *store.Rows) error {
	w.counts.add(rows)
	return rows.WriteLines(w.out)
}

// end writes the footer.
func (w *writer) end() error {
	if err := w.out.Flush(); err != nil {
		return err
	}
	if err := w.json(footer{Type: typeFooter, Counts: w.counts, SHA256: hex.EncodeToString(w.sum.Sum(nil))}); err != nil {
		return err
	}
	return w.out.Flush()
}

// reader reads a file. Its errors are of kind Invalid, or those of reading.
type reader struct {
	in     *bufio.Reader
	sum    hash.Hash
	line   int // number of the last line
	buf    []byte
	header Header
	counts Counts
}

func newReader(in io.Reader) (*reader, error) {
	r := &reader{in: bufio.NewReaderSize(in, 64<<10), sum: sha256.New()}
	line, err := r.readLine()
	if err == io.EOF {
		return nil, chat.E(chat.Invalid, "the file is empty")
	}
	if err != nil {
		return nil, err
	}
	if json.Unmarshal(line, &r.header) != nil || r.header.Type != typeHeader {
		return nil, chat.E(chat.Invalid, "this is not an export of Roomtide: its first line is not that of one")
	}
	if r.header.Version != Version {
		return nil, chat.E(chat.Invalid, fmt.Sprintf("the file has version %d of the format, this program knows %d: use the newer program",
			r.header.Version, Version))
	}
	r.sum.Write(line)
	return r, nil
}

// next returns the next row, alone; io.EOF behind the last one, when the footer has
// been compared with what was read.
func (r *reader) next() (*store.Rows, error) {
	line, err := r.readLine()
	if err == io.EOF {
		return nil, chat.E(chat.Invalid, fmt.Sprintf("the file is cut off: it ends with line %d and has no footer", r.line))
	}
	if err != nil {
		return nil, err
	}
	if isFooter(line) {
		return nil, r.verify(line)
	}
	r.sum.Write(line)
	var rows store.Rows
	if err := store.DecodeLine(line, &rows); err != nil {
		return nil, r.fail(err.Error())
	}
	r.counts.add(&rows)
	return &rows, nil
}

// fail is an error about the last line.
func (r *reader) fail(text string) error {
	return chat.E(chat.Invalid, fmt.Sprintf("line %d: %s", r.line, text))
}

// verify compares the footer, and returns io.EOF if all is well.
func (r *reader) verify(line []byte) error {
	var f footer
	if err := json.Unmarshal(line, &f); err != nil {
		return r.fail("the footer cannot be read: " + err.Error())
	}
	switch {
	case f.Counts != r.counts:
		return r.fail(fmt.Sprintf("the file should have %+v by its footer, and has %+v: lines are missing or doubled", f.Counts, r.counts))
	case f.SHA256 != hex.EncodeToString(r.sum.Sum(nil)):
		return r.fail("the file was changed: its digest is not the one in its footer")
	}
	_, err := r.in.ReadByte()
	if err == nil {
		return r.fail("the file goes on behind its footer")
	}
	return err
}

// readLine returns the next line with its end, valid until the next call. A last line
// without its end is cut off, and counts as io.EOF.
func (r *reader) readLine() ([]byte, error) {
	r.buf = r.buf[:0]
	for {
		part, err := r.in.ReadSlice('\n')
		r.buf = append(r.buf, part...)
		switch {
		case len(r.buf) > MaxLine:
			r.line++
			return nil, r.fail(fmt.Sprintf("it is longer than %d bytes", MaxLine))
		case err == nil:
			r.line++
			return r.buf, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}
