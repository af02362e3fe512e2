package consistency

import (
	"hash/fnv"
	"sync"
	"time"

	"github.com/roomtide/roomtide/chat"
)

// Kind says what a record is about.
type Kind uint8

const (
	Invoke   Kind = iota + 1 // a send is about to leave: Room, User, Key, Body
	OK                       // the send Op was acknowledged: Seq, Rev
	Fail                     // the send Op was refused for good
	Unknown                  // the send Op ended without an answer
	Resume                   // Client joins and has everything up to Seq
	Deliver                  // Client received Message
	CaughtUp                 // Client claims to have received everything
	Ask                      // Client requests the newest messages of a room
	Answer                   // the request Op returned Messages, ascending
	Accepted                 // the send Op is in a durable queue, and will be decided
)

// Message is what identifies a message wherever it is observed. A field that is not
// known in that place is zero, and is not compared.
type Message struct {
	Seq  chat.Seq
	Rev  chat.Rev // the change that wrote it
	User chat.UserID
	Key  string
	Body uint64 // Hash of the text; 0 once it was edited or deleted
}

// Of returns what a record holds of m.
func Of(m *chat.Message) Message {
	h := Message{Seq: m.Seq, Rev: m.Created, User: m.User, Key: m.Key}
	if m.Edited == 0 && !m.Deleted {
		h.Body = Hash(m.Text)
	}
	return h
}

// Hash is a hash of a message's text. It is never 0.
func Hash(text string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text)) // a hash never fails
	return h.Sum64() | 1
}

// Record is one action or observation of a client.
type Record struct {
	At     int64 // nanoseconds of one monotonic clock, no two alike
	Kind   Kind
	Op     int64  // ties OK, Fail, Unknown to Invoke, and Answer to Ask
	Client string // the connection that sends, or the device that receives
	Room   chat.RoomID
	User   chat.UserID // the user that sends or reads
	Message
	Messages []Message
}

// Recorder collects records in the order of the calls. Its methods are safe for
// concurrent use.
type Recorder struct {
	start time.Time // set once

	mu      sync.Mutex
	last    int64
	ops     int64
	records []Record
}

// NewRecorder returns an empty Recorder whose clock starts now.
func NewRecorder() *Recorder { return &Recorder{start: time.Now()} }

// Records returns what was noted so far.
func (r *Recorder) Records() []Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.records[:len(r.records):len(r.records)]
}

func (r *Recorder) add(rec Record) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if rec.Kind == Invoke || rec.Kind == Ask {
		r.ops++
		rec.Op = r.ops
	}
	r.last = max(r.last+1, int64(time.Since(r.start)))
	rec.At = r.last
	r.records = append(r.records, rec)
	return rec.Op
}

// Send notes a send before its bytes leave. The caller notes its outcome with
// exactly one of the methods OK, Fail and Unknown; a send without an outcome is Unknown.
//
// client is the name of one connection, whose messages in one room have to be
// numbered in the order of their sends, or "" without that claim.
func (r *Recorder) Send(client string, room chat.RoomID, user chat.UserID, key, text string) *Send {
	rec := Record{Kind: Invoke, Client: client, Room: room, User: user, Message: Message{User: user, Key: key, Body: Hash(text)}}
	return &Send{r: r, room: room, op: r.add(rec)}
}

// Send is a send whose outcome is to be noted.
type Send struct {
	r    *Recorder
	room chat.RoomID
	op   int64
}

// OK notes the acknowledgement.
func (s *Send) OK(seq chat.Seq, rev chat.Rev) {
	s.r.add(Record{Kind: OK, Op: s.op, Room: s.room, Message: Message{Seq: seq, Rev: rev}})
}

// Fail notes that the server refused the message for good.
func (s *Send) Fail() { s.r.add(Record{Kind: Fail, Op: s.op, Room: s.room}) }

// Accepted notes the promise that the message will be decided. Its outcome is noted as
// well when it is known.
func (s *Send) Accepted() { s.r.add(Record{Kind: Accepted, Op: s.op, Room: s.room}) }

// Unknown notes that the outcome is not known.
func (s *Send) Unknown() { s.r.add(Record{Kind: Unknown, Op: s.op, Room: s.room}) }

// Resume notes that a device joins a room and has everything up to seq. The
// first one says where the device starts; each later one has to say where it
// is.
func (r *Recorder) Resume(client string, room chat.RoomID, seq chat.Seq) {
	r.add(Record{Kind: Resume, Client: client, Room: room, Message: Message{Seq: seq}})
}

// Deliver notes that a device received a message.
func (r *Recorder) Deliver(client string, m *chat.Message) {
	r.add(Record{Kind: Deliver, Client: client, Room: m.Room, Message: Of(m)})
}

// CaughtUp notes, after everything, that a device waited until nothing more came.
func (r *Recorder) CaughtUp(client string, room chat.RoomID) {
	r.add(Record{Kind: CaughtUp, Client: client, Room: room})
}

// Ask notes that a device of a user requests the newest messages of a room.
func (r *Recorder) Ask(client string, room chat.RoomID, user chat.UserID) *Question {
	rec := Record{Kind: Ask, Client: client, Room: room, User: user}
	return &Question{r: r, client: client, room: room, op: r.add(rec)}
}

// Question is a read whose answer is to be noted. One without an answer has no effect.
type Question struct {
	r      *Recorder
	client string
	room   chat.RoomID
	op     int64
}

// Answer notes what the read returned, ascending by Seq.
func (q *Question) Answer(ms []chat.Message) {
	rec := Record{Kind: Answer, Op: q.op, Client: q.client, Room: q.room}
	for i := range ms {
		rec.Messages = append(rec.Messages, Of(&ms[i]))
	}
	q.r.add(rec)
}
