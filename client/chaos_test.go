package client

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/consistency"
	"github.com/roomtide/roomtide/wire"
)

// Three clients write to and read from two rooms while connections break,
// acks and events get lost and messages are edited. The consumers see every
// message once and in order, and every send is numbered once.
func TestChaos(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) { chaos(t, seed) })
	}
}

func chaos(t *testing.T, seed uint64) {
	rooms := []chat.RoomID{"room1", "room2"}
	const users, each = 3, 100
	rng := rand.New(rand.NewPCG(seed, 0))
	f := newFake(t)
	f.page = 3
	rec := consistency.NewRecorder()
	clients := make([]*Client, users)
	for u := range clients {
		clients[u] = dial(t, f, func(o *Options) { o.User = fmt.Sprint("user", u); o.Events = 8 })
	}
	f.with(func() {
		f.hook = func(fc *fakeConn, cmd *wire.Command) bool { return f.mishap(rng, fc, cmd) }
	})
	var senders, readers sync.WaitGroup
	for u, c := range clients {
		user := fmt.Sprint("user", u)
		for _, r := range rooms {
			rec.Resume(user, r, join(t, c, r, JoinOptions{}).At.Seq)
		}
		readers.Go(func() { consume(t, c, user, rec, len(rooms), users*each) })
		senders.Go(func() {
			var pending sync.WaitGroup
			for i := range each {
				for _, r := range rooms {
					pending.Add(1)
					text := fmt.Sprintf("%s says %d", user, i)
					key := newKey()
					s := rec.Send(user, r, chat.UserID(user), key, text)
					c.SendAsync(r, chat.Draft{Text: text, Key: key}, func(sent Sent, err error) {
						defer pending.Done()
						if err != nil {
							t.Error(err)
							s.Unknown()
							return
						}
						s.OK(sent.Seq, sent.Rev)
					})
				}
			}
			pending.Wait()
		})
	}
	senders.Wait()
	f.with(func() { f.hook = nil })
	f.each((*fakeConn).cut) // clients that lost the last events resume
	readers.Wait()
	final := consistency.Final{}
	f.with(func() {
		for id, r := range f.rooms {
			for i := range r.messages {
				final[id] = append(final[id], consistency.Of(&r.messages[i]))
			}
		}
	})
	for u := range users {
		for _, r := range rooms {
			rec.CaughtUp(fmt.Sprint("user", u), r)
		}
	}
	for _, v := range consistency.Check(rec.Records(), final) {
		t.Error(v)
	}
}

// mishap makes something go wrong around a command now and then.
func (f *fake) mishap(rng *rand.Rand, fc *fakeConn, cmd *wire.Command) (handled bool) {
	r := f.room(cmd.Room)
	switch rng.IntN(30) {
	case 0:
		fc.cut() // lost on the way
		return true
	case 1:
		fc.handle(cmd) // done, and the answer may be lost
		if rng.IntN(2) == 0 {
			fc.cut()
		} else {
			fc.hangUp() // or no client makes progress whose answers are always cut off
		}
		return true
	case 2:
		for c := range f.conns { // a connection misses what comes, and finds out by the hole
			was := c.joined[cmd.Room]
			delete(c.joined, cmd.Room)
			fc.handle(cmd)
			if was {
				c.joined[cmd.Room] = true
			}
			return true
		}
	case 3:
		for c := range f.conns { // a connection was too slow
			if c.joined[cmd.Room] {
				delete(c.joined, cmd.Room)
				c.out <- wire.AppendGap(nil, cmd.Room, r.Rev, chat.GapSlow)
			}
		}
	case 4, 5:
		if r.LastSeq > 0 {
			f.edit(cmd.Room, chat.Seq(1+rng.IntN(int(r.LastSeq))), "edited")
		}
	}
	return false
}

// consume records what a consumer is given until it has had the message last
// of each room.
func consume(t *testing.T, c *Client, device string, rec *consistency.Recorder, rooms int, last chat.Seq) {
	const patience = 20 * time.Second // with each event
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for rooms > 0 {
		select {
		case ev := <-c.Events():
			timeout.Reset(patience)
			if ev.Kind != chat.EventMessage {
				continue
			}
			rec.Deliver(device, ev.Message)
			if ev.Message.Seq == last {
				rooms--
			}
		case <-timeout.C:
			t.Errorf("%s was not told everything: %d rooms are left", device, rooms)
			go func() { // sends on this connection must come to an end
				for range c.Events() {
				}
			}()
			return
		}
	}
}
