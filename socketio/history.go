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
type history struct {
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

func newHistory(s *Server, n *Namespace) *history {
	if s.opts.Recovery.Window <= 0 {
		return nil
	}
	return &history{
		opts: &s.opts.Recovery, nsp: n, epoch: newID()[:8], byTarget: map[string][]*entry{},
		live: map[string]*Socket{}, away: map[string]*list.Element{},
	}
}

func (h *history) lock() {
	if h != nil {
		h.mu.Lock()
	}
}

func (h *history) unlock() {
	if h != nil {
		h.mu.Unlock()
	}
}

// position is where the namespace is now. The ledger is locked.
func (h *history) position() uint64 {
	if h == nil {
		return 0
	}
	return h.pos
}

// record gives an event its position and keeps it. A volatile event has the
// position of the one before it: whoever has it has that one. The ledger is locked.
func (h *history) record(to *address, out *envelope, volatile bool) {
	if h == nil {
		return
	}
	if !volatile {
		h.pos++
	}
	out.pos = h.pos
	sealed := out.packet
	offset := h.epoch + "." + strconv.FormatUint(h.pos, 36)
	sealed.Args = append(slices.Clip(sealed.Args), json.RawMessage(appendString(nil, offset)))
	out.withOffset = encode(&sealed)
	if volatile {
		return
	}
	e := &entry{pos: h.pos, at: h.nsp.srv.now(), to: *to, out: out.withOffset}
	for _, m := range e.out {
		e.size += len(m.Data)
	}
	h.entries = append(h.entries, e)
	for _, t := range to.targets() {
		h.byTarget[t] = append(h.byTarget[t], e)
	}
	h.bytes += e.size
	h.trim()
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
func (h *history) trim() {
	old := h.nsp.srv.now().Add(-h.opts.keep)
	for len(h.entries) > 0 && (h.bytes > h.opts.MaxBytes || h.entries[0].at.Before(old)) {
		e := h.entries[0]
		h.entries[0] = nil
		h.entries = h.entries[1:]
		h.bytes -= e.size
		h.gone = e.pos
		for _, t := range e.to.targets() { // e is the first of each of its lists
			if left := h.byTarget[t][1:]; len(left) > 0 {
				h.byTarget[t] = left
			} else {
				delete(h.byTarget, t)
			}
		}
	}
	for front := h.sessions.Front(); front != nil; front = h.sessions.Front() {
		s := front.Value.(*session)
		if len(h.away) <= h.opts.MaxSessions && s.expires.After(h.nsp.srv.now()) {
			return
		}
		h.sessions.Remove(front)
		delete(h.away, s.pid)
	}
}

// welcome tells a socket that it has joined, behind all it has missed if it
// comes back. The ledger is locked.
func (h *history) welcome(s *Socket) error {
	if h == nil || s.client.protocol() == 4 {
		return s.client.send(connectPacket(s), false)
	}
	if s.session != nil {
		if ok, err := h.restore(s); ok {
			return err
		}
	}
	s.pid, s.since = newID(), h.pos
	h.live[s.pid] = s
	return s.client.send(connectPacket(s), false)
}

// restore repeats what the client has missed. It fails when that is not known
// for certain, or is more than the connection takes at once.
func (h *history) restore(s *Socket) (ok bool, err error) {
	old := s.session
	from, ok := h.from(old)
	if !ok {
		return false, nil
	}
	missed := h.missed(old, from)
	var out []engineio.Message
	for _, e := range missed {
		out = append(out, e.out...)
	}
	s.pid = old.pid
	err = s.client.send(append(out, connectPacket(s)...), false)
	if errors.Is(err, ErrFull) {
		return false, nil
	}
	s.since = h.pos
	if len(missed) > 0 {
		s.since, s.sent = from, missed[len(missed)-1].pos
	}
	s.recovered = true
	s.data.CompareAndSwap(nil, old.data)
	h.live[s.pid] = s
	h.nsp.srv.counts.recovered.Add(1)
	return true, err
}

// from is the position up to which the client has everything. An offset of
// another ledger is as good as none: the client keeps the last one it saw.
func (h *history) from(s *session) (pos uint64, ok bool) {
	pos = s.since
	if epoch, digits, found := strings.Cut(s.offset, "."); found && epoch == h.epoch {
		n, err := strconv.ParseUint(digits, 36, 64)
		if err != nil || n > h.pos {
			return 0, false
		}
		pos = max(pos, n)
	}
	if pos >= s.sent { // the client was quiet, not behind
		pos = max(pos, s.until)
	}
	return pos, pos >= h.gone
}

// missed are the events behind from that were meant for the socket: from its
// rooms those since it joined them. It looks at nothing that was said elsewhere.
func (h *history) missed(s *session, from uint64) []*entry {
	var list []*entry
	add := func(target string, from uint64) {
		all := h.byTarget[target]
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
func (h *history) depart(s *Socket, reason string) {
	if h == nil || s.pid == "" {
		return
	}
	delete(h.live, s.pid)
	if recoverable(reason) {
		h.put(h.session(s))
	}
}

// session is what to keep of a socket.
func (h *history) session(s *Socket) *session {
	return &session{
		pid: s.pid, sid: s.id, rooms: maps.Clone(s.rooms), data: s.data.Load(),
		since: s.since, sent: s.sent, until: h.pos,
	}
}

func (h *history) put(s *session) {
	s.expires = h.nsp.srv.now().Add(h.opts.Window)
	h.away[s.pid] = h.sessions.PushBack(s)
	h.trim()
}

// claim takes the session of a pid out: nobody else gets it. If its socket is
// still connected, that one is taken out of the namespace and returned, and has
// to be told.
func (h *history) claim(pid string) (old *Socket, s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.trim()
	if old = h.live[pid]; old != nil {
		h.nsp.remove(old)
		delete(h.live, pid)
		return old, h.session(old)
	}
	if e := h.away[pid]; e != nil {
		delete(h.away, pid)
		return nil, h.sessions.Remove(e).(*session)
	}
	return nil, nil
}

// giveBack undoes claim when the client was cut off again meanwhile.
func (h *history) giveBack(s *session) {
	if h == nil || s == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.put(s)
}
