package client

import (
	"fmt"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/wire"
)

// What was missed comes in order: new messages once, in their present form,
// also when an edit moved one of them behind the others and over a page.
func TestCatchUp(t *testing.T) {
	for _, page := range []int{1, 2, 3, 100} {
		t.Run(fmt.Sprint("page", page), func(t *testing.T) {
			f := newFake(t)
			f.page = page
			f.write("room1", 8)
			f.with(func() {
				f.edit("room1", 2, "older, edited")
				f.edit("room1", 5, "new, edited")
			})
			f.write("room1", 2)
			c := dial(t, f, nil)
			// The consumer had the first three messages in an earlier life.
			join(t, c, "room1", JoinOptions{After: &Position{Rev: 3, Seq: 3}})
			others := wantMessages(t, c, 4, 10)
			if len(others) != 1 || others[0].Kind != chat.EventEdited || others[0].Message.Text != "older, edited" {
				t.Errorf("besides the messages: %+v", others)
			}
			if ev := next(t, c); ev.News != CaughtUp || ev.At != (Position{Rev: 12, Seq: 10}) {
				t.Errorf("at the end: %+v", ev)
			}
			f.write("room1", 1)
			wantMessages(t, c, 11, 11)
		})
	}
}

// A position in the middle of catching up is one to start from again.
func TestPositionsAreSafe(t *testing.T) {
	f := newFake(t)
	f.page = 2
	f.write("room1", 6)
	f.with(func() { f.edit("room1", 2, "edited") })
	f.write("room1", 3)
	c := dial(t, f, nil)
	join(t, c, "room1", JoinOptions{After: &Position{}})
	var stops []Position
	for {
		ev := next(t, c)
		stops = append(stops, ev.At)
		if ev.News == CaughtUp {
			break
		}
	}
	for _, at := range stops {
		again := dial(t, f, nil)
		join(t, again, "room1", JoinOptions{After: &at})
		wantMessages(t, again, at.Seq+1, 9)
	}
}

func TestGapAndReset(t *testing.T) {
	f := newFake(t)
	c := dial(t, f, nil)
	join(t, c, "room1", JoinOptions{})
	notJoined := func(fc *fakeConn) { delete(fc.joined, "room1") }
	f.each(notJoined)
	f.write("room1", 2)
	f.each(func(fc *fakeConn) { fc.out <- wire.AppendGap(nil, "room1", 0, chat.GapSlow) })
	wantMessages(t, c, 1, 2)
	if ev := next(t, c); ev.News != CaughtUp {
		t.Errorf("after the gap: %+v", ev)
	}
	// A hole in the revs is found without being told.
	f.each(notJoined)
	f.write("room1", 2)
	f.each(func(fc *fakeConn) { fc.joined["room1"] = true })
	f.write("room1", 1)
	wantMessages(t, c, 3, 5)
	if ev := next(t, c); ev.News != CaughtUp {
		t.Errorf("after the hole: %+v", ev)
	}
	// The server comes back with an older past.
	f.with(func() { delete(f.rooms, "room1") })
	f.write("room1", 1)
	f.each((*fakeConn).cut)
	if ev := next(t, c); ev.News != Reset || ev.Room != "room1" {
		t.Errorf("after going back: %+v", ev)
	}
	wantMessages(t, c, 1, 1)
	if ev := next(t, c); ev.News != CaughtUp || ev.At != (Position{1, 1}) {
		t.Errorf("after the reset: %+v", ev)
	}
}

// The event that ends the membership stands for all of the room: what was left out
// before it is not asked for, as a join would begin the membership again.
func TestPutOutBehindAHole(t *testing.T) {
	f := newFake(t)
	c := dial(t, f, nil)
	join(t, c, "room1", JoinOptions{})
	out := &chat.Event{Kind: chat.EventMember, Room: "room1", First: 1, Rev: 9, Member: &chat.Member{User: c.User()}}
	f.each(func(fc *fakeConn) { fc.out <- wire.AppendEvent(nil, out) })
	if ev := next(t, c); ev.Kind != chat.EventMember || ev.Rev != 9 {
		t.Errorf("%+v", ev)
	}
}

// A room that does not let us back in is given up, the others go on.
func TestLeft(t *testing.T) {
	f := newFake(t)
	c := dial(t, f, nil)
	join(t, c, "room1", JoinOptions{})
	join(t, c, "room2", JoinOptions{})
	f.with(func() {
		f.hook = func(fc *fakeConn, cmd *wire.Command) bool {
			if cmd.Type == wire.Join && cmd.Room == "room1" {
				fc.refuse(cmd, chat.E(chat.Forbidden, "you are banned from this room"))
				return true
			}
			return false
		}
	})
	f.each((*fakeConn).cut)
	left := false
	for caught := false; !left || !caught; {
		switch ev := next(t, c); ev.News {
		case Left:
			left = ev.Room == "room1" && chat.KindOf(ev.Err) == chat.Forbidden
		case CaughtUp:
			caught = ev.Room == "room2"
		}
	}
	f.with(func() { f.hook = nil })
	if err := c.Leave(testContext(t), "room2"); err != nil {
		t.Error(err)
	}
	if ev := next(t, c); ev.News != Left || ev.Room != "room2" || ev.Err != nil {
		t.Errorf("after leaving: %+v", ev)
	}
}
