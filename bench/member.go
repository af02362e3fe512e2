package bench

import (
	"bytes"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// member is one connection in its room: it counts what it is shown, checks the
// numbers, and measures how long things took.
type member struct {
	// Set once.
	load   *load
	conn   *conn
	room   int
	name   string
	sender bool

	// Owned by the reader.
	last    int64 // number of the last message shown
	sampled int

	delivered atomic.Int64
	at        atomic.Int64  // Unix nanoseconds of the last delivery
	window    chan struct{} // of a sender in a closed loop: a token for each message in flight
}

// sampleEvery is how often a delivery is timed in a closed loop, where there
// are many; in an open loop every one is.
const sampleEvery = 16

// read looks at everything the server sends until the connection ends.
func (m *member) read() {
	for {
		p, err := m.conn.next()
		if err != nil {
			if !m.load.stopped.Load() {
				m.load.lost.Add(1)
			}
			return
		}
		switch {
		case bytes.HasPrefix(p, []byte(`{"type":"message"`)):
			m.shown(p)
		case bytes.HasPrefix(p, []byte(`{"type":"ack","id":`)):
			m.acked(number(p, `"id":`))
		case bytes.HasPrefix(p, []byte(`{"type":"error"`)):
			m.refused(p)
		case bytes.HasPrefix(p, []byte(`{"type":"gap"`)):
			m.load.gaps.Add(1)
		}
	}
}

// shown counts a message and checks that it is the next one.
func (m *member) shown(p []byte) {
	if seq := number(p, `"seq":`); seq == m.last+1 {
		m.last = seq
		m.delivered.Add(1)
	} else {
		m.outOfOrder(seq)
	}
	now := time.Now().UnixNano()
	m.at.Store(now)
	m.sampled++
	if m.sampled%sampleEvery == 0 || m.load.s.Rate > 0 {
		m.load.delivery.add(time.Duration(now - number(p, stampMark)))
	}
	if m.load.floor && m.sender && bytes.Contains(p, []byte(`"user":"`+m.name+`"`)) {
		m.acked(number(p, stampMark)) // a floor sends no acks: the own copy is one
	}
}

// outOfOrder notes a hole (what is missing is counted at the end) or a message
// that came before.
func (m *member) outOfOrder(seq int64) {
	if seq <= m.last {
		m.load.doubled.Add(1)
		return
	}
	m.last = seq
	m.delivered.Add(1)
}

// acked handles an ack. The command's number is the time it was to be sent.
func (m *member) acked(id int64) {
	m.load.ack.add(time.Duration(time.Now().UnixNano() - id))
	m.load.acks.Add(1)
	m.release()
}

func (m *member) refused(p []byte) {
	code := "unknown"
	if _, rest, ok := bytes.Cut(p, []byte(`"code":"`)); ok {
		word, _, _ := bytes.Cut(rest, []byte(`"`))
		code = string(word)
	}
	m.load.refuse(code)
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
			time.Sleep(time.Until(at))
		} else {
			select {
			case m.window <- struct{}{}:
				at = time.Now()
			case <-timeout:
				return
			}
		}
		if !at.Before(deadline) {
			return
		}
		stamp = max(stamp+1, at.UnixNano())
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
	dst = strconv.AppendInt(append(dst, `{"type":"message","id":`...), stamp, 10)
	dst = append(append(append(dst, `,"room":"`...), m.load.roomName(m.room)...), '"')
	if m.load.s.Keys {
		dst = strconv.AppendInt(append(dst, `,"key":"`...), stamp, 36)
		dst = append(dst, '"')
	}
	start := len(dst) + len(`,"message":"`)
	dst = append(append(dst, `,"message":"`...), stampMark...)
	dst = append(strconv.AppendInt(dst, stamp, 10), '~')
	for len(dst)-start < m.load.s.Size {
		dst = append(dst, 'x')
	}
	return append(dst, `"}`...)
}

// refusals counts errors by their code.
type refusals struct {
	mu sync.Mutex
	n  map[string]int64
}

func (l *load) refuse(code string) {
	l.refusals.mu.Lock()
	defer l.refusals.mu.Unlock()
	if l.refusals.n == nil {
		l.refusals.n = map[string]int64{}
	}
	l.refusals.n[code]++
}
