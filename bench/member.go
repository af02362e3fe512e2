package bench

import (
	"bytes"
	"context"
	"strconv"
	"sync/atomic"
	"time"
)

// member is one connection in its room: it counts the messages it gets, checks their
// numbers, and measures latencies.
type member struct {
	// Set once.
	load    *load
	conn    *conn
	room    int
	name    string
	sender  bool
	returns bool // is cut or stopped on purpose: comes back and asks for what it missed

	// Owned by the reader.
	last    int64 // number of the last message shown
	rev     int64 // of the last change shown
	sampled int

	delivered atomic.Int64
	at        atomic.Int64                  // when the last delivery was, by the load's clock
	window    chan struct{}                 // of a sender in a closed loop: a token for each message in flight
	cut       atomic.Bool                   // the connection was cut, and the reader has not noticed yet
	away      atomic.Bool                   // not back yet
	held      atomic.Pointer[chan struct{}] // reading stops until it is closed
}

// sampleEvery is how often a delivery is timed in a closed loop, where there
// are many; in an open loop every one is.
const sampleEvery = 16

// live reads until the connection ends for good.
func (m *member) live(ctx context.Context) {
	for {
		err := m.read()
		if m.load.stopped() {
			return
		}
		if !m.returns {
			m.load.lost.Add(1)
			return
		}
		if !m.cut.Swap(false) {
			m.load.returns.ends.add(reason(err), 1)
		}
		m.away.Store(true)
		if !m.comeBack(ctx) {
			return
		}
	}
}

// read looks at everything the server sends until the connection ends.
func (m *member) read() error {
	for {
		if held := m.held.Load(); held != nil {
			<-*held
		}
		f, err := m.conn.next()
		if err != nil {
			return err
		}
		switch o := f.object; {
		case bytes.HasPrefix(o, []byte(`{"type":"message"`)):
			m.shown(o)
		case bytes.HasPrefix(o, []byte(`{"type":"member"`)):
			rev := number(o, `"rev":`)
			m.follow(rev, rev)
		case bytes.HasPrefix(o, []byte(`{"type":"members"`)):
			m.follow(number(o, `"since":`)+1, number(o, `"rev":`))
		case bytes.HasPrefix(o, []byte(`{"type":"error"`)):
			m.refused(o)
		case f.reply:
			m.acked(f.id)
		case bytes.HasPrefix(o, []byte(`{"type":"gap"`)):
			if !m.returns {
				m.load.gaps.Add(1)
			} else if err := m.resume(); err != nil {
				return err
			}
		}
	}
}

// shown counts a message and notes how long it took.
func (m *member) shown(p []byte) {
	m.take(number(p, `"seq":`), number(p, `"rev":`))
	now := m.load.clock()
	m.at.Store(now)
	m.sampled++
	if !m.returns && (m.sampled%sampleEvery == 0 || m.load.s.Rate > 0) {
		m.load.figures.Load().delivery.add(time.Duration(now - number(p, stampMark)))
	}
	if m.load.floor && m.sender && bytes.Contains(p, []byte(`"user":"`+m.name+`"`)) {
		m.acked(number(p, stampMark)) // a floor sends no acks: the own copy is one
	}
}

// take counts a message, live or caught up, and checks that it is the next one.
// A hole is noted and counted at the end.
func (m *member) take(seq, rev int64) {
	if seq <= m.last {
		m.load.doubled.Add(1)
		return
	}
	m.last = seq
	m.delivered.Add(1)
	m.follow(rev, rev)
}

// follow checks that the changes first to last are the next ones. Floors have no
// revs.
func (m *member) follow(first, last int64) {
	if last == 0 {
		return
	}
	if first != m.rev+1 {
		m.load.revs.Add(1)
	}
	m.rev = max(m.rev, last)
}

// acked handles an ack. The command's number is the time it was to be sent.
func (m *member) acked(id int64) {
	m.load.figures.Load().ack.add(time.Duration(m.load.clock() - id))
	m.load.acks.Add(1)
	m.release()
}

func (m *member) refused(p []byte) {
	code := "unknown"
	if _, rest, ok := bytes.Cut(p, []byte(`"code":"`)); ok {
		word, _, _ := bytes.Cut(rest, []byte(`"`))
		code = string(word)
	}
	m.load.refusals.add(code, 1)
	m.release()
}

func (m *member) release() {
	select {
	case <-m.window:
	default: // an open loop has no window
	}
}

// stampMark comes before the time in a message's text.
const stampMark = "~T"

// number reads the digits after the first occurrence of mark, 0 if there are
// none.
func number(p []byte, mark string) (n int64) {
	i := bytes.Index(p, []byte(mark))
	if i < 0 {
		return 0
	}
	for _, b := range p[i+len(mark):] {
		if b < '0' || b > '9' {
			break
		}
		n = n*10 + int64(b-'0')
	}
	return n
}

// write sends messages until the deadline: as fast as the window allows, or at
// the times that the rate asks for, whether the server keeps up or not.
func (m *member) write(begin, deadline time.Time, offset time.Duration) {
	s := &m.load.s
	gap := time.Duration(0)
	if s.Rate > 0 {
		gap = time.Duration(float64(s.Senders) / s.Rate * float64(time.Second))
	}
	timeout := time.After(time.Until(deadline))
	next := begin.Add(offset)
	stamp := int64(0)
	var text, frame []byte
	for {
		var at time.Time
		if s.Rate > 0 {
			at = next
			next = next.Add(gap)
			m.load.pause(time.Until(at))
		} else {
			m.load.pause(s.Pause)
			select {
			case m.window <- struct{}{}:
				at = time.Now()
			case <-timeout:
				return
			case <-m.load.enough:
				return
			}
		}
		if !at.Before(deadline) || closed(m.load.enough) {
			return
		}
		stamp = max(stamp+1, int64(at.Sub(m.load.epoch)))
		text = m.appendMessage(text[:0], stamp)
		frame = appendFrame(frame[:0], opText, text)
		if err := m.conn.write(frame); err != nil {
			return // the reader has noticed
		}
		m.load.sent[m.room].Add(1)
	}
}

// appendMessage appends the command. Its number and the beginning of its text
// are the time it was to be sent.
func (m *member) appendMessage(dst []byte, stamp int64) []byte {
	fields := append(append(append(make([]byte, 0, 128+m.load.s.Size), `"room":"`...), m.load.roomName(m.room)...), '"')
	if m.load.s.Keys {
		fields = strconv.AppendInt(append(fields, `,"key":"`...), stamp, 36)
		fields = append(fields, '"')
	}
	start := len(fields) + len(`,"message":"`)
	fields = append(append(fields, `,"message":"`...), stampMark...)
	fields = append(strconv.AppendInt(fields, stamp, 10), '~')
	for len(fields)-start < m.load.s.Size {
		fields = append(fields, 'x')
	}
	return m.conn.proto.appendCommand(dst, "message", stamp, append(fields, '"'))
}
