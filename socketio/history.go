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

// history is what a namespace keeps for recovery: its latest events, and the
// sessions of disconnected clients. Events have positions 1, 2, 3…; an offset on
// the wire is such a position. A client can resume from any position, as long as
// the events behind it are still kept; it need not be one that was stored.
//
// A nil history is one that is switched off.
type history struct {
	// Set once.
	opts  *Recovery
	nsp   *Namespace
	epoch string // begins every offset: those of another history mean nothing here

	// Guarded by mu, which also orders what is sent to clients that may resume.
	mu       sync.Mutex
	pos      uint64 // of the newest event
	trimmed  uint64 // events up to here are not kept any more
	bytes    int
	entries  []*entry // oldest first
	byTarget map[string][]*entry
	live     map[string]*Socket       // by pid
	byPID    map[string]*list.Element // of sessions
	sessions list.List                // of *session, those that expire first in front
}

// entry is an event that may be replayed.
type entry struct {
	pos  uint64
	at   time.Time
	to   address
	out  []engineio.Message
	size int
}

// session is a socket whose client is disconnected and may resume it.
type session struct {
	pid, sid string
	rooms    map[string]uint64
	data     *any
	since    uint64 // everything up to here was received
	sent     uint64 // the last event that was sent to it
	until    uint64 // nothing behind this was sent to it
	expires  time.Time
	offset   string // that the client resumes from; set by claim
}

func newHistory(s *Server, n *Namespace) *history {
	if s.opts.Recovery.Window <= 0 {
		return nil
	}
	return &history{
		opts: &s.opts.Recovery, nsp: n, epoch: newID()[:8], byTarget: map[string][]*entry{},
		live: map[string]*Socket{}, byPID: map[string]*list.Element{},
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

// position is that of the newest event. The history is locked.
func (h *history) position() uint64 {
	if h == nil {
		return 0
	}
	return h.pos
}

// record gives an event its position and keeps it. A volatile event has the
// position of the one before it: a client that received it has that one. The history
// is locked.
func (h *history) record(to *address, out *envelope, volatile bool) {
	if h == nil {
		return
	}
	if !volatile {
		h.pos++
	}
	out.pos = h.pos
	p := out.packet
	offset := h.epoch + "." + strconv.FormatUint(h.pos, 36)
	p.Args = append(slices.Clip(p.Args), json.RawMessage(appendString(nil, offset)))
	out.withOffset = encode(&p)
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

// targets are the keys of an address: a room, an id, or the whole namespace.
func (a *address) targets() []string {
	if len(a.rooms)+len(a.ids) == 0 {
		return []string{allKey}
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

const allKey, roomKey, idKey = "", "r", "i"

// trim drops what is too old or too much.
func (h *history) trim() {
	old := h.nsp.srv.now().Add(-h.opts.keep)
	for len(h.entries) > 0 && (h.bytes > h.opts.MaxBytes || h.entries[0].at.Before(old)) {
		e := h.entries[0]
		h.entries[0] = nil
		h.entries = h.entries[1:]
		h.bytes -= e.size
		h.trimmed = e.pos
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
		if len(h.byPID) <= h.opts.MaxSessions && s.expires.After(h.nsp.srv.now()) {
			return
		}
		h.sessions.Remove(front)
		delete(h.byPID, s.pid)
	}
}

// welcome sends the CONNECT of a socket that has joined, behind all it has missed if
// it resumes. The history is locked.
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

// restore replays what the client has missed. It fails when that is not known for
// certain, or is more than the connection accepts at once.
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

// from is the position up to which the client has everything. An offset of another
// history is treated like none: the client keeps the last one it saw.
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
	return pos, pos >= h.trimmed
}

// missed are the events behind from that were addressed to the socket: from its
// rooms those since it joined them. It reads no events of other rooms.
func (h *history) missed(s *session, from uint64) []*entry {
	var list []*entry
	add := func(target string, from uint64) {
		all := h.byTarget[target]
		list = append(list, all[sort.Search(len(all), func(i int) bool { return all[i].pos > from }):]...)
	}
	add(allKey, from)
	add(idKey+s.sid, from)
	for room, joined := range s.rooms {
		add(roomKey+room, max(from, joined))
	}
	slices.SortFunc(list, func(a, b *entry) int { return cmp.Compare(a.pos, b.pos) })
	list = slices.Compact(list)
	return slices.DeleteFunc(list, func(e *entry) bool { return e.to.excepts(s.sid, s.rooms) })
}

// depart keeps the session of a socket that has ended, if its client may resume it.
// The history is locked.
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
	h.byPID[s.pid] = h.sessions.PushBack(s)
	h.trim()
}

// claim takes the session of a pid out. If its socket is still connected, that one
// is taken out of the namespace and returned, and its OnDisconnect has to be called.
func (h *history) claim(pid string) (old *Socket, s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.trim()
	if old = h.live[pid]; old != nil {
		h.nsp.remove(old)
		delete(h.live, pid)
		return old, h.session(old)
	}
	if e := h.byPID[pid]; e != nil {
		delete(h.byPID, pid)
		return nil, h.sessions.Remove(e).(*session)
	}
	return nil, nil
}

// putBack undoes claim when the client was disconnected again meanwhile.
func (h *history) putBack(s *session) {
	if h == nil || s == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.put(s)
}
