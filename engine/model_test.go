package engine_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/internal/teststore"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/outbox"
	"github.com/roomtide/roomtide/projection"
	"github.com/roomtide/roomtide/removal"
	"github.com/roomtide/roomtide/store"
)

// node is an engine over real databases, without connections.
type node struct {
	*engine.Engine
	store  *store.Store
	lanes  *lane.Lanes
	outbox *outbox.Outbox

	mu     sync.Mutex
	events map[chat.RoomID][]*chat.Event
}

// nobody is the presence of a node without connections: every room is empty.
type nobody struct{}

func (nobody) Online(context.Context, chat.RoomID, int) (chat.Online, error) {
	return chat.Online{}, nil
}

func newNode(t testing.TB, configure func(*engine.Config)) *node {
	t.Helper()
	return makeNode(t, time.Now, nil, configure)
}

// newNodeAt is newNode with another clock for the lanes.
func newNodeAt(t testing.TB, now func() time.Time) *node {
	t.Helper()
	return makeNode(t, now, nil, nil)
}

func (n *node) openOutbox(t testing.TB) {
	t.Helper()
	var err error
	n.outbox, err = outbox.Open(t.Context(), outbox.Config{Store: n.store, Lanes: n.lanes, Consumers: []outbox.Consumer{
		projection.UserRooms(n.store, n.lanes), projection.Names(n.store, n.lanes), removal.DeletedRooms(n.lanes),
	}})
	if err != nil {
		t.Fatal(err)
	}
}

