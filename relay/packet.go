package relay

import (
	"encoding/binary"
	"errors"
)

const (
	format = 1 // leads every message; another one is not read

	// maxPacket ends a packet or an answer; one entry that is larger goes alone.
	maxPacket = 256 << 10

	// maxSpan bounds the numbers from base on: what a sender may have open, finished
	// entries behind an open one included, and what an owner keeps of one sender.
	maxSpan = 64 << 10

	maxNumber = 1 << 62
	maxNode   = 256
)

var errFormat = errors.New("not a message of the relay")

// packet is what a sender says to the owner of a lane.
type packet struct {
	from  uint64 // incarnation of the sender
	lane  uint64
	slots int64 // version of the sender's slot map
	ask   bool  // answer at once, with all outcomes that are kept
	base  uint64
	first uint64
	kept  uint64 // entries below are in the durable queue and not sent directly any more

	entries [][]byte // bytes of changes; an empty one takes its number alone
}

// appendHeader appends all but the entries, which follow to the end of the packet.
func (p *packet) appendHeader(b []byte) []byte {
	b = append(b, format)
	b = binary.BigEndian.AppendUint64(b, p.from)
	b = binary.AppendUvarint(b, p.lane)
	b = binary.AppendVarint(b, p.slots)
	b = appendBool(b, p.ask)
	b = binary.AppendUvarint(b, p.base)
	b = binary.AppendUvarint(b, p.first)
	return binary.AppendUvarint(b, p.kept)
}

// decodePacket reads a packet, whose entries lie in b.
func decodePacket(b []byte) (packet, error) {
	r := reader{b: b}
	r.format()
	p := packet{from: r.fixed(), lane: r.uvarint(), slots: r.varint(), ask: r.bool(), base: r.uvarint(), first: r.uvarint(), kept: r.uvarint()}
	r.check(p.base >= 1 && p.base <= p.first && p.first <= maxNumber && p.first-p.base <= maxSpan && (p.kept <= p.base || p.kept-p.base <= maxSpan))
	for r.more() {
		p.entries = append(p.entries, r.bytes())
		r.check(len(p.entries) <= maxSpan)
	}
	return p, r.err
}

// outcome is what came of one entry.
type outcome struct {
	n     uint64
	how   how
	slots int64  // of moved: version of the owner's map
	reply []byte // of decided: change.AppendReply
}

// how says what came of an entry.
type how byte

const (
	decided how = iota
	moved       // the slot is not of the lane by the owner's map
	lost        // it was decided under an earlier owner or before its sender was forgotten, or the durable queue has lost it: the outcome is not known
)

// answer is what an owner says to a sender about one lane. A message holds several.
type answer struct {
	lane     uint64
	tenure   uint64
	next     uint64
	want     bool
	outcomes []outcome
}

func (a *answer) append(b []byte) []byte {
	b = binary.AppendUvarint(b, a.lane)
	b = binary.BigEndian.AppendUint64(b, a.tenure)
	b = binary.AppendUvarint(b, a.next)
	b = appendBool(b, a.want)
	b = binary.AppendUvarint(b, uint64(len(a.outcomes)))
	for i := range a.outcomes {
		o := &a.outcomes[i]
		b = binary.AppendUvarint(b, o.n)
		b = append(b, byte(o.how))
		switch o.how {
		case moved:
			b = binary.AppendVarint(b, o.slots)
		case decided:
			b = binary.AppendUvarint(b, uint64(len(o.reply)))
			b = append(b, o.reply...)
		}
	}
	return b
}

// decodeAnswers reads the answers of one message, whose replies lie in b.
func decodeAnswers(b []byte) ([]answer, error) {
	r := reader{b: b}
	r.format()
	var as []answer
	for r.more() {
		a := answer{lane: r.uvarint(), tenure: r.fixed(), next: r.uvarint(), want: r.bool()}
		count := r.uvarint()
		r.check(count <= maxSpan)
		for ; count > 0 && r.err == nil; count-- {
			o := outcome{n: r.uvarint(), how: how(r.byte())}
			r.check(o.how <= lost)
			switch o.how {
			case moved:
				o.slots = r.varint()
			case decided:
				o.reply = r.bytes()
			}
			a.outcomes = append(a.outcomes, o)
		}
		as = append(as, a)
	}
	return as, r.err
}

// announcement says that a node owns a lane from now on.
type announcement struct {
	lane   uint64
	tenure uint64
	node   string // for the log
}

func (a *announcement) append(b []byte) []byte {
	b = append(b, format)
	b = binary.AppendUvarint(b, a.lane)
	b = binary.BigEndian.AppendUint64(b, a.tenure)
	b = binary.AppendUvarint(b, uint64(len(a.node)))
	return append(b, a.node...)
}

func decodeAnnouncement(b []byte) (announcement, error) {
	r := reader{b: b}
	r.format()
	a := announcement{lane: r.uvarint(), tenure: r.fixed(), node: string(r.bytes())}
	r.check(len(r.b) == 0 && len(a.node) <= maxNode)
	return a, r.err
}

// reader reads fields one after the other. Behind an error all are zero.
type reader struct {
	b   []byte
	err error
}

func (r *reader) more() bool { return r.err == nil && len(r.b) > 0 }

func (r *reader) check(ok bool) {
	if !ok {
		r.err, r.b = errFormat, nil
	}
}

// take returns the next n bytes, nil if there are fewer.
func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.check(false)
		return nil
	}
	head := r.b[:n:n]
	r.b = r.b[n:]
	return head
}

func (r *reader) format() {
	b := r.take(1)
	r.check(len(b) == 1 && b[0] == format)
}

func (r *reader) fixed() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) bool() bool {
	b := r.byte()
	r.check(b <= 1)
	return b == 1
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.check(false)
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.check(false)
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) bytes() []byte { return r.take(r.uvarint()) }

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}
