package sioapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/hub"
	"github.com/roomtide/roomtide/internal/clientaddr"
	"github.com/roomtide/roomtide/internal/connlimit"
	"github.com/roomtide/roomtide/session"
	"github.com/roomtide/roomtide/sioapi"
	"github.com/roomtide/roomtide/wire"
)

// everyKind runs a test on a node of its own for each transport and version.
func everyKind(t *testing.T, cfg sioapi.Config, test func(*world, kind)) {
	everyKindFor(t, true, cfg, test)
}

// everyKindFor is everyKind on nodes with guests or without.
func everyKindFor(t *testing.T, guests bool, cfg sioapi.Config, test func(*world, kind)) {
	for _, k := range kinds {
		t.Run(k.String(), func(t *testing.T) { test(newWorldFor(t, guests, cfg), k) })
	}
}

func TestConversation(t *testing.T) {
	everyKind(t, sioapi.Config{}, func(w *world, k kind) {
		p := w.connect(k, "")
		p.say(`2["message",{"room":"room1","message":"x"}]`) // a guest, by whatever name; there is no such room
		p.want(`2["error",{"type":"error","command":"message","room":"room1","code":"not_member","message":`)
		p.say(`27["join",{"room":"room1","id":99,"type":"leave"}]`)
		p.want(`37[{"type":"ack","room":"room1","rev":1,"seq":0,`)
		p.say(`2["message",{"room":"room1","message":"one","key":"k"}]`)
		p.want(`2["message",{"type":"message","room":"room1","seq":1,"rev":2,"user":"guest-`)
		p.say(`20["message",{"room":"room1","message":"one","key":"k"}]`)
		p.want(`30[{"type":"ack","room":"room1","seq":1,"rev":2,"time":`)
		p.say(`28["edit",{"room":"room1","seq":"one"}]`)
		p.want(`38[{"type":"error","command":"edit","room":"room1","code":"invalid","message":"seq must be a whole number"}]`)
		p.say(`2["nonsense"]`)
		p.want(`2["error",{"type":"error","command":"nonsense","code":"unknown_type","message":"unknown type"}]`)
		p.say(`29["hello","room1"]`)
		p.want(`39[{"type":"error","command":"hello","code":"invalid",`)
		p.say(`21["ping"]`)
		p.want(`31[{"type":"ack"}]`)
		w.write("room1", "two")
		p.want(`2["message",{"type":"message","room":"room1","seq":2,"rev":3,"user":"host","message":"two",`)
		p.say(`1`) // leaving the namespace ends the connection
		p.want("")
	})
}

func TestBinaryIsRefused(t *testing.T) {
	w := newWorld(t, sioapi.Config{})
	p := w.connect(kind{"websocket", 4}, "")
	p.say(`51-5["message",{"room":"room1","message":"x","data":{"_placeholder":true,"num":0}}]`)
	if err := p.ws.WriteMessage(2, []byte("bytes")); err != nil {
		t.Fatal(err)
	}
	p.want(`35[{"type":"error","code":"invalid","message":"chat has no binary arguments"}]`)
}

// What the tutorials write: a room, a text or nothing where an object is meant.
func TestArgumentsThatAreNoObject(t *testing.T) {
	everyKind(t, sioapi.Config{}, func(w *world, k kind) {
		p := w.connect(k, "")
		p.say(`21["message","nowhere yet"]`)
		p.want(`31[{"type":"error","command":"message","code":"invalid","message":"say in which room`)
		p.say(`22["join","room1"]`)
		p.want(`32[{"type":"ack","room":"room1",`)
		p.say(`23["message","Hello"]`)
		p.want(`33[{"type":"ack","room":"room1","seq":1,`)
		p.want(`2["message",{"type":"message","room":"room1","seq":1,`)
		p.say(`24["join",2]`)
		p.want(`34[{"type":"ack","room":"2",`)
		p.say(`25["message","which of them?"]`)
		p.want(`35[{"type":"error","command":"message","code":"invalid",`)
		for i, empty := range []string{``, `,null`, `,[]`, `,{}`} {
			p.say(fmt.Sprintf(`2%d["ping"%s]`, i, empty))
			p.want(fmt.Sprintf(`3%d[{"type":"ack"}]`, i))
		}
		p.say(`26["react","room1"]`) // not enough
		p.want(`36[{"type":"error","command":"react","code":"invalid",`)
	})
}

