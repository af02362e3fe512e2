package hub

import (
	"net"
	"slices"
	"sort"

	"github.com/roomtide/roomtide/chat"
)

// Chunks of a room log start small, so that a quiet room costs little, and grow
// with what the log has to keep.
const (
	minChunk = 512
	maxChunk = 64 << 10
)

// unknownRev is the rev of a room of which the hub knows none, at first and after a
// loss.
const unknownRev chat.Rev = -1

// offset is a place between two frames of a room log.
type offset struct {
	off   int64    // bytes appended before it, since the log began
	count int64    // frames appended before it
	rev   chat.Rev // the newest durable event before it
}

// chunk is a piece of a room log. Its memory is written once: bytes below the
// log's head never change, so a holder of the chunk may read them without a lock,
// even after the log has dropped it.
type chunk struct {
	start int64    // set once: the offset of mem[0]
	mem   []byte   // set once
	ends  []offset // guarded by room.mu: where the frames that end in this chunk end
}

func (c *chunk) end() int64 { return c.start + int64(len(c.mem)) }

// roomLog is the framed bytes of a room in one encoding. It is guarded by
// room.mu; see chunk for what may be read without.
type roomLog struct {
	limit  int
	total  *budget // of all logs
	chunks []*chunk
	bytes  int    // memory of chunks
	base   offset // the newest offset that is in no chunk
	head   offset // the end
	loss   loss   // the last one
}

// loss is where a log was given up: a subscription below it has missed something.
type loss struct {
	end    int64
	reason chat.GapReason
}

func newRoomLog(limit int, total *budget, rev chat.Rev) *roomLog {
	return &roomLog{limit: limit, total: total, base: offset{rev: rev}, head: offset{rev: rev}}
}

// setRev tells an empty log which rev its beginning stands for.
func (l *roomLog) setRev(rev chat.Rev) { l.base.rev, l.head.rev = rev, rev }

// abandon drops everything, so that no offset up to the present end is in the log
// any more. It begins anew behind that, for what follows rev.
func (l *roomLog) abandon(rev chat.Rev, reason chat.GapReason) {
	l.clear()
	l.head.off++
	l.head.rev = rev
	l.base = l.head
	l.loss = loss{l.head.off, reason}
}

// start is the offset of the oldest byte that is still there.
func (l *roomLog) start() int64 {
	if len(l.chunks) == 0 {
		return l.head.off
	}
	return l.chunks[0].start
}

// full reports whether a frame of n bytes needs another chunk.
func (l *roomLog) full(n int) bool {
	k := len(l.chunks)
	return k == 0 || l.chunks[k-1].end()-l.head.off < int64(n)
}

// append adds one frame. rev is the room's after it. At the limit the oldest
// chunks go, needed or not.
func (l *roomLog) append(frame []byte, rev chat.Rev) {
	at := l.head.off
	for len(frame) > 0 {
		if n := len(l.chunks); n == 0 || l.chunks[n-1].end() == at {
			l.grow(at)
		}
		c := l.chunks[len(l.chunks)-1]
		n := copy(c.mem[at-c.start:], frame)
		at += int64(n)
		frame = frame[n:]
	}
	l.head = offset{off: at, count: l.head.count + 1, rev: rev}
	last := l.chunks[len(l.chunks)-1]
	last.ends = append(last.ends, l.head)
}

// grow adds a chunk at offset at. What the log had to keep says how large.
func (l *roomLog) grow(at int64) {
	size := min(max(l.bytes, minChunk), maxChunk, max(l.limit/4, minChunk))
	for len(l.chunks) > 0 && l.bytes+size > l.limit {
		l.drop()
	}
	l.chunks = append(l.chunks, &chunk{start: at, mem: make([]byte, size)})
	l.bytes += size
	l.total.add(int64(size))
}

// trim drops the chunks that end at or before retained: they are not needed.
func (l *roomLog) trim(retained int64) {
	for len(l.chunks) > 0 && l.chunks[0].end() <= retained {
		l.drop()
	}
}

// giveUp drops the oldest chunks until there are at most so many bytes, needed or
// not.
func (l *roomLog) giveUp(most int) {
	for l.bytes > most {
		l.drop()
		l.loss = loss{l.start(), chat.GapMemory}
	}
}

// clear drops all chunks of a log that is not used any more, or begins anew.
func (l *roomLog) clear() {
	l.total.add(-int64(l.bytes))
	l.chunks, l.bytes = nil, 0
}

func (l *roomLog) drop() {
	c := l.chunks[0]
	if n := len(c.ends); n > 0 {
		l.base = c.ends[n-1]
	}
	l.bytes -= len(c.mem)
	l.total.add(-int64(len(c.mem)))
	l.chunks = slices.Delete(l.chunks, 0, 1)
}

// find returns the offset from which everything after rev follows, and nothing
// else: right behind the event rev. ok is false when that has left the log.
func (l *roomLog) find(rev chat.Rev) (m offset, ok bool) {
	m = l.base
	if m.rev != rev || m.off < l.start() {
		for _, c := range l.chunks {
			n := len(c.ends)
			if n == 0 {
				continue
			}
			if c.ends[n-1].rev < rev {
				m = c.ends[n-1]
				continue
			}
			i := sort.Search(n, func(i int) bool { return c.ends[i].rev >= rev })
			if c.ends[i].rev == rev {
				m = c.ends[i]
			} else if i > 0 {
				m = c.ends[i-1]
			}
			break
		}
	}
	return m, m.off >= l.start() && m.rev <= rev
}

// frameEnd returns the end of the first frame that ends at or after off. The
// chunks may have left the log; room.mu is held. off must not be above the
// newest end they hold.
func frameEnd(chunks []*chunk, off int64) offset {
	for _, c := range chunks {
		n := len(c.ends)
		if n == 0 || c.ends[n-1].off < off {
			continue
		}
		return c.ends[sort.Search(n, func(i int) bool { return c.ends[i].off >= off })]
	}
	panic("hub: a frame without an end")
}

// appendBytes appends the slices of chunks that hold the bytes from..to, which
// must be below the head of the log when the chunks were taken. It needs no lock.
func appendBytes(dst net.Buffers, chunks []*chunk, from, to int64) net.Buffers {
	for _, c := range chunks {
		a, b := max(from, c.start), min(to, c.end())
		if a < b {
			dst = append(dst, c.mem[a-c.start:b-c.start])
		}
	}
	return dst
}
