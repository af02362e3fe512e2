package socketio

import (
	"cmp"
	"container/list"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/roomtide/roomtide/engineio"
)

// ledger is what a namespace remembers for recovery: its latest events, and
// the clients that may come back. Events have positions 1, 2, 3…; an offset on
// the wire is such a position. Any position will do to come back from, as long
// as the events behind it are still here; it need not be one that was stored.
//
// A nil ledger is one that is switched off.
type ledger struct {
	// set once
	opts  *Recovery
	nsp   *Namespace
	epoch string // begins every offset: those of another ledger mean nothing here

	mu       sync.Mutex // also orders what is sent to clients that may recover
	pos      uint64     // of the newest event
	gone     uint64     // events up to here are not kept any more
	bytes    int
	entries  []*entry // oldest first
	byTarget map[string][]*entry
	live     map[string]*Socket       // by pid
	away     map[string]*list.Element // by pid
	sessions list.List                // of *session, those that end first in front
}

// entry is an event that may be repeated.
type entry struct {
	pos  uint64
	at   time.Time
	to   address
	out  []engineio.Message
	size int
}

// session is a socket whose client is away.
type session struct {
	pid, sid string
	rooms    map[string]uint64
	data     *any
	since    uint64 // the client has everything up to here
	sent     uint64 // the last event that was sent to it
	until    uint64 // nothing behind this was sent to it
	expires  time.Time
	offset   string // what the client says it has; set by claim
}

func newLedger(s *Server, n *Namespace) *ledger {
	if s.opts.Recovery.Window <= 0 {
		return nil
	}
	return &ledger{
		opts: &s.opts.Recovery, nsp: n, epoch: newID()[:8], byTarget: map[string][]*entry{},
		live: map[string]*Socket{}, away: map[string]*list.Element{},
	}
}

func (l *ledger) lock() {
	if l != nil {
		l.mu.Lock()
	}
}

func (l *ledger) unlock() {
	if l != nil {
		l.mu.Unlock()
	}
}

// position is where the namespace is now. The ledger is locked.
func (l *ledger) position() uint64 {
	if l == nil {
		return 0
	}
	return l.pos
}

// record gives an event its position and keeps it. A volatile event has the
// position of the one before it: whoever has it has that one. The ledger is locked.
func (l *ledger) record(to *address, out *letter, volatile bool) {
	if l == nil {
		return
	}
	if !volatile {
		l.pos++
	}
	out.pos = l.pos
	sealed := out.packet
	offset := l.epoch + "." + strconv.FormatUint(l.pos, 36)
	sealed.Args = append(slices.Clip(sealed.Args), json.RawMessage(appendString(nil, offset)))
	out.sealed = encode(&sealed)
	if volatile {
		return
	}
	e := &entry{pos: l.pos, at: l.nsp.srv.now(), to: *to, out: out.sealed}
	for _, m := range e.out {
		e.size += len(m.Data)
	}
	l.entries = append(l.entries, e)
	for _, t := range to.targets() {
		l.byTarget[t] = append(l.byTarget[t], e)
	}
	l.bytes += e.size
	l.trim()
}