// Identification in the handshake.
func TestAuth(t *testing.T) {
	for _, c := range []struct {
		name, auth string
		noGuests   bool
		want       string // behind the answer to CONNECT
		refused    string
	}{
		{"guest", `{"user":"ann","name":"Ann"}`, false, `2["hello",{"type":"ack","user":"ann","name":"Ann","guest":true,"session":"`, ""},
		{"token", `{"token":"T"}`, true, `2["hello",{"type":"ack","user":"tom","guest":false,"session":"`, ""},
		{"token among guests", `{"token":"T","user":"ann"}`, false, `2["hello",{"type":"ack","user":"tom","guest":false,`, ""},
		{"wrong token", `{"token":"x"}`, false, "", `"code":"unauthenticated"`},
		{"no guests", `{"user":"ann"}`, true, "", `"code":"unauthenticated"`},
		{"no credentials", "", true, "", `"message":"a token is needed: connect with auth: {token}"`},
		{"no string", `{"user":1.5}`, false, "", `"code":"invalid"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorldFor(t, !c.noGuests, sioapi.Config{})
			auth := strings.Replace(c.auth, `"T"`, `"`+token(t, "tom", time.Hour)+`"`, 1)
			for _, k := range []kind{{"websocket", 4}, {"polling", 4}} {
				p, _ := w.dial(k, nil)
				p.say("0" + auth)
				if c.refused == "" {
					p.want(`0{"sid":"`)
					p.want(c.want)
					continue
				}
				e := p.want(`4{"message":"`)
				if !strings.Contains(e, c.refused) || !strings.Contains(e, `"data":{"type":"error","code":"`) {
					t.Errorf("%v: %s", k, e)
				}
				p.say(`0{"token":"` + token(t, "tom", time.Hour) + `"}`) // the same connection, better credentials
				p.want(`0{"sid":"`)
			}
		})
	}
}

// Clients of protocol 3 have no auth and say hello.
func TestHelloEvent(t *testing.T) {
	inBubble(t, false, sioapi.Config{Hello: 100 * time.Millisecond}, func(w *world) {
		for _, k := range []kind{{"websocket", 3}, {"polling", 3}} {
			p, silent := w.connect(k, ""), w.connect(k, "")
			p.say(`21["hello",{"token":"` + token(w.T, "tom", time.Hour) + `"}]`)
			p.want(`31[{"type":"ack","user":"tom",`)
			silent.say(`21["join",{"room":"room1","user":"ann"}]`)
			silent.want(`31[{"type":"error","command":"join","room":"room1","code":"unauthenticated",`)
			silent.want(`2["goodbye",{"type":"goodbye","code":4404,"reason":"no_hello",`)
			silent.want("1")
			silent.want("")
			p.say(`22["rooms"]`)
			p.want(`32[{"type":"ack","rooms":[],"more":false}]`)
		}
	})
}

// Guests may be silent for any time before they join.
func TestSilentGuest(t *testing.T) {
	inBubble(t, true, sioapi.Config{Hello: time.Millisecond}, func(w *world) {
		silent := w.connect(kind{"websocket", 3}, "")
		never, _ := w.dial(kind{"websocket", 4}, nil) // joins no namespace
		never.want("")
		silent.say(`21["join",{"room":"room1","user":"ann"}]`)
		silent.want(`31[{"type":"ack",`)
	})
}

func TestGoodbyes(t *testing.T) {
	everyKind(t, sioapi.Config{}, func(w *world, k kind) {
		revoked, drained := w.connect(k, ""), w.connect(k, "")
		for i, p := range []*peer{revoked, drained} {
			p.say(fmt.Sprintf(`21["hello",{"user":"user%d"}]`, i))
			p.want(`31[{"type":"ack"`)
		}
		w.hub.CloseUser("user0", chat.ByeRevoked)
		revoked.want(`2["goodbye",{"type":"goodbye","code":4403,"reason":"revoked","message":"the connection was ended by an administrator","retry":"never"}]`)
		revoked.want("1") // stock clients do not reconnect
		revoked.want("")
		w.hub.Drain(chat.ByeDraining)
		drained.want(`2["goodbye",{"type":"goodbye","code":4000,"reason":"draining",`)
		drained.want("") // stock clients reconnect
		if n := w.metric("roomtide_sioapi_goodbyes_total"); n != 2 {
			w.Errorf("%v goodbyes counted, want 2", n)
		}
	})
}

