package workload

import (
	"fmt"
	"sync"

	"github.com/roomtide/roomtide/chat"
)

// Storm has so many clients connect and join all rooms at the same time, and returns when
// all of them have been let in and have left.
func (w *Workload) Storm(clients int) {
	ctx, cancel := w.context()
	defer cancel()
	var work sync.WaitGroup
	for i := range clients {
		work.Go(func() {
			// A client that took a slow join for a dead connection would ask for it again and again.
			c := w.dialAt(w.o.Addr, fmt.Sprint(w.o.As, "crowd", i), 0)
			if c == nil {
				return
			}
			defer c.Close()
			for _, room := range w.Rooms {
				if err := enter(ctx, c, room); err != nil {
					w.fail("crowd%d joins %s: %v", i, room, err)
				}
			}
		})
	}
	work.Wait()
}

// SendTwice sends messages of one user on two nodes at the same time, each with the same
// key on both, and returns when both have acknowledged all of them. Runs differ in round.
func (w *Workload) SendTwice(addrs [2]string, messages, round int) {
	const user = "twin"
	var work sync.WaitGroup
	for side, addr := range addrs {
		c := w.dialAt(addr, user, w.o.Ping)
		if c == nil {
			return
		}
		work.Go(func() {
			defer c.Close()
			ctx, cancel := w.context()
			defer cancel()
			for _, room := range w.Rooms {
				if err := enter(ctx, c, room); err != nil {
					w.fail("%s joins %s: %v", user, room, err)
					return
				}
			}
			go func() {
				for range c.Events() { // unread events would stop the connection
				}
			}()
			for i := range messages {
				room, key := w.Rooms[i%len(w.Rooms)], fmt.Sprint(user, " ", round, " ", i)
				s := w.Rec.Send("", room, user, key, key)
				got, err := c.Send(ctx, room, chat.Draft{Text: key, Key: key})
				if err != nil {
					w.fail("%s on side %d: %v", key, side, err)
					s.Unknown()
					return
				}
				s.OK(got.Seq, got.Rev)
			}
		})
	}
	work.Wait()
}
