package consistency

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/roomtide/roomtide/chat"
)

// Final is what the store holds at the end: the messages of each room in the order
// of the store.
type Final map[chat.RoomID][]Message

// Check returns the violations in the records, room by room; none if all promises
// were kept. Records are ascending in At, as a Recorder returns them. With a
// nil final the promises about the store are not checked.
func Check(records []Record, final Final) []Violation {
	rooms := map[chat.RoomID]*room{}
	get := func(id chat.RoomID) *room {
		if rooms[id] == nil {
			rooms[id] = newRoom(id)
		}
		return rooms[id]
	}
	for i := range records {
		r := get(records[i].Room)
		r.records = append(r.records, &records[i])
	}
	for id := range final {
		get(id)
	}
	var found []Violation
	for _, id := range slices.Sorted(maps.Keys(rooms)) {
		found = append(found, rooms[id].check(final)...)
	}
	return found
}

// sender identifies a message before it has a number.
type sender struct {
	user chat.UserID
	key  string
}

// op is one send.
type op struct {
	*Record        // its Invoke
	ended    Kind  // OK, Fail or Unknown
	at       int64 // when it was acknowledged
	seq      chat.Seq
	accepted bool
}

// fact is what is known about a number of the room, and which client observed it
// first.
type fact struct {
	Message
	client string
	at     int64
}

// room is the state of checking one room.
type room struct {
	id      chat.RoomID
	records []*Record // ascending At
	found   []Violation

	ops   []*op // in order of Invoke
	byOp  map[int64]*op
	sends map[sender][]*op // those with the same key, in order of Invoke
	facts map[chat.Seq]fact
	seqs  map[sender]chat.Seq // the number each key was first seen under
	store map[chat.Seq]Message
}

func newRoom(id chat.RoomID) *room {
	return &room{
		id:    id,
		byOp:  map[int64]*op{},
		sends: map[sender][]*op{},
		facts: map[chat.Seq]fact{},
		seqs:  map[sender]chat.Seq{},
		store: map[chat.Seq]Message{},
	}
}

func (r *room) check(final Final) []Violation {
	r.gatherSends()
	r.observeAll()
	if final != nil {
		r.checkStore(final[r.id])
	}
	r.checkRealTime()
	r.checkSenderOrder()
	r.checkDevices()
	r.checkReads()
	return r.found
}

func (r *room) report(kind Anomaly, client string, seqs []chat.Seq, format string, args ...any) {
	r.found = append(r.found, Violation{Anomaly: kind, Room: r.id, Seqs: seqs, Client: client, Text: fmt.Sprintf(format, args...)})
}

func (r *room) gatherSends() {
	for _, rec := range r.records {
		switch rec.Kind {
		case Invoke:
			o := &op{Record: rec, ended: Unknown, at: math.MaxInt64}
			k := sender{rec.User, rec.Key}
			r.ops = append(r.ops, o)
			r.byOp[rec.Op] = o
			r.sends[k] = append(r.sends[k], o)
		case Accepted:
			if o := r.byOp[rec.Op]; o != nil {
				o.accepted = true
			}
		case OK, Fail, Unknown:
			if o := r.byOp[rec.Op]; o != nil {
				o.ended, o.seq = rec.Kind, rec.Seq
				if rec.Kind == OK {
					o.at = rec.At
				}
			}
		}
	}
}

// observeAll compares all observations of messages with each other.
func (r *room) observeAll() {
	for _, rec := range r.records {
		switch rec.Kind {
		case OK:
			if o := r.byOp[rec.Op]; o != nil {
				m := o.Message
				m.Seq, m.Rev = rec.Seq, rec.Rev
				r.observe(m, o.Client, rec.At)
			}
		case Deliver:
			r.observe(rec.Message, rec.Client, rec.At)
		case Answer:
			for _, m := range rec.Messages {
				r.observe(m, rec.Client, rec.At)
			}
		}
	}
}