// A token ends the connection that it began.
func TestExpiry(t *testing.T) {
	w := newWorldFor(t, false, sioapi.Config{})
	w.deps.Now = func() time.Time { return time.Now().Add(2 * time.Hour) } // of the conversation, not of the token verifier
	for _, k := range []kind{{"websocket", 4}, {"polling", 4}} {
		p, _ := w.dial(k, nil)
		p.say(`0{"token":"` + token(t, "tom", time.Hour) + `"}`)
		for packet := p.next(); !strings.HasPrefix(packet, `2["goodbye",{"type":"goodbye","code":4402,"reason":"expired",`); packet = p.next() {
			if packet == "" {
				t.Fatalf("%v was not told", k)
			}
		}
		p.want("1")
		p.want("")
	}
}

func TestOrigins(t *testing.T) {
	w := newWorld(t, sioapi.Config{Origins: []string{"https://www.example.org"}})
	for _, k := range kinds {
		for origin, want := range map[string]bool{"": true, w.url: true, "https://www.example.org": true, "https://evil.example": false, "null": false} {
			header := http.Header{}
			if origin != "" {
				header.Set("Origin", origin)
			}
			p, status := w.dial(k, header)
			if (p != nil) != want || p == nil && status != http.StatusForbidden {
				t.Errorf("%v from %q: %d", k, origin, status)
			}
		}
	}
	if n := w.metric("roomtide_sioapi_refused_total"); n != 8 {
		t.Errorf("%v refusals counted, want 8", n)
	}
}

func TestAdmission(t *testing.T) {
	conns := connlimit.New(3, 2)
	from := netip.MustParseAddr("192.0.2.1")
	w := newWorld(t, sioapi.Config{Conns: conns, Network: func(*http.Request) netip.Prefix { return clientaddr.Network(from) }})
	first, _ := w.connect(kinds[0], ""), w.connect(kinds[3], "")
	w.settle("both have a place", func() bool { return conns.InUse() == 2 })
	if p, status := w.dial(kinds[1], nil); p != nil || status != http.StatusTooManyRequests {
		t.Errorf("a third from one address: %d", status)
	}
	from = netip.MustParseAddr("192.0.2.2")
	w.connect(kinds[2], "")
	w.settle("three have a place", func() bool { return conns.InUse() == 3 })
	if p, status := w.dial(kinds[1], nil); p != nil || status != http.StatusServiceUnavailable {
		t.Errorf("a fourth: %d", status)
	}
	first.say("1")
	first.want("")
	w.settle("a place again", func() bool { return conns.InUse() == 2 })
	w.connect(kinds[1], "")
	w.settle("all places are taken", func() bool { return conns.InUse() == 3 })
	if reason, _ := conns.Check(clientaddr.Network(from)); reason != "full" {
		t.Errorf("the limiter says %q", reason)
	}
}

// A flood of handshakes takes no other client's place: it ends its own oldest sessions, and
// clients that have identified themselves, and others of the same network, come in.
func TestFloodOfHandshakes(t *testing.T) {
	conns, pending := connlimit.New(2, 0), connlimit.NewPending(20, 4)
	from := netip.MustParseAddr("192.0.2.1")
	w := newWorldFor(t, false, sioapi.Config{
		Conns: conns, Pending: pending,
		Network: func(*http.Request) netip.Prefix { return clientaddr.Network(from) },
	})
	first := w.connect(kinds[0], `{"token":"`+token(t, "ann", time.Hour)+`"}`)
	w.settle("the first has a place", func() bool { return conns.InUse() == 1 && pending.InUse() == 0 })
	for range 10 {
		for _, k := range kinds {
			if p, status := w.dial(k, nil); p == nil {
				t.Fatalf("%v: %d", k, status)
			}
		}
	}
	w.settle("the flood has ended its own", func() bool { return pending.InUse() == 4 && pending.Evicted() == 36 })
	if conns.InUse() != 1 {
		t.Errorf("%d places", conns.InUse())
	}
	w.connect(kinds[2], `{"token":"`+token(t, "bob", time.Hour)+`"}`)
	first.say(`2["ping",{}]`)
	w.settle("both have a place", func() bool { return conns.InUse() == 2 })
}

// The connection limit is strict: of two clients that ask for the last place at the
// same time, one is refused.
func TestAdmissionRace(t *testing.T) {
	conns := connlimit.New(1, 0)
	var w *world
	w = newWorld(t, sioapi.Config{Conns: conns, Open: func(c *hub.Conn, codec sioapi.Codec, _ *http.Request) *session.Session {
		conns.Acquire(netip.Prefix{}) // a faster client, between the check and the connection
		return session.New(w.deps, c, codec)
	}})
	for _, k := range kinds {
		p, status := w.dial(k, nil)
		if p == nil {
			t.Fatal(status)
		}
		if k.version == 4 {
			p.say(`0{"user":"ann"}`)
		}
		for packet := p.next(); ; packet = p.next() {
			if strings.HasPrefix(packet, `2["goodbye",{"type":"goodbye","code":4200,"reason":"busy",`) {
				break
			} else if packet == "" {
				t.Errorf("%v was not told", k)
				break
			}
		}
		conns.Release(netip.Prefix{})
	}
}

