package workload

import (
	"errors"
	"maps"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
)

// watch records every message that a client receives. A restarting client is replaced
// after some events by a new one that resumes from the stored position.
func (w *Workload) watch(name string, restarting bool) {
	at := map[chat.RoomID]client.Position{}
	shown := map[chat.RoomID]chat.Seq{}
	for life := 0; ; life++ {
		c := w.Dial(name)
		if c == nil {
			return
		}
		limit := 1 << 62
		if restarting {
			limit = 300
		}
		done := w.join(c, name, at, shown) && w.consume(c, name, at, shown, limit)
		c.Close()
		if done {
			return
		}
	}
}

// join joins the rooms from the client's position.
func (w *Workload) join(c *client.Client, name string, at map[chat.RoomID]client.Position, shown map[chat.RoomID]chat.Seq) bool {
	ctx, cancel := w.context()
	defer cancel()
	for _, room := range w.Rooms {
		pos := at[room]
		w.Rec.Resume(name, room, shown[room])
		w.resumes.Add(1)
		err := whileRefused(func() error {
			_, err := c.Join(ctx, room, client.JoinOptions{After: &pos})
			return err
		})
		if err != nil {
			w.fail("%s joins %s: %v", name, room, err)
			return false
		}
	}
	return true
}

// consume takes up to limit events beyond what was missed, and reports whether the client has reached the end.
func (w *Workload) consume(c *client.Client, name string, at map[chat.RoomID]client.Position, shown map[chat.RoomID]chat.Seq, limit int) (done bool) {
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	from := maps.Clone(at)
	for n := 0; n < limit; {
		select {
		case ev, ok := <-c.Events():
			if !ok {
				w.fail("%s: %v", name, c.Err())
				return true
			}
			if ev.At.Rev > from[ev.Room].Rev { // else a client that ends here would begin with the same again
				n++
			}
			w.record(ev, name, at, shown)
		case <-poll.C:
		}
		if end := w.end.Load(); end != nil && reached(shown, *end) {
			return true
		}
	}
	return false
}

func (w *Workload) record(ev client.Event, name string, at map[chat.RoomID]client.Position, shown map[chat.RoomID]chat.Seq) {
	var bye *client.GoodbyeError
	if ev.News == client.Disconnected && errors.As(ev.Err, &bye) && bye.Code == chat.ByeDraining.Code {
		w.goodbyes.Add(1)
		select {
		case w.Goodbye <- struct{}{}:
		default:
		}
	}
	if ev.News == client.Reset || ev.News == client.Left {
		w.fail("%s in %s: news %d, %v", name, ev.Room, ev.News, ev.Err)
	}
	if ev.Kind == chat.EventMessage {
		w.Rec.Deliver(name, ev.Message)
		shown[ev.Room] = ev.Message.Seq
	}
	if ev.At != (client.Position{}) {
		at[ev.Room] = ev.At
	}
}

func reached(shown, end map[chat.RoomID]chat.Seq) bool {
	for room, seq := range end {
		if shown[room] < seq {
			return false
		}
	}
	return true
}
