package session_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/identity"
	"github.com/roomtide/roomtide/internal/limit"
	"github.com/roomtide/roomtide/wire"
)

func TestConversation(t *testing.T) {
	n := newNode(t, true)
	ann, bob := n.connect(), n.connect()
	ann.ask(`{"type":"hello","id":1,"user":"ann"}`, "type", "ack", "id", 1, "user", "ann", "guest", true)
	ann.ask(`{"type":"hello","id":2,"user":"ann"}`, "type", "error", "id", 2, "code", "invalid")
	ann.ask(`{"type":"join","id":3,"room":"r"}`, "type", "ack", "id", 3, "rev", 1, "role", "owner")
	bob.ask(`{"type":"join","id":1,"user":"bob","room":"r"}`, "type", "ack", "rev", 2, "role", "member")
	ann.want("type", "member", "user", "bob", "rev", 2)

	// The ack comes before the sender's own copy.
	ann.ask(`{"type":"message","id":4,"room":"r","message":"hi","key":"k"}`, "type", "ack", "id", 4, "seq", 1, "rev", 3)
	ann.want("type", "message", "seq", 1, "rev", 3, "message", "hi", "user", "ann")
	bob.want("type", "message", "seq", 1)
	ann.ask(`{"type":"message","id":5,"room":"r","message":"hi","key":"k"}`, "type", "ack", "seq", 1, "rev", 3)
	ann.ask(`{"type":"message","id":6,"room":"r","message":"ho","key":"k"}`, "type", "error", "code", "conflict", "id", 6)
	ann.ask(`{"type":"edit","id":7,"room":"r","seq":1,"message":"hi!"}`, "type", "ack", "rev", 4)
	ann.want("type", "edited", "message", "hi!")
	bob.want("type", "edited")
	bob.ask(`{"type":"react","id":8,"room":"r","seq":1,"emoji":"👍"}`, "type", "ack", "rev", 5)
	bob.want("type", "reacted", "on", true)
	bob.ask(`{"type":"delete","id":9,"room":"r","seq":1}`, "type", "error", "code", "forbidden")
	ann.want("type", "reacted")
	ann.ask(`{"type":"delete","id":10,"room":"r","seq":1}`, "type", "ack", "rev", 6)
	ann.want("type", "deleted")
	bob.want("type", "deleted")
	bob.say(`{"type":"read","id":11,"room":"r","seq":1}`)
	if a, b := bob.hear(), bob.hear(); a["type"] != "ack" && b["type"] != "ack" || a["type"] != "read" && b["type"] != "read" {
		t.Fatalf("%v %v", a, b) // in either order: the event is not the ack's
	}
	ann.want("type", "read", "user", "bob", "seq", 1)
	ann.ask(`{"type":"foreground","id":7,"on":false}`, "type", "ack", "id", 7)
	ann.ask(`{"type":"typing","room":"r"}`, "type", "typing", "user", "ann", "on", true)
	bob.want("type", "typing")
	bob.ask(`{"type":"online","id":12,"room":"r"}`, "type", "ack", "online_count", 2)
	bob.ask(`{"type":"history","id":13,"room":"r"}`, "type", "ack", "more", false)
	if r := bob.ask(`{"type":"history","id":13,"room":"r","after":0,"limit":1}`, "type", "ack"); len(r["messages"].([]any)) != 1 {
		t.Errorf("from the start: %v", r)
	}
	bob.ask(`{"type":"members","id":14,"room":"r"}`, "type", "ack", "count", 2)
	bob.ask(`{"type":"changes","id":15,"room":"r","after":2}`, "type", "ack", "rev", 6)
	bob.ask(`{"type":"rooms","id":16}`, "type", "ack")
	bob.ask(`{"type":"ping","id":17}`, "type", "ack", "id", 17)
	bob.leave(18, "r")
	ann.want("type", "member", "user", "bob", "role", "none")
	bob.ask(`{"type":"message","id":19,"room":"r","message":"x"}`, "type", "error", "code", "not_member")
	bob.ask(`{"type":"history","id":20,"room":"r"}`, "type", "error", "code", "not_member")
	bob.ask(`{"type":"dance","id":21}`, "type", "error", "code", "unknown_type", "id", 21)
	bob.ask(`{"type":"ping","id":22,"user":"ann"}`, "type", "error", "code", "forbidden")
}

func TestTheLineOfTheMission(t *testing.T) {
	n := newNode(t, true)
	p := n.connect()
	p.say(`{"room":"room1","user":"user1","message":"Hello"}`)
	p.want("type", "message", "room", "room1", "user", "user1", "message", "Hello", "seq", 1)
	p.say(`{"room":"room1","message":"again"}`)
	p.want("type", "message", "seq", 2)
}