func TestFrameLimit(t *testing.T) {
	everyKind(t, sioapi.Config{FrameBytes: 1000}, func(w *world, k kind) {
		p := w.connect(k, "")
		packet := `2["join",{"room":"` + strings.Repeat("x", 1000) + `"}]`
		p.say(packet)
		p.want(`2["goodbye",{"type":"goodbye","code":4401,"reason":"too_large",`)
		p.want("1") // so that the client does not connect again and send the same
	})
}

// A number as the name of an event is no mistake of the transport.
func TestNumberAsName(t *testing.T) {
	everyKind(t, sioapi.Config{}, func(w *world, k kind) {
		p := w.connect(k, "")
		p.say(`27[42,{"room":"room1"}]`)
		p.want(`37[{"type":"error","command":"42","room":"room1","code":"unknown_type",`)
		p.say(`2[-1.5e3]`)
		p.want(`2["error",{"type":"error","command":"-1.5e3","code":"unknown_type",`)
	})
}

func TestNothingButMistakes(t *testing.T) {
	everyKind(t, sioapi.Config{}, func(w *world, k kind) {
		p := w.connect(k, "")
		for range 20 {
			p.say(`2["nonsense"]`)
			p.want(`2["error",`)
		}
		p.say(`2["join",{"room":"room1"}]`) // a good one: it begins anew
		for range 21 {
			p.say(`2["nonsense"]`)
		}
		for range 21 {
			p.want(`2["error",`)
		}
		p.want(`2["goodbye",{"type":"goodbye","code":4400,"reason":"protocol",`)
		p.want("1")
		p.want("")
	})
}

// faulty is a codec that panics when a command with id 1 is refused.
type faulty struct{ sioapi.Codec }

func (f faulty) Error(dst []byte, cmd *wire.Command, e *chat.Error) []byte {
	if cmd.ID == 1 {
		panic("quotes the message")
	}
	return f.Codec.Error(dst, cmd, e)
}

func TestPanic(t *testing.T) {
	var w *world
	w = newWorld(t, sioapi.Config{Open: func(c *hub.Conn, codec sioapi.Codec, _ *http.Request) *session.Session {
		return session.New(w.deps, c, faulty{codec})
	}})
	for _, k := range kinds {
		p, other := w.connect(k, ""), w.connect(k, "")
		p.say(`21["message",{"room":"","message":"panic"}]`)
		p.want(`2["goodbye",{"type":"goodbye","code":4202,"reason":"internal",`)
		p.want("")
		other.say(`21["join",{"room":"room1"}]`)
		other.want(`31[{"type":"ack",`)
	}
	// The goodbye comes first.
	w.settle("4 panics counted", func() bool { return w.metric("roomtide_sioapi_panics_total") == 4 })
	w.settle("4 panics in the log", func() bool { return strings.Count(w.log.String(), "a handler panicked") == 4 })
	if s := w.log.String(); !strings.Contains(s, "panicked") || strings.Contains(s, "quotes") {
		t.Errorf("the log: %s", s)
	}
}

// A client that does not poll for long gets what waited for it, in order, then
// a gap, and goes on from there.
func TestLatePoll(t *testing.T) {
	for _, k := range []kind{{"polling", 4}, {"polling", 3}} {
		t.Run(k.String(), func(t *testing.T) {
			w := newWorld(t, sioapi.Config{})
			p := w.connect(k, "")
			p.say(`21["join",{"room":"room1","user":"ann"}]`)
			p.want(`31[{"type":"ack",`)
			const n = 200
			long := strings.Repeat("x", 4000)
			for range n { // more than may wait
				w.write("room1", long)
			}
			var seq, rev, gaps int64
			rev = 1
			for seq < n {
				ms, gap := p.news(&rev)
				for _, m := range ms {
					if seq++; m.Seq != seq {
						t.Fatalf("message %d came after %d", m.Seq, seq-1)
					}
				}
				if gap {
					gaps++
					p.say(fmt.Sprintf(`22["join",{"room":"room1","after":%d}]`, rev))
				}
			}
			if gaps == 0 {
				t.Error("everything waited for the client: that was no test")
			}
		})
	}
}

