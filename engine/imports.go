package engine

import (
	"context"
	"slices"
	"strconv"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

// RaisedBytes is how long the text of an imported message may be, and its data, where
// ImportBatch.Raise lets them be longer than the limits.
const RaisedBytes = 256 << 10

// importsAtOnce is how many calls of Import work at the same time. The others wait.
const importsAtOnce = 4

// ImportBatch is a part of another system's chat, each list up to change.MaxImported long. What is in a list before is there when
// the next list is looked at.
type ImportBatch struct {
	History  bool // as in change.Import; of members too
	Raise    bool // texts and data may be as long as RaisedBytes
	Rooms    []*change.SetRoom
	Users    []*change.SetUser
	Members  []*change.SetMember
	Messages []ImportMessage
	Reads    []*change.Read // a mark beyond the newest message is one at it
}

// ImportMessage is a message and its room, which is made if there is none. With ReplyItem
// it answers a message of the batch, counted from 1: one before it, in the same room. If
// that one is refused, it answers none. The engine sets ReplyIn.
type ImportMessage struct {
	Room      chat.RoomID
	ReplyItem int
	change.Imported
}

// ImportOutcome is what came of a message: a reply, or an error.
type ImportOutcome struct {
	change.ImportReply
	Err error
}

// ImportResult is what came of a batch.
type ImportResult struct {
	Messages []ImportOutcome // of each
	Rooms    []Outcome       // of each, and so on
	Users    []Outcome
	Members  []Outcome
	Reads    []Outcome
}

// Import puts a part of another system's chat into this one, for the host's back end. It
// is an upsert, and may be repeated. Messages of one room are stored in their order. One
// thing that is refused does not keep the others back. If ctx ends first, or patience,
// what has no outcome is Unavailable, and may still happen.
func (e *Engine) Import(ctx context.Context, a Actor, in *ImportBatch) (*ImportResult, error) {
	if !a.Server {
		return nil, chat.E(chat.Forbidden, "only an API key may import")
	}
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Patience)
	defer cancel()
	select {
	case e.imports <- struct{}{}:
		defer func() { <-e.imports }()
	case <-ctx.Done():
		return nil, &chat.Error{Kind: chat.Busy, Op: "engine.import", Text: "other imports are under way", RetryAfter: retryAfterUnavailable}
	}
	out := &ImportResult{}
	out.Rooms = importAll(ctx, e, &a, in.Rooms)
	out.Users = importAll(ctx, e, &a, in.Users)
	for i := range out.Users {
		if o := &out.Users[i]; o.Err == nil {
			e.profiles.put(&o.Reply.User, e.cfg.Now())
			e.cfg.UserChanged(o.Reply.User.ID, false)
		}
	}
	for _, m := range in.Members {
		m.History = in.History
	}
	out.Members = importAll(ctx, e, &a, in.Members)
	out.Messages = e.importMessages(ctx, in)
	out.Reads = e.importReads(ctx, in.Reads)
	return out, nil
}

// importAll makes changes that the engine knows as a back end's.
func importAll[C change.Change](ctx context.Context, e *Engine, a *Actor, changes []C) []Outcome {
	return e.submitAll(ctx, "engine.import", len(changes), func(i int) (change.Change, error) {
		return changes[i], e.prepare(a, changes[i])
	})
}

// importPiece is messages of a room that are one change.
type importPiece struct {
	change  *change.Import
	of      []int       // their numbers in the batch, ascending
	replies map[int]int // by place in the change: the number of a message in an earlier piece, which is answered
	size    int
}

// importPieceBytes is about how large a piece is: one fits into a packet between nodes
// (package relay), and holds up the lane no longer than other batches do.
const importPieceBytes = 128 << 10

// importMessages makes changes of the messages of each room. The next one of a room follows
// when the one before it is committed, so that none overtakes another.
func (e *Engine) importMessages(ctx context.Context, in *ImportBatch) []ImportOutcome {
	out := make([]ImportOutcome, len(in.Messages))
	e.importNames(ctx, in)
	rooms := e.importPieces(in, out)
	for len(rooms) > 0 {
		outcomes := e.submitAll(ctx, "engine.import", len(rooms), func(i int) (change.Change, error) { return rooms[i][0].prepared(out), nil })
		var next [][]*importPiece
		for i, o := range outcomes {
			told := rooms[i][:1]
			if o.Err != nil {
				told = rooms[i] // the rest as well
			} else if len(rooms[i]) > 1 {
				next = append(next, rooms[i][1:])
			}
			for _, p := range told {
				p.tell(o, out)
			}
		}
		rooms = next
	}
	return out
}

// importNames gives new messages the names that their authors have in their profiles, as
// other messages have them.
func (e *Engine) importNames(ctx context.Context, in *ImportBatch) {
	names := map[chat.UserID]string{}
	for i := range in.Messages {
		m := &in.Messages[i]
		if m.Name != "" || m.Seq != 0 || m.User == "" {
			continue
		}
		name, asked := names[m.User]
		if !asked {
			p, _ := e.profile(ctx, m.User)
			name = p.name
			names[m.User] = name
		}
		m.Name = name
	}
}