func TestGuestWithoutAName(t *testing.T) {
	n := newNode(t, true)
	p := n.connect()
	got := p.ask(`{"type":"join","id":1,"room":"room1"}`, "type", "ack")
	online := fmt.Sprint(got["members"])
	if !strings.Contains(online, "guest-") {
		t.Errorf("%v", got)
	}
}

func TestTokens(t *testing.T) {
	n := newNode(t, false)
	p := n.connect()
	p.ask(`{"type":"join","id":1,"room":"r"}`, "type", "error", "code", "unauthenticated")
	p.ask(`{"room":"r","user":"ann","message":"x"}`, "type", "error", "code", "unauthenticated")
	p.ask(`{"type":"hello","id":2,"user":"ann"}`, "type", "error", "code", "unauthenticated")
	p.ask(`{"type":"hello","id":3,"token":"nonsense"}`, "type", "error", "code", "unauthenticated")
	token, err := identity.Mint(secret, "ann", "Ann", []chat.RoomID{"r"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	p.ask(`{"type":"hello","id":4,"token":"`+token+`"}`, "type", "ack", "user", "ann", "name", "Ann", "guest", false)
	p.ask(`{"type":"join","id":5,"room":"r"}`, "type", "ack") // granted, so it is made
	p.ask(`{"type":"join","id":6,"room":"other"}`, "type", "error", "command", "join", "room", "other", "code", "forbidden")
}

// An authentication while too many are under way is answered busy, and succeeds
// later.
func TestBusyAuthentications(t *testing.T) {
	limiter := limit.New(limit.Config{Name: "authentications", Permits: 1, MaxWaiting: -1})
	v, err := identity.New(identity.Config{Guests: true, Secret: secret, Limiter: limiter})
	if err != nil {
		t.Fatal(err)
	}
	n := newNode(t, true)
	n.deps.Verifier = v
	token, err := identity.Mint(secret, "ann", "", nil, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := limiter.Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	p := n.connect()
	if e := p.ask(`{"type":"hello","id":1,"token":"`+token+`"}`, "type", "error", "id", 1, "code", "busy"); e["retry_after"].(float64) < 500 {
		t.Errorf("come again: %v", e)
	}
	n.connect().ask(`{"type":"hello","id":1,"user":"bob"}`, "type", "ack", "user", "bob") // has nothing to prove
	limiter.Release()
	p.ask(`{"type":"hello","id":2,"token":"`+token+`"}`, "type", "ack", "user", "ann")
}

// A token that runs out ends the connection. The clock of the session is ahead,
// so that it does so at once.
func TestExpiryEndsTheConnection(t *testing.T) {
	n := newNode(t, false)
	n.deps.Now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	p := n.connect()
	token, err := identity.Mint(secret, "ann", "", nil, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	p.say(`{"type":"hello","id":1,"token":"` + token + `"}`)
	if g := <-p.bye; g != chat.ByeExpired {
		t.Errorf("goodbye %+v", g)
	}
	if _, err := io.Copy(io.Discard, p.in); err != nil {
		t.Error(err)
	}
}

func TestRoomsOfAConnectionAreBounded(t *testing.T) {
	n := newNode(t, true)
	p := n.connect()
	for i := range 3 {
		p.ask(fmt.Sprintf(`{"type":"join","id":%d,"room":"r%d"}`, i, i), "type", "ack")
	}
	p.ask(`{"type":"join","id":9,"room":"r9"}`, "type", "error", "code", "too_large")
	p.leave(10, "r0")
	p.ask(`{"type":"join","id":11,"room":"r9"}`, "type", "ack")
}

// Coming back: everything after the rev, page by page, then live.
func TestResume(t *testing.T) {
	n := newNode(t, true)
	ann, bob := n.connect(), n.connect()
	ann.ask(`{"type":"join","id":1,"user":"ann","room":"r"}`, "rev", 1)
	bob.ask(`{"type":"join","id":1,"user":"bob","room":"r"}`, "rev", 2)
	ann.want("type", "member")
	bob.s.Close()
	bob.conn.Detach()
	for i := range 5 {
		ann.ask(fmt.Sprintf(`{"type":"message","id":%d,"room":"r","message":"m%d"}`, i+2, i), "type", "ack")
		ann.want("type", "message")
	}
	bob = n.connect()
	r := bob.ask(`{"type":"join","id":1,"user":"bob","room":"r","after":2,"limit":3}`, "type", "ack", "rev", 5, "more", true)
	if len(r["messages"].([]any)) != 3 {
		t.Fatalf("%v", r)
	}
	ann.ask(`{"type":"message","id":9,"room":"r","message":"while bob is not whole"}`, "type", "ack")
	ann.want("type", "message")
	bob.ask(`{"type":"join","id":2,"room":"r","after":5,"limit":3}`, "type", "ack", "rev", 8, "more", false)
	ann.ask(`{"type":"message","id":10,"room":"r","message":"live"}`, "type", "ack")
	bob.want("type", "message", "rev", 9, "message", "live")
}

// A token with a new name renames its user in every room, also for those who are
// there; messages have the name they were sent with, and "users" tells the profile.
func TestNamesOfUsers(t *testing.T) {
	n := newNode(t, false)
	hello := func(user chat.UserID, name string) *peer {
		token, err := identity.Mint(secret, user, name, []chat.RoomID{"r", "s"}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		p := n.connect()
		want := any(name)
		if name == "" {
			want = nil
		}
		p.ask(`{"type":"hello","id":1,"token":"`+token+`"}`, "type", "ack", "name", want)
		return p
	}
	bob := hello("bob", "")
	bob.ask(`{"type":"join","id":2,"room":"r"}`, "type", "ack")
	bob.ask(`{"type":"join","id":3,"room":"s"}`, "type", "ack")
	ann := hello("ann", "Ann")
	for _, room := range []string{"r", "s"} {
		ann.ask(`{"type":"join","id":2,"room":"`+room+`"}`, "type", "ack")
		bob.want("type", "member", "room", room, "user", "ann", "name", "Ann")
	}
	ann.say(`{"type":"message","room":"r","message":"one"}`)
	bob.want("type", "message", "user", "ann", "name", "Ann")

	again := hello("ann", "Ann Smith")
	heard := map[any]bool{}
	for range 2 {
		heard[bob.want("type", "member", "user", "ann", "name", "Ann Smith")["room"]] = true
	}
	if len(heard) != 2 {
		t.Errorf("renamed in %v", heard)
	}
	again.say(`{"room":"r","message":"two"}`)
	bob.want("type", "message", "message", "two", "name", "Ann Smith")
	ms := bob.ask(`{"type":"history","id":4,"room":"r"}`, "type", "ack")["messages"].([]any)
	for i, want := range []string{"Ann", "Ann Smith"} {
		if got := ms[i].(map[string]any)["name"]; got != want {
			t.Errorf("message %d has the name %v, want %s", i+1, got, want)
		}
	}
	us := bob.ask(`{"type":"users","id":5,"of":["nobody","ann"]}`, "type", "ack")["users"]
	if fmt.Sprint(us) != "[map[name:Ann Smith user:ann]]" {
		t.Errorf("%v", us)
	}
	bob.ask(`{"type":"members","id":6,"room":"r","role":"banned"}`, "type", "error", "code", "forbidden")
	bob.ask(`{"type":"members","id":7,"room":"r","role":"member"}`, "type", "ack", "count", 2)
}

// Rooms and memberships are changed over sockets as over HTTP, by those who may.
func TestRoomsAndMembersOverSockets(t *testing.T) {
	n := newNode(t, true)
	ann, bob := n.connect(), n.connect()
	ann.ask(`{"type":"set_room","id":1,"user":"ann","room":"r","title":"Red","open":true}`, "type", "ack", "room", "r", "title", "Red", "open", true, "member_count", 1)
	ann.ask(`{"type":"join","id":2,"room":"r"}`, "type", "ack", "role", "owner")
	bob.ask(`{"type":"room","id":1,"user":"bob","room":"r"}`, "type", "error", "command", "room", "room", "r", "code", "not_member")
	bob.ask(`{"type":"set_room","id":2,"room":"r","title":"x"}`, "type", "error", "command", "set_room", "code", "not_member")
	ann.ask(`{"type":"set_member","id":3,"room":"r","member":"bob","role":"moderator"}`, "type", "ack", "room", "r", "member", "bob", "role", "moderator")
	ann.want("type", "member", "user", "bob", "role", "moderator")
	bob.ask(`{"type":"room","id":3,"room":"r"}`, "type", "ack", "title", "Red", "member_count", 2)
	bob.ask(`{"type":"set_room","id":4,"room":"r","title":"x"}`, "type", "error", "code", "forbidden")
	bob.ask(`{"type":"set_member","id":5,"room":"r","member":7,"role":"banned"}`, "type", "ack", "member", "7", "role", "banned")
	bob.ask(`{"type":"set_member","id":6,"room":"r","member":"7","role":"none"}`, "type", "ack", "role", "banned")
	bob.ask(`{"type":"set_member","id":7,"room":"r","member":"7","role":"none","unban":true}`, "type", "ack", "role", "none")
	bob.ask(`{"type":"set_member","id":8,"room":"r","member":"ann","role":"member"}`, "type", "error", "code", "forbidden")
	bob.ask(`{"type":"set_member","id":9,"room":"r","member":"eve","role":"king"}`, "type", "error", "command", "set_member", "code", "invalid")
	bob.ask(`{"type":"set_member","id":10,"room":"r","member":"eve "}`, "type", "error", "code", "invalid")
	bob.ask(`{"type":"set_member","id":11,"room":"r","member":"eve ","role":"member"}`, "type", "error", "code", "invalid")
}

// A guest's name follows the rule of names; it is not dropped in silence.
func TestNamesOfGuests(t *testing.T) {
	n := newNode(t, true)
	n.connect().ask(`{"type":"hello","id":1,"user":"ann","name":"a\u202eb"}`, "type", "error", "command", "hello", "code", "invalid")
	n.connect().ask(`{"type":"hello","id":1,"user":"ann\u200b"}`, "type", "error", "code", "invalid")
	n.connect().ask(`{"type":"hello","id":1,"user":7,"name":"Ann"}`, "type", "ack", "user", "7", "name", "Ann")
}

// The answer of a join says whether there are older messages or whether the room is
// not joined yet; hello says what the server knows.
func TestOlderAndPartial(t *testing.T) {
	n := newNode(t, true)
	ann := n.connect()
	var features []any
	for _, name := range wire.Features {
		features = append(features, name)
	}
	ann.ask(`{"type":"hello","id":1,"user":"ann"}`, "type", "ack", "features", features)
	for i := range 3 {
		ann.ask(fmt.Sprintf(`{"type":"message","id":%d,"room":"r","message":"x"}`, i+2), "type", "error")
	}
	ann.ask(`{"type":"set_room","id":9,"room":"r"}`, "type", "ack")
	for i := range 3 {
		ann.ask(fmt.Sprintf(`{"type":"message","id":%d,"room":"r","message":"x"}`, i+2), "type", "ack")
	}
	ann.ask(`{"type":"join","id":10,"room":"r","after":0,"limit":1}`, "more", true, "partial", true)
	ann.ask(`{"type":"join","id":11,"room":"r","limit":1}`, "more", true, "older", true)
}

// Devices and push settings are the user's own.
func TestPushOverSockets(t *testing.T) {
	n := newNode(t, true)
	ann := n.connect()
	ann.ask(`{"type":"join","id":1,"user":"ann","room":"r"}`, "type", "ack", "role", "owner")
	ann.ask(`{"type":"register_device","id":2,"device":"d","provider":"fcm","address":{"token":"t"}}`, "type", "error", "command", "register_device", "code", "invalid",
		"message", "push notifications are not configured on this server")
	ann.ask(`{"type":"drop_device","id":3,"device":"d"}`, "type", "ack", "id", 3)
	ann.ask(`{"type":"devices","id":4}`, "type", "ack", "id", 4)
	ann.ask(`{"type":"set_push","id":5,"level":"mentions","quiet_from":"22:30","quiet_to":"07:00","time_zone":"Asia/Shanghai"}`, "type", "ack", "id", 5)
	ann.ask(`{"type":"set_push","id":6,"room":"r","level":"none","mute_until":"2030-01-02T03:04:05Z"}`, "type", "ack", "id", 6)
	ann.ask(`{"type":"set_push","id":7,"room":"other","level":"none"}`, "type", "error", "code", "not_member", "room", "other")
	ann.ask(`{"type":"set_push","id":8,"level":"loud"}`, "type", "error", "code", "invalid")
	ann.ask(`{"type":"set_push","id":9,"quiet_from":"25:00","quiet_to":"07:00"}`, "type", "error", "code", "invalid")
	f := ann.ask(`{"type":"push","id":10}`, "type", "ack", "id", 10)
	want := "[map[level:mentions quiet_from:22:30 quiet_to:07:00 time_zone:Asia/Shanghai] map[level:none mute_until:2030-01-02T03:04:05.000Z room:r]]"
	if got := fmt.Sprint(f["settings"]); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A message tells whom it mentions.
func TestMentionsOverSockets(t *testing.T) {
	n := newNode(t, true)
	ann, bob := n.connect(), n.connect()
	ann.ask(`{"type":"join","id":1,"user":"ann","room":"r"}`, "type", "ack")
	bob.ask(`{"type":"join","id":1,"user":"bob","room":"r"}`, "type", "ack")
	ann.want("type", "member", "user", "bob")
	ann.ask(`{"type":"message","id":2,"room":"r","message":"hi @bob","mentions":["nobody"]}`, "type", "ack", "seq", 1)
	if got := fmt.Sprint(bob.want("type", "message", "seq", 1)["mentions"]); got != "[bob]" {
		t.Errorf("mentions %s", got)
	}
	f := bob.ask(`{"type":"history","id":2,"room":"r"}`, "type", "ack")
	if got := fmt.Sprint(f["messages"]); !strings.Contains(got, "mentions:[bob]") {
		t.Error(got)
	}
}