type message struct{ Seq, Rev int64 }

// news reads the next event, or the ack of a join, and sets rev to what it
// brings up to.
func (p *peer) news(rev *int64) (ms []message, gap bool) {
	p.Helper()
	packet := p.next()
	var event []json.RawMessage
	_, array, _ := strings.Cut(packet, "[")
	if err := json.Unmarshal([]byte("["+array), &event); err != nil {
		p.Fatalf("%q: %v", packet, err)
	}
	var v struct {
		Type     string
		Seq, Rev int64
		More     bool
		Messages []message
	}
	if err := json.Unmarshal(event[min(1, len(event)-1)], &v); err != nil {
		p.Fatal(err)
	}
	switch {
	case v.Type == "message":
		*rev = v.Rev
		return []message{{v.Seq, v.Rev}}, false
	case v.Type == "ack":
		*rev = v.Rev
		return v.Messages, v.More
	case v.Type != "gap" || v.Rev != *rev:
		p.Fatalf("after rev %d: %s", *rev, packet)
	}
	return nil, true
}

// Every kind is sent under its name; the durable ones bear an offset behind the
// object, for the clients that know what to do with one.
func TestEncodingOfEveryKind(t *testing.T) {
	for _, k := range chat.EventKinds() {
		ev := chat.Event{
			Kind: k, Room: "r", Message: &chat.Message{}, Member: &chat.Member{},
			Info: &chat.Room{}, Presence: &chat.Presence{},
		}
		offset := ""
		if k.Durable() {
			ev.Rev, offset = 7, `,"7 r"`
		}
		want := `42["` + k.String() + `",` + string(wire.AppendEvent(nil, &ev))
		for plain, rest := range map[bool]string{false: offset + "]", true: "]"} {
			frame := sioapi.Encoding{Plain: plain}.AppendEvent(nil, &ev)
			if _, text, _ := strings.Cut(string(frame), "42"); "42"+text != want+rest {
				t.Errorf("%s: %q, want %s%s", k, frame, want, rest)
			}
		}
	}
}

func TestEncodingOfUnknownKinds(t *testing.T) {
	if b := (sioapi.Encoding{}).AppendEvent(nil, &chat.Event{Kind: 255}); len(b) != 0 {
		t.Errorf("%q", b)
	}
	if b := (sioapi.Codec{}).Ack(nil, 0, false, wire.DoneReply{}); len(b) != 0 {
		t.Errorf("%q", b)
	}
	if b := (sioapi.Encoding{}).AppendGap(nil, "room1", 7, chat.GapLost); string(b[2:]) != `42["gap",{"type":"gap","room":"room1","rev":7,"reason":"lost"}]` {
		t.Errorf("%q", b)
	}
}

// Names, profiles and the ban list are those of the other transports.
func TestNamesOfUsers(t *testing.T) {
	everyKind(t, sioapi.Config{}, func(w *world, k kind) {
		host := engine.Actor{Server: true, User: "shop"}
		name, avatar := "The Shop", "/shop.png"
		do := func(c change.Change) {
			if _, err := w.deps.Engine.Do(w.Context(), host, c); err != nil {
				w.Fatal(err)
			}
		}
		p := w.connect(k, "")
		p.say(`21["join",{"room":"room1","user":"ann"}]`)
		p.want(`31[{"type":"ack","room":"room1",`)
		do(&change.SetUser{User: "shop", Name: &name, Avatar: &avatar})
		do(&change.Send{Room: "room1", Draft: chat.Draft{Text: "one"}})
		p.want(`2["message",{"type":"message","room":"room1","seq":1,"rev":2,"user":"shop","name":"The Shop","message":"one",`)
		do(&change.SetMember{Room: "room1", User: "ann", Role: chat.RoleModerator})
		p.want(`2["member",`)
		do(&change.SetMember{Room: "room1", User: "eve", Role: chat.RoleBanned})
		p.want(`2["member",{"type":"member","room":"room1","rev":4,"user":"eve","role":"banned"}`)
		p.say(`22["users",{"of":["shop"]}]`)
		p.want(`32[{"type":"ack","users":[{"user":"shop","name":"The Shop","avatar":"/shop.png"}]}]`)
		p.say(`23["members",{"room":"room1","role":"banned"}]`)
		p.want(`33[{"type":"ack","room":"room1","members":[{"user":"eve","role":"banned","rev":4}],"count":1,"more":false}]`)
	})
}
