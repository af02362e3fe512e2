package hub

import (
	"slices"
	"testing"

	"github.com/roomtide/roomtide/chat"
)

// Connections of a user are found until they are removed, in whatever order.
func TestUsersFindSiblings(t *testing.T) {
	var us users
	us.init()
	a, b, c := new(Conn), new(Conn), new(Conn)
	expect := func(want ...*Conn) {
		t.Helper()
		got := us.of("u")
		for _, conn := range want {
			if !slices.Contains(got, conn) {
				t.Error("a connection is not found")
			}
		}
		if len(got) != len(want) {
			t.Errorf("%d connections, want %d", len(got), len(want))
		}
	}
	for _, conn := range []*Conn{a, b, c} {
		us.add("u", conn)
	}
	expect(a, b, c)
	us.remove("u", b)
	us.remove("u", b) // does nothing
	expect(a, c)
	us.add("u", b)
	us.remove("u", b) // the first of the list
	expect(a, c)
	us.remove("u", a)
	expect(c)
	us.remove("v", c)
	us.remove("u", c)
	expect()
	if n := len(us.stripe("u").byID); n > 0 {
		t.Errorf("%d users are kept", n)
	}
}

// A user is as near as the nearest of the connections.
func TestReach(t *testing.T) {
	h := &Hub{}
	h.users.init()
	a, b := new(Conn), new(Conn)
	h.users.add("u", a)
	h.users.add("u", b)
	expect := func(want chat.Reach) {
		t.Helper()
		if got := h.Reach([]chat.UserID{"other", "u"}); got[0] != chat.Offline || got[1] != want {
			t.Errorf("%v, want %v", got, want)
		}
	}
	expect(chat.Foreground)
	a.SetForeground(false)
	expect(chat.Foreground)
	b.SetForeground(false)
	expect(chat.Background)
	a.SetForeground(true)
	expect(chat.Foreground)
	h.users.remove("u", a)
	expect(chat.Background)
	if all := h.Users(); len(all) != 1 || all[0] != "u" {
		t.Errorf("connected are %q", all)
	}
	h.users.remove("u", b)
	expect(chat.Offline)
	if all := h.Users(); len(all) > 0 {
		t.Errorf("still connected are %q", all)
	}
}

// The others keep their places when some are removed.
func TestConnSetKeepsPlaces(t *testing.T) {
	var s connSet
	conns := make([]*Conn, 5)
	for i := range conns {
		conns[i] = new(Conn)
		s.add(conns[i])
	}
	for _, i := range []int{1, 4, 0} {
		s.remove(conns[i])
	}
	if got := s.close(); len(got) != 2 || !slices.Contains(got, conns[2]) || !slices.Contains(got, conns[3]) {
		t.Errorf("%d of them are there", len(got))
	}
	s.remove(conns[3])
	s.remove(conns[2])
	if s.add(new(Conn)) || len(s.close()) > 0 {
		t.Error("a closed set takes a connection")
	}
}