// observe handles one observation of a message: it was sent before, and all clients
// observe the same message under this number.
func (r *room) observe(m Message, client string, at int64) {
	f, known := r.facts[m.Seq]
	if known && !same(f.Message, m) {
		r.report(Divergent, client, []chat.Seq{m.Seq}, "%s saw %s of %s, %s sees %s of %s", f.client, f.Key, f.User, client, m.Key, m.User)
		return
	}
	keyed := known && f.Key != ""
	if known {
		f.Message = merge(f.Message, m)
	} else {
		f = fact{m, client, at}
	}
	r.facts[m.Seq] = f
	if f.Key != "" && !keyed {
		r.observeKey(f)
	}
}

// observeKey handles the first observation that has the message's key, which other
// users than the sender are not told.
func (r *room) observeKey(f fact) {
	k := sender{f.User, f.Key}
	if first, ok := r.seqs[k]; ok {
		r.report(DuplicateKey, f.client, []chat.Seq{first, f.Seq}, "key %s of %s has two numbers", f.Key, f.User)
	} else {
		r.seqs[k] = f.Seq
	}
	r.checkSent(k, f.Message, f.client, f.at)
}

// checkSent checks that a send of the message had begun by then, was not refused, and
// had this text.
func (r *room) checkSent(k sender, m Message, client string, at int64) {
	began, body := false, false
	for _, o := range r.sends[k] {
		if o.ended != Fail && o.At < at {
			began = true
			body = body || m.Body == 0 || o.Body == m.Body
		}
	}
	switch {
	case !began:
		r.report(Phantom, client, []chat.Seq{m.Seq}, "key %s of %s was not being sent, or was refused", m.Key, m.User)
	case !body:
		r.report(Corrupt, client, []chat.Seq{m.Seq}, "key %s of %s has another text than was sent", m.Key, m.User)
	}
}

// same compares what both observations contain.
func same(a, b Message) bool {
	return a.User == b.User &&
		(a.Key == "" || b.Key == "" || a.Key == b.Key) &&
		(a.Rev == 0 || b.Rev == 0 || a.Rev == b.Rev) &&
		(a.Body == 0 || b.Body == 0 || a.Body == b.Body)
}

func merge(a, b Message) Message {
	if a.Rev == 0 {
		a.Rev = b.Rev
	}
	if a.Body == 0 {
		a.Body = b.Body
	}
	if a.Key == "" {
		a.Key = b.Key
	}
	return a
}

// checkStore compares the messages in the store with the records.
func (r *room) checkStore(ms []Message) {
	var last chat.Seq
	stored := map[sender]bool{}
	for _, m := range ms {
		stored[sender{m.User, m.Key}] = true
		if m.Seq != last+1 {
			r.report(StoreHole, "store", []chat.Seq{last, m.Seq}, "%d is followed by %d", last, m.Seq)
		}
		last = m.Seq
		r.observe(m, "store", math.MaxInt64)
		r.store[m.Seq] = m
	}
	for _, o := range r.ops {
		if o.ended == Unknown && o.accepted && !stored[sender{o.User, o.Key}] {
			r.report(LostAccepted, o.Client, nil, "key %s of %s was accepted and is not in the store", o.Key, o.User)
		}
		if o.ended != OK {
			continue
		}
		if m, ok := r.store[o.seq]; !ok || m.User != o.User || m.Key != o.Key {
			r.report(LostAck, o.Client, []chat.Seq{o.seq}, "key %s of %s was acknowledged and is not in the store", o.Key, o.User)
		}
	}
	for _, rec := range r.records {
		if rec.Kind == Deliver {
			if _, ok := r.store[rec.Seq]; !ok {
				r.report(Phantom, rec.Client, []chat.Seq{rec.Seq}, "shown before it was safe: it is not in the store")
			}
		}
	}
	r.checkCaughtUp(last)
}