func makeNode(t testing.TB, now func() time.Time, wrap func(store.Driver) store.Driver, configure func(*engine.Config)) *node {
	t.Helper()
	st := teststore.Open(t, t.TempDir(), 2, wrap)
	n := &node{store: st, events: map[chat.RoomID][]*chat.Event{}}
	var err error
	n.lanes, err = lane.Open(t.Context(), lane.Config{Store: st, Publish: n.publish, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	n.openOutbox(t)
	cfg := engine.Config{Store: st, Lanes: n.lanes, Presence: nobody{}, Publish: n.publishOne, UsersMakeRooms: true}
	if configure != nil {
		configure(&cfg)
	}
	n.Engine = engine.New(cfg)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		n.outbox.Close(ctx)
		n.lanes.Close()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func (n *node) publish(b *bus.Batch) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range b.Rooms {
		n.events[r.Room] = append(n.events[r.Room], r.Events...)
	}
	return nil
}

func (n *node) publishOne(ev *chat.Event) { _ = n.publish(bus.Ephemeral(0, ev)) }

func (n *node) published(room chat.RoomID) []*chat.Event {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.events[room]
}

// view is a room as a client has it.
type view struct {
	rev      chat.Rev
	title    string
	messages map[chat.Seq]string
	members  map[chat.UserID]chat.Role
	reacted  map[chat.Seq]map[string]bool // "emoji user"
}

func newView() *view {
	return &view{messages: map[chat.Seq]string{}, members: map[chat.UserID]chat.Role{}, reacted: map[chat.Seq]map[string]bool{}}
}

func text(m *chat.Message) string {
	return fmt.Sprint(m.User, ": ", m.Text, " deleted=", m.Deleted, " reply=", m.ReplyTo, " data=", string(m.Data))
}

// message takes a message as it is now.
func (v *view) message(m *chat.Message) {
	v.messages[m.Seq] = text(m)
	v.reacted[m.Seq] = map[string]bool{}
	for _, r := range m.Reactions {
		for _, u := range r.Users {
			v.reacted[m.Seq][r.Emoji+" "+string(u)] = true
		}
	}
}

// event takes a live event, which must be the next one.
func (v *view) event(t *rapid.T, ev *chat.Event) {
	if ev.Rev != v.rev+1 {
		t.Fatalf("event with rev %d after rev %d", ev.Rev, v.rev)
	}
	v.rev = ev.Rev
	switch ev.Kind {
	case chat.EventMessage:
		if _, had := v.messages[ev.Message.Seq]; had {
			t.Fatalf("message %d came twice", ev.Message.Seq)
		}
		v.message(ev.Message)
	case chat.EventEdited:
		v.messages[ev.Message.Seq] = text(ev.Message)
	case chat.EventDeleted:
		v.message(ev.Message)
	case chat.EventReacted:
		if key := ev.Emoji + " " + string(ev.User); ev.On {
			v.reacted[ev.Seq][key] = true
		} else {
			delete(v.reacted[ev.Seq], key)
		}
	case chat.EventMember:
		v.member(ev.Member)
	case chat.EventRoom:
		v.title = ev.Info.Title
	}
}

func (v *view) member(m *chat.Member) {
	if m.Role.Present() {
		v.members[m.User] = m.Role
	} else {
		delete(v.members, m.User)
	}
}

func (v *view) equal(o *view) bool {
	return v.rev == o.rev && v.title == o.title && maps.Equal(v.messages, o.messages) && maps.Equal(v.members, o.members) &&
		maps.EqualFunc(v.reacted, o.reacted, func(a, b map[string]bool) bool { return maps.Equal(a, b) })
}

// resume brings the view up to date as a client does that was away.
func (v *view) resume(t *rapid.T, n *node, as engine.Actor, room chat.RoomID, limit int) {
	for {
		after := v.rev
		r, err := n.Join(t.Context(), as, room, engine.JoinOptions{After: &after, Limit: limit})
		if err != nil {
			t.Fatal(err)
		}
		for i := range r.Messages {
			v.message(&r.Messages[i])
		}
		for i := range r.Members {
			v.member(&r.Members[i])
		}
		v.rev, v.title = r.Rev, r.Room.Title
		if r.More && r.Rev <= after {
			t.Fatalf("more after %d, but no way on from there", after)
		}
		if !r.More {
			return
		}
	}
}

// fresh is the room as a client sees it that comes for the first time and
// scrolls to the top.
func fresh(t *rapid.T, n *node, as engine.Actor, room chat.RoomID) *view {
	v := newView()
	r, err := n.Join(t.Context(), as, room, engine.JoinOptions{Limit: 3})
	if err != nil {
		t.Fatal(err)
	}
	v.rev, v.title = r.Rev, r.Room.Title
	page, more := r.Messages, r.More
	for {
		for i := range page {
			v.message(&page[i])
		}
		if !more {
			break
		}
		h, err := n.History(t.Context(), as, room, store.Page{Before: page[0].Seq, Limit: 3}, engine.Around{})
		if err != nil {
			t.Fatal(err)
		}
		page, more = h.Messages, h.More
	}
	ms, err := n.Members(t.Context(), as, room, chat.RoleNone, "", 0)
	if err != nil || ms.Count != len(ms.Members) {
		t.Fatalf("%d members of %d: %v", len(ms.Members), ms.Count, err)
	}
	for i := range ms.Members {
		v.member(&ms.Members[i])
	}
	return v
}

// Whatever happens in a room, a client that was there all the time, one that
// was away now and then, and one that comes for the first time see the same.
func TestEverybodySeesTheSameRoom(t *testing.T) {
	n := newNode(t, nil)
	users := []chat.UserID{"ann", "bob", "cid"}
	runs := 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		room := chat.RoomID(fmt.Sprint("room ", runs))
		watcher := engine.Actor{User: "watcher"}
		live, away := newView(), newView()
		live.resume(t, n, watcher, room, 0) // makes the room and owns it
		published := func() {
			// Acks come before events: what passes the lane now comes after both.
			if _, err := n.lanes.Do(t.Context(), &change.Leave{Room: room, User: "nobody"}); err != nil {
				t.Fatal(err)
			}
		}
		published()
		heard := len(n.published(room))
		listen := func() {
			published()
			for _, ev := range n.published(room)[heard:] {
				live.event(t, ev)
				heard++
			}
		}
		lastKey := 0
		user := func(t *rapid.T) engine.Actor { return engine.Actor{User: rapid.SampledFrom(users).Draw(t, "user")} }
		seq := func(t *rapid.T) chat.Seq { return chat.Seq(rapid.IntRange(1, 6).Draw(t, "seq")) }
		// What the rules refuse is part of the story; what fails for another reason is not.
		fine := func(t *rapid.T, err error) {
			switch chat.KindOf(err) {
			case chat.Forbidden, chat.NotFound, chat.NotMember, chat.Invalid, chat.Conflict:
			default:
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"join": func(t *rapid.T) {
				_, err := n.Join(t.Context(), user(t), room, engine.JoinOptions{})
				fine(t, err)
			},
			"leave": func(t *rapid.T) {
				_, err := n.Do(t.Context(), user(t), &change.Leave{Room: room})
				fine(t, err)
			},
			"send": func(t *rapid.T) {
				lastKey++
				key := fmt.Sprint(rapid.IntRange(max(1, lastKey-2), lastKey).Draw(t, "key"))
				draft := chat.Draft{Text: "message " + key, Key: key, ReplyTo: chat.Seq(rapid.IntRange(0, 2).Draw(t, "reply"))}
				_, err := n.Do(t.Context(), user(t), &change.Send{Room: room, Draft: draft})
				fine(t, err)
			},
			"edit": func(t *rapid.T) {
				_, err := n.Do(t.Context(), user(t), &change.Edit{Room: room, Seq: seq(t), Text: fmt.Sprint("edited ", rapid.Int().Draw(t, "text"))})
				fine(t, err)
			},
			"delete": func(t *rapid.T) {
				_, err := n.Do(t.Context(), user(t), &change.Delete{Room: room, Seq: seq(t)})
				fine(t, err)
			},
			"react": func(t *rapid.T) {
				emoji := rapid.SampledFrom([]string{"👍", "👎"}).Draw(t, "emoji")
				_, err := n.Do(t.Context(), user(t), &change.React{Room: room, Seq: seq(t), Emoji: emoji, On: rapid.Bool().Draw(t, "on")})
				fine(t, err)
			},
			"rename": func(t *rapid.T) {
				title := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "title")
				_, err := n.Do(t.Context(), watcher, &change.SetRoom{Room: room, Title: &title})
				fine(t, err)
			},
			"set role": func(t *rapid.T) {
				role := rapid.SampledFrom([]chat.Role{chat.RoleNone, chat.RoleMember, chat.RoleModerator, chat.RoleBanned}).Draw(t, "role")
				_, err := n.Do(t.Context(), watcher, &change.SetMember{Room: room, User: rapid.SampledFrom(users).Draw(t, "of"), Role: role})
				fine(t, err)
			},
			"listen": func(*rapid.T) { listen() },
			"come back": func(t *rapid.T) {
				away.resume(t, n, watcher, room, rapid.IntRange(1, 4).Draw(t, "limit"))
			},
		})
		listen()
		away.resume(t, n, watcher, room, 2)
		want := fresh(t, n, watcher, room)
		if !live.equal(want) || !away.equal(want) {
			t.Fatalf("\nlive  %+v\naway  %+v\nfresh %+v", live, away, want)
		}
	})
	n.outbox.Close(context.Background()) // lets the rooms of users catch up with the members that left
	if lines, err := n.store.Check(context.Background()); err != nil || len(lines) != 0 {
		t.Errorf("the store is not whole: %v %v", lines, err)
	}
	for _, u := range users {
		mine, err := n.Rooms(context.Background(), engine.Actor{User: u}, engine.RoomsOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.IsSortedFunc(mine.Rooms, func(a, b wireRoom) int { return compare(a.Room.ID, b.Room.ID) }) {
			t.Errorf("%s's rooms are not in order", u)
		}
		for _, r := range mine.Rooms {
			m, err := n.store.Room(r.Room.ID).Member(context.Background(), r.Room.ID, u)
			if err != nil || m.Role != r.Role {
				t.Errorf("%s is %v in %q, but the list says %v (%v)", u, m.Role, r.Room.ID, r.Role, err)
			}
		}
	}
}