// importPieces divides the messages that can be imported, by room, and says in out why the
// others cannot.
func (e *Engine) importPieces(in *ImportBatch, out []ImportOutcome) (rooms [][]*importPiece) {
	index := map[chat.RoomID]int{}
	for i := range in.Messages {
		m := &in.Messages[i]
		if out[i].Err = e.checkImported(in, i); out[i].Err != nil {
			continue
		}
		at, ok := index[m.Room]
		if !ok {
			at = len(rooms)
			index[m.Room] = at
			rooms = append(rooms, nil)
		}
		if n := len(rooms[at]); n == 0 || rooms[at][n-1].size > importPieceBytes || len(rooms[at][n-1].of) == change.MaxImported {
			rooms[at] = append(rooms[at], &importPiece{change: &change.Import{Room: m.Room, Create: &change.RoomSpec{}, History: in.History}})
		}
		p := rooms[at][len(rooms[at])-1]
		p.add(i, m)
		p.size += 128 + len(m.Text) + len(m.Data)
	}
	return rooms
}

// add puts message i of the batch behind the others.
func (p *importPiece) add(i int, m *ImportMessage) {
	if m.ReplyItem > 0 {
		if at, here := slices.BinarySearch(p.of, m.ReplyItem-1); here {
			m.ReplyIn = at + 1
		} else {
			if p.replies == nil {
				p.replies = map[int]int{}
			}
			p.replies[len(p.of)] = m.ReplyItem - 1
		}
	}
	p.change.Messages = append(p.change.Messages, m.Imported)
	p.of = append(p.of, i)
}

// prepared is the change, once the pieces before it are in out.
func (p *importPiece) prepared(out []ImportOutcome) *change.Import {
	for at, answered := range p.replies {
		p.change.Messages[at].ReplyTo = out[answered].Seq
	}
	return p.change
}

// tell writes what came of the piece into out.
func (p *importPiece) tell(o Outcome, out []ImportOutcome) {
	for j, i := range p.of {
		switch {
		case o.Err != nil:
			out[i].Err = o.Err
		case o.Reply.Imported[j].Seq == 0:
			out[i].Err = chat.E(chat.NotFound, "there is no such message")
		default:
			out[i].ImportReply = o.Reply.Imported[j]
		}
	}
}

// checkImported is what a message is checked for before its lane has it.
func (e *Engine) checkImported(in *ImportBatch, i int) error {
	m := &in.Messages[i]
	l := e.cfg.Limits
	if in.Raise {
		l.MessageBytes, l.MessageRunes, l.DataBytes = max(l.MessageBytes, RaisedBytes), max(l.MessageRunes, RaisedBytes), max(l.DataBytes, RaisedBytes)
	}
	if err := e.checkRoom(m.Room); err != nil {
		return err
	}
	switch {
	case m.Seq < 0 || m.ReplyTo < 0:
		return chat.E(chat.Invalid, "seq and reply_to are message numbers")
	case m.ReplyItem < 0 || m.ReplyItem > i || m.ReplyItem > 0 && (m.ReplyTo > 0 || in.Messages[m.ReplyItem-1].Room != m.Room):
		return chat.E(chat.Invalid, "reply_item is the place of a message before this one in the same room, and instead of reply_to")
	case m.Seq == 0 && m.Key == "":
		return chat.E(chat.Invalid, "an imported message needs a key, by which it is found again, or its seq")
	case len(m.Data) > l.DataBytes:
		return chat.E(chat.TooLarge, "data is larger than "+strconv.Itoa(l.DataBytes)+" bytes")
	}
	if m.Seq == 0 {
		if err := chat.CheckID("user", string(m.User), l.IDBytes); err != nil {
			return err
		}
	}
	if err := chat.CheckName("name", m.Name, l.NameBytes); err != nil {
		return err
	}
	if err := chat.CheckKey(m.Key, &l); err != nil {
		return err
	}
	return chat.CheckText(m.Text, &l)
}

// importReads moves read marks.
func (e *Engine) importReads(ctx context.Context, reads []*change.Read) []Outcome {
	newest := map[chat.RoomID]chat.Seq{}
	return e.submitAll(ctx, "engine.import", len(reads), func(i int) (change.Change, error) {
		r := reads[i]
		if err := e.checkRoom(r.Room); err != nil {
			return nil, err
		}
		if err := chat.CheckRef("user", string(r.User), e.cfg.Limits.IDBytes); err != nil {
			return nil, err
		}
		last, known := newest[r.Room]
		if !known {
			room, err := e.cfg.Store.Room(r.Room).Room(ctx, r.Room)
			if err != nil {
				return nil, err
			}
			last = room.LastSeq
			newest[r.Room] = last
		}
		if r.Seq < 0 {
			return nil, chat.E(chat.Invalid, "seq is not a message number")
		}
		r.Seq = min(r.Seq, last)
		return r, nil
	})
}
