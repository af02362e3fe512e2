package workload

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/consistency"
	"github.com/roomtide/roomtide/wire"
)

// strictWriter sends messages by the protocol alone. What has no outcome when a connection
// ends it sends again with its key, but for every second message of those that were
// accepted: these have to be decided all the same.
type strictWriter struct {
	w        *Workload
	name     string
	socketio bool
	rng      *rand.Rand

	frames *frames // nil while there is none
	open   []*opened
	n      int
}

// opened is a message without an outcome.
type opened struct {
	sent
	n        int
	at       time.Time // when it was sent first
	send     *consistency.Send
	id       int64     // of its command on this connection; 0: to be sent
	again    time.Time // when it is sent again after a refusal
	accepted bool
}

// silent is how long a strict writer waits for anything before it connects again.
const silent = 5 * time.Second

// writeStrictly goes on until stop, and returns when nothing is open.
func (w *Workload) writeStrictly(name string, overSocketIO bool) {
	s := &strictWriter{w: w, name: name, socketio: overSocketIO, rng: rand.New(rand.NewPCG(uint64(len(name)), uint64(name[len(name)-1])))}
	var stopped time.Time
	for {
		if closed(w.stop) {
			if stopped.IsZero() {
				stopped = time.Now()
			}
			if len(s.open) == 0 {
				break
			}
			if time.Since(stopped) > w.o.Patience {
				w.fail("%s: %d messages have no outcome, the first is %s", name, len(s.open), s.open[0].key)
				break
			}
		}
		if !s.connected() {
			<-time.After(20 * time.Millisecond) // the node may be down for now
			continue
		}
		s.talk()
		s.lost()
	}
}

func (s *strictWriter) connected() bool {
	var err error
	s.frames, err = dialFrames(s.w.o.Addr, s.name, s.socketio)
	return err == nil
}

// talk sends and listens until the connection is of no more use.
func (s *strictWriter) talk() {
	heard, done := make(chan *wire.ServerFrame), make(chan struct{})
	f := s.frames
	defer f.close()
	defer close(done)
	go func() {
		defer close(heard)
		for {
			got, err := f.hear(silent)
			var bad *badFrame
			if errors.As(err, &bad) {
				s.w.fail("%s: %v", s.name, err)
			}
			if err != nil {
				return
			}
			select {
			case heard <- got:
			case <-done:
				return
			}
		}
	}()
	ticks := time.NewTicker(s.w.o.Pace)
	defer ticks.Stop()
	for {
		select {
		case got, ok := <-heard:
			if !ok || got.Goodbye != nil {
				return
			}
			s.handle(got)
		case <-ticks.C:
			if !closed(s.w.stop) {
				s.compose()
			} else if len(s.open) == 0 {
				return
			}
			if s.flush() != nil {
				return
			}
		}
	}
}

// compose adds a message, if there is room for it.
func (s *strictWriter) compose() {
	if len(s.open) >= window {
		return
	}
	s.n++
	room := s.w.Rooms[s.rng.IntN(len(s.w.Rooms))]
	text := fmt.Sprintf("%s says %d", s.name, s.n)
	s.open = append(s.open, &opened{sent: sent{room, s.name, text, s.name + " " + text}, n: s.n, at: time.Now()})
}

// flush sends what has to be sent, again or for the first time.
func (s *strictWriter) flush() error {
	for _, o := range s.open {
		if o.id != 0 || time.Now().Before(o.again) {
			continue
		}
		client := s.name
		if o.send != nil {
			client = "" // it may come behind later ones
		}
		o.send = s.w.Rec.Send(client, o.room, chat.UserID(s.name), o.key, o.text)
		var err error
		if o.id, err = s.frames.say(&wire.Command{Type: wire.Message, Room: o.room, Text: o.text, HasText: true, Key: o.key}); err != nil {
			return err
		}
	}
	return nil
}

func (s *strictWriter) handle(f *wire.ServerFrame) {
	i := slices.IndexFunc(s.open, func(o *opened) bool {
		return o.id != 0 && (f.HasID && o.id == f.ID || f.Type == "accepted" && o.key == f.Reason)
	})
	if i < 0 {
		return // an answer to hello, or one that came behind another
	}
	o := s.open[i]
	switch {
	case f.Type == "accepted":
		if !o.accepted {
			o.accepted = true
			o.send.Accepted()
			s.w.accepted.Add(1)
		}
		return
	case f.Type == "ack":
		o.send.OK(f.Seq, f.Rev)
		s.w.ack(o.sent, o.at)
	case f.Type == "error" && f.Err.Kind.Retryable():
		if o.accepted {
			s.w.fail("%s: %s was accepted, and is refused: %v", s.name, o.key, f.Err)
		}
		o.send.Unknown()
		o.id, o.again = 0, time.Now().Add(max(time.Duration(f.Err.RetryAfter)*time.Millisecond, 100*time.Millisecond))
		return
	case f.Type == "error":
		s.w.fail("%s: %s: %v", s.name, o.key, f.Err)
		o.send.Fail()
	default:
		return
	}
	s.open = slices.Delete(s.open, i, i+1)
}

// lost notes that a connection has ended: what was sent has no answer.
func (s *strictWriter) lost() {
	var keep []*opened
	for _, o := range s.open {
		if o.id != 0 {
			o.send.Unknown()
			o.id = 0
		}
		if o.accepted && o.n%2 == 0 {
			s.w.mu.Lock()
			s.w.promised = append(s.w.promised, o.sent)
			s.w.mu.Unlock()
			continue
		}
		o.accepted = false // what is sent again may be refused
		keep = append(keep, o)
	}
	s.open = keep
}
