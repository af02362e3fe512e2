package workload

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
)

// lately is what a writer knows of its messages in a room.
type lately struct {
	seq  atomic.Int64 // of the last one that was acknowledged
	open atomic.Int64
}

// write sends to all rooms, with edits and reads in between, until stop, and returns
// when everything it sent is acknowledged.
func (w *Workload) write(name string, seed uint64) {
	c := w.Dial(name)
	if c == nil {
		return
	}
	defer c.Close()
	go func() {
		for range c.Events() { // unread events would stop the connection
		}
	}()
	rng := rand.New(rand.NewPCG(seed, 7))
	free := make(chan struct{}, window)
	ticks := time.NewTicker(w.o.Pace)
	defer ticks.Stop()
	last := make([]lately, len(w.Rooms))
	for n := 1; ; n++ {
		select {
		case <-w.stop:
			for range window { // wait for all acks
				free <- struct{}{}
			}
			return
		case <-ticks.C:
		}
		i := rng.IntN(len(w.Rooms))
		l, room := &last[i], w.Rooms[i]
		if w.o.InTurn && l.open.Load() > 0 {
			continue
		}
		free <- struct{}{}
		l.open.Add(1)
		w.send(c, name, room, fmt.Sprintf("%s says %d", name, n), l, func() { l.open.Add(-1); <-free })
		if seq := l.seq.Load(); n%editEvery == 0 && seq > 0 {
			w.change(c, room, chat.Seq(seq), n)
		}
		if n%readEvery == 0 {
			w.read(c, name, room)
		}
	}
}

func (w *Workload) send(c *client.Client, name string, room chat.RoomID, text string, l *lately, done func()) {
	key, at := fmt.Sprintf("%s %s", name, text), time.Now()
	s := w.Rec.Send(name, room, chat.UserID(name), key, text)
	c.SendAsync(room, chat.Draft{Text: text, Key: key}, func(got client.Sent, err error) {
		defer done()
		if chat.KindOf(err) == chat.NotMember {
			s.Fail() // sent before the join
			return
		}
		if err != nil {
			w.fail("%s: %v", key, err)
			s.Unknown()
			return
		}
		s.OK(got.Seq, got.Rev)
		l.seq.Store(int64(got.Seq))
		w.ack(sent{room, name, text, key}, at)
	})
}

// change edits, reacts to or deletes a message, so that resumes include revs other
// than new messages.
func (w *Workload) change(c *client.Client, room chat.RoomID, seq chat.Seq, n int) {
	ctx, cancel := w.context()
	defer cancel()
	err := whileRefused(func() (err error) {
		switch n / editEvery % 4 {
		case 0, 1:
			_, err = c.Edit(ctx, room, seq, fmt.Sprint("edited ", n))
		case 2:
			_, err = c.React(ctx, room, seq, "👍", true)
		case 3:
			_, err = c.Delete(ctx, room, seq)
		}
		return err
	})
	if err != nil && chat.KindOf(err) != chat.NotFound { // a repeated delete, or an edit of what was deleted
		w.fail("changing %s/%d: %v", room, seq, err)
	}
}

// whileRefused repeats a request that was refused for now, by a node that stops or that
// does not reach a database. The context of the request bounds it.
func whileRefused(ask func() error) error {
	for {
		err := ask()
		if chat.KindOf(err) != chat.Unavailable && chat.KindOf(err) != chat.Busy {
			return err
		}
		<-time.After(20 * time.Millisecond)
	}
}

func (w *Workload) read(c *client.Client, name string, room chat.RoomID) {
	ctx, cancel := w.context()
	defer cancel()
	q := w.Rec.Ask(name, room, chat.UserID(name))
	var ms []chat.Message
	err := whileRefused(func() (err error) {
		ms, _, err = c.History(ctx, room, client.Page{})
		return err
	})
	if err != nil {
		w.fail("%s reads %s: %v", name, room, err)
		return
	}
	q.Answer(ms)
}
