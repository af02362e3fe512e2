package store

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/roomtide/roomtide/chat"
)

// The encoded form of an Entry is a version byte and numbers as unsigned varints
// (times, which may be anything, as signed ones); a text is its length and its
// bytes, a list its length and its items.
//
//	entry   4, Time, list of rooms, list of user ids, list of keys, list of onward changes or nothing, list of facts or nothing,
//	        list of flips or nothing
//	room    room id, From, number of revs, Seq, list of runs, list of members
//	run     kind, or 128 + kind for one of the past; Count, Seq
//	member  user id, name, role, Rev, Since, 1 + role before (0: it is not known)
//	fact    kind, user id; of a push: room id, Seq, notice, device, provider, reason, attempts
//	flip    the slots as 16 numbers, shard, Position
//	key     table, or 128 + table and ID is that of the key before; ID otherwise;
//	        those of Seq, A, B which keys of the table have
//
// The runs of a room make up its number of revs, or there are none. Version 3 had no
// Time, no roles before and no onward changes, version 2 no keys either, and version 1 no
// users. Before it entries were JSON, which starts with another byte.
const (
	usersVersion = 2
	keysVersion  = 3
	entryVersion = 4
)

// pastRun marks the kind of a run of the past. An earlier version takes the kind for one that
// it does not know.
const pastRun = 0x80

// Encode returns the entry as it is stored, as Changes.Outbox.
func (e *Entry) Encode() []byte {
	size := 16
	for i := range e.Rooms {
		size += 32 + len(e.Rooms[i].Room) + 8*len(e.Rooms[i].Runs) + 64*len(e.Rooms[i].Members)
	}
	for _, c := range e.Onward {
		size += 4 + len(c)
	}
	b := append(make([]byte, 0, size+16*len(e.Keys)), entryVersion)
	b = binary.AppendVarint(b, e.Time)
	b = binary.AppendUvarint(b, uint64(len(e.Rooms)))
	for i := range e.Rooms {
		b = appendSpan(b, &e.Rooms[i])
	}
	b = binary.AppendUvarint(b, uint64(len(e.Users)))
	for _, u := range e.Users {
		b = appendText(b, string(u))
	}
	b = appendKeyList(b, e.Keys)
	if len(e.Onward)+len(e.Facts)+len(e.Flips) > 0 { // few entries have any
		b = binary.AppendUvarint(b, uint64(len(e.Onward)))
		for _, c := range e.Onward {
			b = appendText(b, string(c))
		}
	}
	if len(e.Facts)+len(e.Flips) > 0 {
		b = binary.AppendUvarint(b, uint64(len(e.Facts)))
		for i := range e.Facts {
			b = appendFact(b, &e.Facts[i])
		}
	}
	if len(e.Flips) > 0 {
		b = binary.AppendUvarint(b, uint64(len(e.Flips)))
		for i := range e.Flips {
			b = appendFlip(b, &e.Flips[i])
		}
	}
	return b
}

func appendFact(b []byte, f *UserFact) []byte {
	b = appendText(append(b, byte(f.Kind)), string(f.User))
	if f.Kind != FactPushDead {
		return b
	}
	p := f.Push
	b = appendText(b, string(p.Room))
	b = binary.AppendUvarint(b, uint64(p.Seq))
	for _, s := range []string{p.Notice, p.Device, p.Provider, p.Reason} {
		b = appendText(b, s)
	}
	return binary.AppendUvarint(b, uint64(p.Attempts))
}

func appendFlip(b []byte, f *Flip) []byte {
	for _, w := range f.Slots {
		b = binary.AppendUvarint(b, w)
	}
	return binary.AppendUvarint(appendText(b, f.From), uint64(f.Position))
}

