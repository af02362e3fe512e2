package consistency

import (
	"fmt"

	"github.com/roomtide/roomtide/chat"
)

// bug is a mistake that the toy room can be told to make.
type bug int

const (
	none bug = iota
	ackBeforeCommit
	loseOnRestart
	forgetKeys
	commitRefused
	commitBackwards
	reserveNumbers
	jumpNumbers
	inventMessage
	garbleText
	garbleForOne
	dropDelivery
	swapDeliveries
	repeatDelivery
	repeatOnResume
	skipOnResume
	withholdLast
	staleHistory
	holedHistory
)

// chooser makes the decisions of a run.
type chooser func(n int) int

// toy is one room on an imaginary server, with clients that record what they
// see. It is single-threaded: every step is one thing happening somewhere.
type toy struct {
	choose chooser
	bug    bug
	made   int // how often the bug showed
	rec    *Recorder

	committed []chat.Message
	pending   []*toySend // reached the server, not committed
	replies   []*toySend // committed, the answer is under way
	held      chat.Seq   // reserveNumbers: given to a later message

	senders   []*toySender
	observers []*toyObserver
	asked     []*toyRead
}

type toySend struct {
	by   *toySender
	op   *Send
	m    chat.Message
	done bool
}

type toySender struct {
	name    string
	conn    int
	n       int
	unknown []chat.Message // to be retried with the same key
}

type toyObserver struct {
	name   string
	at     int // delivered so far
	swap   bool
	online bool
}

type toyRead struct {
	q    *Question
	from int
}

const toyRoom = chat.RoomID("room1")

func newToy(choose chooser, b bug) *toy {
	t := &toy{choose: choose, bug: b, rec: NewRecorder()}
	for i := range 3 {
		t.senders = append(t.senders, &toySender{name: fmt.Sprintf("sender%d", i)})
		t.observers = append(t.observers, &toyObserver{name: fmt.Sprintf("device%d", i)})
	}
	return t
}

// run makes steps, ends the work and returns what there is to check.
func (t *toy) run(steps int) ([]Record, Final) {
	for range steps {
		switch t.choose(16) {
		case 0, 1, 2, 3:
			t.send()
		case 4, 5:
			t.commit()
		case 6, 7:
			t.answer(t.choose(8) == 0)
		case 8, 9, 10, 11:
			t.deliver(t.observers[t.choose(len(t.observers))])
		case 12:
			t.resume(t.observers[t.choose(len(t.observers))])
		case 13:
			t.ask()
		case 14:
			t.answerRead()
		case 15:
			if t.choose(4) == 0 {
				t.restart()
			}
		}
	}
	t.commit()
	for len(t.replies) > 0 {
		t.answer(false)
	}
	final := Final{toyRoom: nil}
	for i := range t.committed {
		final[toyRoom] = append(final[toyRoom], Of(&t.committed[i]))
	}
	for i, o := range t.observers {
		t.resume(o)
		end := len(t.committed)
		if t.bug == withholdLast && i == 0 && end > 0 {
			end, t.made = end-1, t.made+1
		}
		for o.at < end {
			t.deliver(o)
		}
		t.rec.CaughtUp(o.name, toyRoom)
	}
	return t.rec.Records(), final
}

// planted says whether the bug shows this time, and counts it.
func (t *toy) planted(b bug, oneIn int) bool {
	if t.bug != b || t.choose(oneIn) != 0 {
		return false
	}
	t.made++
	return true
}

func (t *toy) send() {
	s := t.senders[t.choose(len(t.senders))]
	var m chat.Message
	if len(s.unknown) > 0 && t.choose(2) == 0 {
		m, s.unknown = s.unknown[0], s.unknown[1:]
	} else {
		s.n++
		key := fmt.Sprintf("%s-%d", s.name, s.n)
		m = chat.Message{Room: toyRoom, User: chat.UserID(s.name), Key: key, Text: "text of " + key}
	}
	p := &toySend{by: s, m: m}
	p.op = t.rec.Send(fmt.Sprintf("%s/%d", s.name, s.conn), toyRoom, m.User, m.Key, m.Text)
	switch {
	case t.choose(10) == 0: // refused
		p.op.Fail()
		p.done = true
		if !t.planted(commitRefused, 1) {
			return
		}
	case t.choose(10) == 0: // lost on the way
		t.lost(p)
		return
	case t.planted(ackBeforeCommit, 1):
		p.done = true
		n := chat.Seq(len(t.committed) + len(t.pending) + 1)
		p.op.OK(n, chat.Rev(n))
	}
	t.pending = append(t.pending, p)
}

func (t *toy) lost(p *toySend) {
	if !p.done {
		p.done = true
		p.op.Unknown()
		p.by.unknown = append(p.by.unknown, p.m)
	}
}