// targets are the keys of an address: a room, an id, or everybody.
func (a *address) targets() []string {
	if len(a.rooms)+len(a.ids) == 0 {
		return []string{everybody}
	}
	keys := make([]string, 0, len(a.rooms)+len(a.ids))
	for _, r := range a.rooms {
		keys = append(keys, roomKey+r)
	}
	for _, id := range a.ids {
		keys = append(keys, idKey+id)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

const everybody, roomKey, idKey = "", "r", "i"

// trim forgets what is too old or too much.
func (l *ledger) trim() {
	old := l.nsp.srv.now().Add(-l.opts.keep)
	for len(l.entries) > 0 && (l.bytes > l.opts.MaxBytes || l.entries[0].at.Before(old)) {
		e := l.entries[0]
		l.entries[0] = nil
		l.entries = l.entries[1:]
		l.bytes -= e.size
		l.gone = e.pos
		for _, t := range e.to.targets() { // e is the first of each of its lists
			if left := l.byTarget[t][1:]; len(left) > 0 {
				l.byTarget[t] = left
			} else {
				delete(l.byTarget, t)
			}
		}
	}
	for front := l.sessions.Front(); front != nil; front = l.sessions.Front() {
		s := front.Value.(*session)
		if len(l.away) <= l.opts.MaxSessions && s.expires.After(l.nsp.srv.now()) {
			return
		}
		l.sessions.Remove(front)
		delete(l.away, s.pid)
	}
}

// welcome tells a socket that it has joined, behind all it has missed if it
// comes back. The ledger is locked.
func (l *ledger) welcome(s *Socket) error {
	if l == nil || s.client.protocol() == 4 {
		return s.client.send(connectPacket(s), false)
	}
	if s.session != nil {
		if ok, err := l.restore(s); ok {
			return err
		}
	}
	s.pid, s.since = newID(), l.pos
	l.live[s.pid] = s
	return s.client.send(connectPacket(s), false)
}

// restore repeats what the client has missed. It fails when that is not known
// for certain, or is more than the connection takes at once.
func (l *ledger) restore(s *Socket) (ok bool, err error) {
	old := s.session
	from, ok := l.from(old)
	if !ok {
		return false, nil
	}
	missed := l.missed(old, from)
	var out []engineio.Message
	for _, e := range missed {
		out = append(out, e.out...)
	}
	s.pid = old.pid
	err = s.client.send(append(out, connectPacket(s)...), false)
	if errors.Is(err, ErrFull) {
		return false, nil
	}
	s.since = l.pos
	if len(missed) > 0 {
		s.since, s.sent = from, missed[len(missed)-1].pos
	}
	s.recovered = true
	s.data.CompareAndSwap(nil, old.data)
	l.live[s.pid] = s
	l.nsp.srv.counts.recovered.Add(1)
	return true, err
}

// from is the position up to which the client has everything. An offset of
// another ledger is as good as none: the client keeps the last one it saw.
func (l *ledger) from(s *session) (pos uint64, ok bool) {
	pos = s.since
	if epoch, digits, found := strings.Cut(s.offset, "."); found && epoch == l.epoch {
		n, err := strconv.ParseUint(digits, 36, 64)
		if err != nil || n > l.pos {
			return 0, false
		}
		pos = max(pos, n)
	}
	if pos >= s.sent { // the client was quiet, not behind
		pos = max(pos, s.until)
	}
	return pos, pos >= l.gone
}

// missed are the events behind from that were meant for the socket: from its
// rooms those since it joined them. It looks at nothing that was said elsewhere.
func (l *ledger) missed(s *session, from uint64) []*entry {
	var list []*entry
	add := func(target string, from uint64) {
		all := l.byTarget[target]
		list = append(list, all[sort.Search(len(all), func(i int) bool { return all[i].pos > from }):]...)
	}
	add(everybody, from)
	add(idKey+s.sid, from)
	for room, joined := range s.rooms {
		add(roomKey+room, max(from, joined))
	}
	slices.SortFunc(list, func(a, b *entry) int { return cmp.Compare(a.pos, b.pos) })
	list = slices.Compact(list)
	return slices.DeleteFunc(list, func(e *entry) bool { return e.to.excepts(s.sid, s.rooms) })
}

// depart keeps a socket that has ended, if its client may come back. The ledger is locked.
func (l *ledger) depart(s *Socket, reason string) {
	if l == nil || s.pid == "" {
		return
	}
	delete(l.live, s.pid)
	if recoverable(reason) {
		l.put(l.session(s))
	}
}

// session is what to keep of a socket.
func (l *ledger) session(s *Socket) *session {
	return &session{
		pid: s.pid, sid: s.id, rooms: maps.Clone(s.rooms), data: s.data.Load(),
		since: s.since, sent: s.sent, until: l.pos,
	}
}

func (l *ledger) put(s *session) {
	s.expires = l.nsp.srv.now().Add(l.opts.Window)
	l.away[s.pid] = l.sessions.PushBack(s)
	l.trim()
}

// claim takes the session of a pid out: nobody else gets it. If its socket is
// still connected, that one is taken out of the namespace and returned, and has
// to be told.
func (l *ledger) claim(pid string) (old *Socket, s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trim()
	if old = l.live[pid]; old != nil {
		l.nsp.remove(old)
		delete(l.live, pid)
		return old, l.session(old)
	}
	if e := l.away[pid]; e != nil {
		delete(l.away, pid)
		return nil, l.sessions.Remove(e).(*session)
	}
	return nil, nil
}

// giveBack undoes claim when the client was cut off again meanwhile.
func (l *ledger) giveBack(s *session) {
	if l == nil || s == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.put(s)
}