func appendSpan(b []byte, s *RoomSpan) []byte {
	b = appendText(b, string(s.Room))
	b = binary.AppendUvarint(b, uint64(s.From))
	b = binary.AppendUvarint(b, uint64(s.To-s.From+1))
	b = binary.AppendUvarint(b, uint64(s.Seq))
	b = binary.AppendUvarint(b, uint64(len(s.Runs)))
	for _, r := range s.Runs {
		kind := byte(r.Kind)
		if r.History {
			kind |= pastRun
		}
		b = append(b, kind)
		b = binary.AppendUvarint(b, uint64(r.Count))
		b = binary.AppendUvarint(b, uint64(r.Seq))
	}
	b = binary.AppendUvarint(b, uint64(len(s.Members)))
	for i := range s.Members {
		m := &s.Members[i]
		b = appendText(b, string(m.User))
		b = appendText(b, m.Name)
		b = append(b, byte(m.Role))
		b = binary.AppendUvarint(b, uint64(m.Rev))
		b = binary.AppendVarint(b, m.Since)
		was := byte(0)
		if len(s.Was) > 0 {
			was = 1 + byte(s.Was[i])
		}
		b = append(b, was)
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// DecodeEntry reads an entry of this or an earlier version.
func DecodeEntry(position int64, body []byte) (Entry, error) {
	e := Entry{Position: position}
	var err error
	switch {
	case len(body) > 0 && 1 <= body[0] && body[0] <= entryVersion:
		d := decoder{rest: body[1:]}
		d.entry(&e, int(body[0]))
		err = d.end()
	case len(body) > 0 && body[0] == '{':
		e.Rooms, err = decodeJSON(body)
	default:
		err = errors.New("it has an unknown version")
	}
	if err != nil {
		return Entry{}, fmt.Errorf("outbox entry %d cannot be read: %w", position, err)
	}
	return e, nil
}

// decoder reads the parts of an entry. After the first fault it answers with
// zeros.
type decoder struct {
	rest []byte
	err  error
}

var (
	errShort  = errors.New("it is cut off")
	errRuns   = errors.New("its runs do not make up its revs")
	errWas    = errors.New("it has the role before of some members, and not of others")
	errOnward = errors.New("it has no onward changes, and should have some")
	errFacts  = errors.New("it has no facts, and should have some, or one of an unknown kind")
	errFlips  = errors.New("it has no flips, and should have some")
	errKeys   = errors.New("it has the key of a row of no table, or none")
)

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
	d.rest = nil
}

// end returns the first fault; to be not at the end is one.
func (d *decoder) end() error {
	if d.err == nil && len(d.rest) > 0 {
		d.fail(errors.New("it goes on after its end"))
	}
	return d.err
}

// entry reads what follows the version.
func (d *decoder) entry(e *Entry, version int) {
	if version >= entryVersion {
		e.Time = d.signed()
	}
	e.Rooms = d.spans(version)
	if version >= usersVersion {
		e.Users = list(d, 1, func(u *chat.UserID) { *u = chat.UserID(d.text()) })
	}
	if version >= keysVersion {
		if e.Keys = d.keys(); version == keysVersion && len(e.Keys) == 0 {
			d.fail(errKeys)
		}
	}
	if version >= entryVersion && len(d.rest) > 0 {
		if e.Onward = list(d, 1, func(c *[]byte) { *c = []byte(d.text()) }); e.Onward == nil && len(d.rest) == 0 {
			d.fail(errOnward)
		}
	}
	if version >= entryVersion && len(d.rest) > 0 {
		if e.Facts = list(d, 2, d.fact); e.Facts == nil && len(d.rest) == 0 {
			d.fail(errFacts)
		}
	}
	if version >= entryVersion && len(d.rest) > 0 {
		if e.Flips = list(d, len(SlotSet{})+2, d.flip); e.Flips == nil {
			d.fail(errFlips)
		}
	}
}

func (d *decoder) flip(f *Flip) {
	for i := range f.Slots {
		f.Slots[i] = d.bits()
	}
	f.From, f.Position = d.text(), d.number()
}

func (d *decoder) fact(f *UserFact) {
	f.Kind, f.User = FactKind(d.byte()), chat.UserID(d.text())
	switch f.Kind {
	case FactOnline, FactOffline:
	case FactPushDead:
		p := &chat.DeadPush{User: f.User, Room: chat.RoomID(d.text()), Seq: chat.Seq(d.number())}
		for _, s := range []*string{&p.Notice, &p.Device, &p.Provider, &p.Reason} {
			*s = d.text()
		}
		p.Attempts, f.Push = int(d.number()), p
	default:
		d.fail(errFacts)
	}
}

func (d *decoder) byte() byte {
	if len(d.rest) == 0 {
		d.fail(errShort)
		return 0
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b
}

// bits reads an unsigned varint.
func (d *decoder) bits() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.fail(errShort)
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

// number reads an unsigned varint that is an int64.
func (d *decoder) number() int64 {
	v := int64(d.bits())
	if v < 0 {
		d.fail(errShort)
		return 0
	}
	return v
}

func (d *decoder) signed() int64 {
	v, n := binary.Varint(d.rest)
	if n <= 0 {
		d.fail(errShort)
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

// length reads the length of a list or text whose items take at least size bytes
// each, so that a fault does not reserve memory.
func (d *decoder) length(size int) int {
	n := d.number()
	if n > int64(len(d.rest)/size) {
		d.fail(errShort)
		return 0
	}
	return int(n)
}

func (d *decoder) text() string {
	n := d.length(1)
	s := string(d.rest[:n])
	d.rest = d.rest[n:]
	return s
}

// list reads a list whose items take at least size bytes each.
func list[T any](d *decoder, size int, item func(*T)) []T {
	n := d.length(size)
	if n == 0 {
		return nil
	}
	items := make([]T, n)
	for i := range items {
		item(&items[i])
	}
	return items
}

func (d *decoder) spans(version int) []RoomSpan {
	return list(d, 6, func(s *RoomSpan) {
		s.Room = chat.RoomID(d.text())
		s.From = chat.Rev(d.number())
		revs := d.number()
		s.To = s.From + chat.Rev(revs) - 1
		s.Seq = chat.Seq(d.number())
		if s.Runs = d.runs(revs); s.To < s.From-1 {
			d.fail(errRuns)
		}
		s.Members = list(d, 5, func(m *chat.Member) {
			m.Room = s.Room
			m.User, m.Name, m.Role = chat.UserID(d.text()), d.text(), chat.Role(d.byte())
			m.Rev, m.Since = chat.Rev(d.number()), d.signed()
			if version < entryVersion {
				return
			}
			if was := d.byte(); was > 0 {
				s.Was = append(s.Was, chat.Role(was-1))
			}
		})
		if len(s.Was) > 0 && len(s.Was) != len(s.Members) {
			d.fail(errWas)
		}
	})
}

// runs reads the runs that make up so many revs.
func (d *decoder) runs(revs int64) []Run {
	runs := list(d, 3, func(r *Run) {
		kind := d.byte()
		r.Kind, r.History = chat.EventKind(kind&^pastRun), kind&pastRun != 0
		count := d.number()
		r.Seq = chat.Seq(d.number())
		if count < 1 || count > revs {
			d.fail(errRuns)
			return
		}
		r.Count = int(count)
		revs -= count
	})
	if len(runs) > 0 && revs != 0 {
		d.fail(errRuns)
	}
	return runs
}

// The entry as it was before version 1.
type (
	oldEntry struct {
		Rooms   []oldSpan   `json:"r"`
		Members []oldMember `json:"m"`
	}
	oldSpan struct {
		Room chat.RoomID `json:"r"`
		From chat.Rev    `json:"f"`
		To   chat.Rev    `json:"t"`
		Seq  chat.Seq    `json:"s"`
	}
	oldMember struct {
		Room  chat.RoomID `json:"r"`
		User  chat.UserID `json:"u"`
		Name  string      `json:"n"`
		Role  chat.Role   `json:"o"`
		Rev   chat.Rev    `json:"v"`
		Since int64       `json:"s"`
	}
)

// decodeJSON reads an entry that was written before version 1. Its members were a
// list apart from the rooms, each of one of them.
func decodeJSON(body []byte) ([]RoomSpan, error) {
	var old oldEntry
	if err := json.Unmarshal(body, &old); err != nil {
		return nil, err
	}
	var spans []RoomSpan
	index := map[chat.RoomID]int{}
	for _, s := range old.Rooms {
		index[s.Room] = len(spans)
		spans = append(spans, RoomSpan{Room: s.Room, From: s.From, To: s.To, Seq: s.Seq})
	}
	for _, m := range old.Members {
		i, ok := index[m.Room]
		if !ok {
			return nil, errors.New("it has a member of a room that did not change")
		}
		spans[i].Members = append(spans[i].Members, chat.Member{
			Room: m.Room, User: m.User, Name: m.Name, Role: m.Role, Rev: m.Rev, Since: m.Since,
		})
	}
	return spans, nil
}