func (t *toy) commit() {
	if len(t.pending) > 1 && t.planted(commitBackwards, 1) {
		for i, j := 0, len(t.pending)-1; i < j; i, j = i+1, j-1 {
			t.pending[i], t.pending[j] = t.pending[j], t.pending[i]
		}
	}
	for _, p := range t.pending {
		t.insert(&p.m)
		t.replies = append(t.replies, p)
	}
	t.pending = nil
	if t.planted(inventMessage, 1) {
		t.insert(&chat.Message{Room: toyRoom, User: "stranger", Key: fmt.Sprint("invented", t.made), Text: "boo"})
	}
}

// insert numbers m, unless its key is known.
func (t *toy) insert(m *chat.Message) {
	for i := range t.committed {
		if c := &t.committed[i]; c.User == m.User && c.Key == m.Key {
			if t.planted(forgetKeys, 1) {
				break
			}
			*m = *c
			return
		}
	}
	m.Seq = chat.Seq(len(t.committed) + 1)
	switch {
	case t.held != 0 && t.choose(4) > 0:
		m.Seq++
	case t.held != 0:
		m.Seq, t.held = t.held, 0
	case t.planted(reserveNumbers, 4):
		t.held = m.Seq
		m.Seq++
	case t.planted(jumpNumbers, 8):
		m.Seq++
	}
	m.Rev, m.Created = chat.Rev(m.Seq), chat.Rev(m.Seq)
	c := *m
	if t.planted(garbleText, 8) {
		c.Text += "!"
	}
	t.committed = append(t.committed, c)
}

func (t *toy) answer(dropped bool) {
	if len(t.replies) == 0 {
		return
	}
	p := t.replies[0]
	t.replies = t.replies[1:]
	switch {
	case p.done:
	case dropped:
		t.lost(p)
	default:
		p.done = true
		p.op.OK(p.m.Seq, p.m.Created)
	}
}

func (t *toy) deliver(o *toyObserver) {
	if !o.online {
		t.resume(o)
	}
	i := o.at
	if i >= len(t.committed) {
		return
	}
	if i+1 < len(t.committed) && !o.swap && t.planted(swapDeliveries, 6) {
		o.swap = true
		t.show(o, i+1)
		t.show(o, i)
		o.at += 2
		o.swap = false
		return
	}
	if i+1 < len(t.committed) && t.planted(dropDelivery, 8) {
		o.at++
		i++
	}
	t.show(o, i)
	if t.planted(repeatDelivery, 8) {
		t.show(o, i)
	}
	o.at++
}

func (t *toy) show(o *toyObserver, i int) {
	m := t.committed[i]
	if o == t.observers[0] && t.planted(garbleForOne, 8) {
		m.Key, m.Text = m.Key+"'", "another"
	}
	t.rec.Deliver(o.name, &m)
}

func (t *toy) resume(o *toyObserver) {
	var seq chat.Seq
	if o.at > 0 {
		seq = t.committed[o.at-1].Seq
	}
	t.rec.Resume(o.name, toyRoom, seq)
	o.online = true
	if o.at > 0 && t.planted(repeatOnResume, 2) {
		t.show(o, o.at-1)
	}
	if o.at+1 < len(t.committed) && t.planted(skipOnResume, 2) {
		t.show(o, o.at+1)
		o.at += 2
	}
}

func (t *toy) ask() {
	i := t.choose(len(t.senders))
	q := t.rec.Ask(t.observers[i].name, toyRoom, chat.UserID(t.senders[i].name))
	t.asked = append(t.asked, &toyRead{q: q, from: len(t.committed)})
}

func (t *toy) answerRead() {
	if len(t.asked) == 0 {
		return
	}
	a := t.asked[0]
	t.asked = t.asked[1:]
	end := len(t.committed)
	if end > 3 && t.planted(staleHistory, 1) {
		end = max(0, a.from-3)
	}
	page := append([]chat.Message(nil), t.committed[max(0, end-10):end]...)
	if len(page) > 2 && t.planted(holedHistory, 2) {
		page = append(page[:1], page[2:]...)
	}
	a.q.Answer(page)
}

// restart loses what was not committed, and the connections.
func (t *toy) restart() {
	for _, p := range append(t.pending, t.replies...) {
		t.lost(p)
	}
	t.pending, t.replies = nil, nil
	if len(t.committed) > 0 && t.planted(loseOnRestart, 1) {
		t.committed = t.committed[:len(t.committed)-1]
	}
	for _, s := range t.senders {
		s.conn++
	}
	for _, o := range t.observers {
		o.online = false
		o.at = min(o.at, len(t.committed))
	}
}
