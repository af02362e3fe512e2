package workload

import (
	"slices"
	"sync"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/consistency"
)

// sendAgain repeats acknowledged messages with their keys, from new connections: the
// acks must have the same numbers.
func (w *Workload) sendAgain() {
	var work sync.WaitGroup
	for _, user := range w.Users() {
		work.Go(func() { w.sendAgainAs(user) })
	}
	work.Wait()
}

func (w *Workload) sendAgainAs(user string) {
	ctx, cancel := w.context()
	defer cancel()
	c := w.Dial(user)
	if c == nil {
		return
	}
	defer c.Close()
	for _, s := range w.sent {
		if s.user != user {
			continue
		}
		again := w.Rec.Send("", s.room, chat.UserID(s.user), s.key, s.text)
		got, err := c.Send(ctx, s.room, chat.Draft{Text: s.text, Key: s.key})
		if err != nil {
			w.fail("%s again: %v", s.key, err)
			continue
		}
		again.OK(got.Seq, got.Rev)
	}
}

// awaitPromised returns when everything that was accepted, and not asked for again, is
// there, or the patience ends: package consistency says then what is missing.
func (w *Workload) awaitPromised() {
	w.mu.Lock()
	missing := w.promised
	w.mu.Unlock()
	for deadline := time.Now().Add(w.o.Patience); len(missing) > 0 && time.Now().Before(deadline); {
		user, there := missing[0].user, map[string]bool{}
		c := w.Dial(user)
		if c == nil {
			return
		}
		for _, room := range w.Rooms {
			for _, m := range w.readAll(c, room) {
				there[m.Key] = true
			}
		}
		c.Close()
		missing = slices.DeleteFunc(slices.Clone(missing), func(s sent) bool { return s.user == user && there[s.key] })
	}
}

// ReadAs adds to final what the store holds, with the keys of the user's own messages,
// as only the sender of a message is told its key.
func (w *Workload) ReadAs(user string, final consistency.Final) {
	c := w.Dial(user)
	defer c.Close()
	for _, room := range w.Rooms {
		all := w.readAll(c, room)
		if final[room] == nil {
			final[room] = all
			continue
		}
		if len(final[room]) != len(all) {
			w.fail("%s: %s sees %d messages, others %d", room, user, len(all), len(final[room]))
			continue
		}
		for i := range all {
			if m := &final[room][i]; m.Key == "" {
				m.Key = all[i].Key
			}
			if all[i].Key = final[room][i].Key; all[i] != final[room][i] {
				w.fail("%s: %s sees %+v, others %+v", room, user, all[i], final[room][i])
			}
		}
	}
}

// readAll returns the messages of a room, read page by page from its end.
func (w *Workload) readAll(c *client.Client, room chat.RoomID) (all []consistency.Message) {
	for _, m := range w.history(c, room) {
		all = append(all, consistency.Of(&m))
	}
	return all
}

// History returns the messages of a room as a user reads them on the node with the
// address.
func (w *Workload) History(addr, user string, room chat.RoomID) []chat.Message {
	c := w.dialAt(addr, user, w.o.Ping)
	if c == nil {
		return nil
	}
	defer c.Close()
	return w.history(c, room)
}

func (w *Workload) history(c *client.Client, room chat.RoomID) (all []chat.Message) {
	ctx, cancel := w.context()
	defer cancel()
	page := client.Page{Limit: 100}
	for more := true; more; {
		var ms []chat.Message
		err := whileRefused(func() (err error) {
			ms, more, err = c.History(ctx, room, page)
			return err
		})
		if err != nil || len(ms) == 0 {
			w.t.Fatalf("reading %s: %d messages, %v", room, len(ms), err)
		}
		slices.Reverse(ms)
		all = append(all, ms...)
		page.Before = ms[len(ms)-1].Seq
	}
	slices.Reverse(all)
	return all
}
