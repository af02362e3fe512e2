package wire

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/roomtide/roomtide/chat"
)

var update = flag.Bool("update", false, "rewrite the golden frames")

// The golden files are JSON lines: {"name":…,"frame":{…}}, where frame stands
// byte for byte as it is sent, and in refused.jsonl {"name":…,"text":…,"error":{…}}.
const goldenDir = "../docs/protocol/golden"

type golden struct {
	Name  string          `json:"name"`
	Frame json.RawMessage `json:"frame,omitempty"`
	Text  string          `json:"text,omitempty"`
	Error json.RawMessage `json:"error,omitempty"`
}

// goldens reads a golden file; with -update it writes made first.
func goldens(t *testing.T, file string, made []golden) map[string]golden {
	t.Helper()
	path := filepath.Join(goldenDir, file)
	if *update {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		for _, g := range made {
			if err := enc.Encode(g); err != nil {
				t.Fatalf("%s: %v", g.Name, err)
			}
		}
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]golden)
	for line := range bytes.Lines(b) {
		var g golden
		if err := json.Unmarshal(line, &g); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if _, twice := all[g.Name]; twice {
			t.Errorf("%s: %q twice", file, g.Name)
		}
		all[g.Name] = g
	}
	if len(all) != len(made) {
		t.Errorf("%s has %d frames, the test %d", file, len(all), len(made))
	}
	return all
}

func off() *bool { return new(bool) }

func on() *bool { b := true; return &b }

func title(s string) *string { return &s }

var commandCases = []struct {
	name string
	cmd  Command
}{
	{"hello as a guest", Command{Type: Hello, ID: 1, HasID: true, User: "user1", Name: "User One"}},
	{"hello with a token", Command{Type: Hello, ID: 1, HasID: true, Token: "eyJhbGciOi…"}},
	{"join", Command{Type: Join, ID: 2, HasID: true, Room: "room1"}},
	{"join again after a rev", Command{Type: Join, ID: 2, HasID: true, Room: "room1", After: 7, HasAfter: true}},
	{"join after nothing", Command{Type: Join, ID: 2, HasID: true, Room: "room1", HasAfter: true, Limit: 20}},
	{"join around the first unread message", Command{Type: Join, ID: 2, HasID: true, Room: "room1", AroundRead: true, Limit: 50}},
	{"leave", Command{Type: Leave, ID: 3, HasID: true, Room: "room1"}},
	{"message", Command{Type: Message, ID: 4, HasID: true, Room: "room1", Text: "Hello", HasText: true, Key: "0198f3c2-7d1e-7a54-9c1b-5f2f6f3f9a11"}},
	{"message without type", Command{Type: Message, Bare: true, Room: "room1", User: "user1", Text: "Hello", HasText: true}},
	{"message with everything", Command{Type: Message, ID: 5, HasID: true, Room: "комната", Text: "line 1\nline 2 \"<&>\" 👍", HasText: true,
		Key: "k", ReplyTo: 3, Mentions: []chat.UserID{"user2", "user 3"}, Data: json.RawMessage(`{"order":[17,{"paid":true}]}`)}},
	{"message of data alone", Command{Type: Message, ID: 6, HasID: true, Room: "room1", HasText: true, Data: json.RawMessage(`1.5e3`)}},
	{"edit", Command{Type: Edit, ID: 7, HasID: true, Room: "room1", Text: "Hello!", HasText: true, Seq: 5}},
	{"delete", Command{Type: Delete, ID: 8, HasID: true, Room: "room1", Seq: 5}},
	{"react", Command{Type: React, ID: 9, HasID: true, Room: "room1", Seq: 5, Emoji: "👍", On: on()}},
	{"take a reaction back", Command{Type: React, ID: 10, HasID: true, Room: "room1", Seq: 5, Emoji: "👍", On: off()}},
	{"read", Command{Type: Read, ID: 11, HasID: true, Room: "room1", Seq: 5}},
	{"typing", Command{Type: Typing, Room: "room1", On: on()}},
	{"history before", Command{Type: History, ID: 12, HasID: true, Room: "room1", Before: 100, HasBefore: true, Limit: 10}},
	{"history after", Command{Type: History, ID: 13, HasID: true, Room: "room1", After: 100, HasAfter: true, Limit: 10}},
	{"history around", Command{Type: History, ID: 13, HasID: true, Room: "room1", Around: 100, Limit: 50}},
	{"changes", Command{Type: Changes, ID: 14, HasID: true, Room: "room1", After: 7, HasAfter: true}},
	{"members", Command{Type: Members, ID: 15, HasID: true, Room: "room1", AfterID: "user9", Limit: 100}},
	{"online", Command{Type: Online, ID: 16, HasID: true, Room: "room1"}},
	{"members with a role", Command{Type: Members, ID: 15, HasID: true, Room: "room1", Role: chat.RoleBanned, HasRole: true}},
	{"register a device", Command{Type: RegisterDevice, ID: 30, HasID: true, Push: PushFields{Device: "phone", Provider: "fcm", Address: json.RawMessage(`{"token":"t"}`)}}},
	{"register a device that is told in Chinese", Command{Type: RegisterDevice, ID: 30, HasID: true, Push: PushFields{Device: "phone", Provider: "fcm", Language: "zh-CN", Address: json.RawMessage(`{"token":"t"}`)}}},
	{"drop a device", Command{Type: DropDevice, ID: 31, HasID: true, Push: PushFields{Device: "phone"}}},
	{"devices", Command{Type: Devices, ID: 32, HasID: true}},
	{"push settings", Command{Type: GetPush, ID: 33, HasID: true}},
	{"push settings of rooms behind one", Command{Type: GetPush, ID: 33, HasID: true, AfterID: "room1"}},
	{"be notified of mentions in a room", Command{Type: SetPush, ID: 34, HasID: true, Room: "room1", Push: PushFields{Level: of(chat.PushMentions), MuteUntil: of(int64(0))}}},
	{"be notified as in other rooms, later", Command{Type: SetPush, ID: 34, HasID: true, Room: "room1", Push: PushFields{Level: of(chat.PushDefault), MuteUntil: of(int64(testTime))}}},
	{"quiet hours", Command{Type: SetPush, ID: 35, HasID: true, Push: PushFields{QuietFrom: of(22*60 + 30), QuietTo: of(0), TimeZone: of("Asia/Shanghai"), HideContent: of(true)}}},
	{"users", Command{Type: Users, ID: 19, HasID: true, Of: []chat.UserID{"user1", "user2"}}},
	{"rooms", Command{Type: Rooms, ID: 17, HasID: true}},
	{"rooms by activity, the next page", Command{Type: Rooms, ID: 17, HasID: true, AfterID: "1795368840123 room1", Order: "activity", Archived: true, Limit: 50}},
	{"unread", Command{Type: Unread, ID: 17, HasID: true}},
	{"ping", Command{Type: Ping, ID: 18, HasID: true}},
	{"in the background", Command{Type: Foreground, ID: 18, HasID: true, On: off()}},
	{"room", Command{Type: GetRoom, ID: 19, HasID: true, Room: "room1"}},
	{"set_room", Command{Type: SetRoom, ID: 20, HasID: true, Room: "room1", Title: title("Lobby"), Open: on(), ReadOnly: off()}},
	{"set_room with everything", Command{Type: SetRoom, ID: 20, HasID: true, Room: "room1", Data: json.RawMessage(`{"a":1}`), Title: title(""), Topic: title("Talk"), Avatar: title("/r.png"), Open: off(), ReadOnly: on()}},
	{"set_member", Command{Type: SetMember, ID: 21, HasID: true, Room: "room1", Member: "user3", Role: chat.RoleBanned, HasRole: true}},
	{"set_member for a time", Command{Type: SetMember, ID: 21, HasID: true, Room: "room1", Member: "user3", Role: chat.RoleMuted, HasRole: true, Until: testTime, Data: json.RawMessage(`{"vip":true}`)}},
	{"set_member ends a ban", Command{Type: SetMember, ID: 22, HasID: true, Room: "room1", Member: "user3", HasRole: true, Unban: true}},
}

func TestCommandGolden(t *testing.T) {
	var made []golden
	for _, tt := range commandCases {
		made = append(made, golden{Name: tt.name, Frame: AppendCommand(nil, &tt.cmd)})
	}
	all := goldens(t, "commands.jsonl", made)
	for i, tt := range commandCases {
		frame := all[tt.name].Frame
		if !bytes.Equal(made[i].Frame, frame) {
			t.Errorf("%s: a client sends %s\ngolden %s", tt.name, made[i].Frame, frame)
		}
		want := tt.cmd
		var got Command
		if err := Decode(frame, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, a server reads %+v\nwant %+v", tt.name, err, got, want)
		}
		want.Bare = false
		if err := DecodeAs(want.Type, frame, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: DecodeAs: %v, %+v", tt.name, err, got)
		}
	}
}

const testTime = 1_795_368_840_123 // 2026-11-22T17:34:00.123Z

var (
	hello   = chat.Message{Room: "room1", Seq: 5, Rev: 7, User: "user1", Name: "User One", Text: "Hello", Time: testTime, Key: "k1"}
	rich    = chat.Message{Room: "room1", Seq: 6, Rev: 9, User: "user2", Text: "a\tb\u2028 \"<é>\" \\ 👍", Time: testTime, ReplyTo: 5, Mentions: []chat.UserID{"a"}, Data: []byte(`{"a":[1,null]}`), Edited: testTime + 1000, Reactions: []chat.Reaction{{Emoji: "👍", Count: 2, Users: []chat.UserID{"a", "b"}}}}
	tomb    = chat.Message{Room: "room1", Seq: 5, Rev: 10, User: "user1", Time: testTime, Deleted: true}
	mallory = chat.Member{Room: "room1", User: "user3", Name: "Three", Role: chat.RoleOwner, Rev: 11}
	muted   = chat.Member{Room: "room1", User: "user5", Name: "Five", Avatar: "/avatars/5.png", Role: chat.RoleMuted, Until: testTime + 3600_000, Data: `{"team":"blue"}`, Rev: 13}
	gone    = chat.Member{Room: "room1", User: "user4", Role: chat.RoleNone, Rev: 12}
	lobby   = chat.Room{ID: "room1", Title: "Lobby", Open: true, LastSeq: 6, Rev: 12, Members: 2, Created: testTime, Active: testTime + 1000}
	shop    = chat.Room{ID: "room1", Title: "Lobby", Open: true, Topic: "All about \"tides\"", Avatar: "https://example.org/r.png", Data: `{"color":"#00f"}`}
	limits  = chat.DefaultLimits()
)

// told is what a client learns of a room from title, open and read_only.
func told(rev chat.Rev) *chat.Room {
	return &chat.Room{ID: "room1", Title: "Lobby", Open: true, Rev: rev}
}

func ack(id int64, r Reply) []byte { return AppendAck(nil, id, true, r) }

func event(ev chat.Event) ([]byte, *ServerFrame) {
	return AppendEvent(nil, &ev), &ServerFrame{Room: "room1", Event: &ev}
}

type serverCase struct {
	name  string
	frame []byte
	want  *ServerFrame
}

func serverCases() []serverCase {
	var cases []serverCase
	add := func(name, typ string, frame []byte, want *ServerFrame) {
		want.Type = typ
		cases = append(cases, serverCase{name, frame, want})
	}
	addEvent := func(name, typ string, ev chat.Event) {
		ev.Room = "room1"
		frame, want := event(ev)
		add(name, typ, frame, want)
	}
	addAck := func(name string, r Reply, want ServerFrame) {
		want.ID, want.HasID = 2, true
		add(name, "ack", ack(2, r), &want)
	}
	sent := hello
	sent.Key = "" // an event is for all receivers, and the key is the sender's own
	addEvent("message", "message", chat.Event{Kind: chat.EventMessage, Rev: 7, Message: &sent})
	addEvent("message with everything", "message", chat.Event{Kind: chat.EventMessage, Rev: 9, Message: &rich})
	addEvent("edited", "edited", chat.Event{Kind: chat.EventEdited, Rev: 9, Message: &rich})
	addEvent("deleted", "deleted", chat.Event{Kind: chat.EventDeleted, Rev: 10, Message: &chat.Message{Room: "room1", Seq: 5, Rev: 10, User: "user1", Deleted: true}})
	addEvent("reacted", "reacted", chat.Event{Kind: chat.EventReacted, Rev: 8, Seq: 5, User: "user2", Emoji: "👍", On: true})
	addEvent("reaction taken back", "reacted", chat.Event{Kind: chat.EventReacted, Rev: 8, Seq: 5, User: "user2", Emoji: "👍"})
	addEvent("member came", "member", chat.Event{Kind: chat.EventMember, Rev: 11, Member: &mallory})
	addEvent("member left", "member", chat.Event{Kind: chat.EventMember, Rev: 12, Member: &gone})
	addEvent("member put out", "member", chat.Event{Kind: chat.EventMember, First: 1, Rev: 12, Member: &gone})
	addEvent("member muted for a time", "member", chat.Event{Kind: chat.EventMember, Rev: 13, Member: &muted})
	addEvent("many came to a large room", "members", chat.Event{Kind: chat.EventMembers, First: 11, Rev: 19, Count: 5000})
	addEvent("room", "room", chat.Event{Kind: chat.EventRoom, Rev: 12, Info: told(12)})
	shopTold := shop
	shopTold.Rev = 12
	addEvent("room with everything", "room", chat.Event{Kind: chat.EventRoom, Rev: 12, Info: &shopTold})
	archived := chat.Room{ID: "room1", Title: "Lobby", Archived: true, Rev: 13}
	addEvent("room archived", "room", chat.Event{Kind: chat.EventRoom, Rev: 13, Info: &archived})
	deleted := chat.Room{ID: "room1", Title: "Lobby", Deleted: true, Rev: 13}
	addEvent("room deleted", "room", chat.Event{Kind: chat.EventRoom, Rev: 13, Info: &deleted})
	addEvent("room deleted, with what came before", "room", chat.Event{Kind: chat.EventRoom, First: 1, Rev: 13, Info: &deleted})
	addEvent("presence", "presence", chat.Event{Kind: chat.EventPresence, Presence: &chat.Presence{Online: 12, Came: []chat.UserID{"a"}, Went: []chat.UserID{"b", "c"}}})
	addEvent("presence of many", "presence", chat.Event{Kind: chat.EventPresence, Presence: &chat.Presence{Online: 5000}})
	addEvent("presence that is degraded", "presence", chat.Event{Kind: chat.EventPresence, Presence: &chat.Presence{Online: 1, Came: []chat.UserID{"a"}, Degraded: true}})
	addEvent("typing", "typing", chat.Event{Kind: chat.EventTyping, User: "user1", On: true})
	addEvent("read", "read", chat.Event{Kind: chat.EventRead, User: "user1", Seq: 5, Count: 2})
	addEvent("read far behind", "read", chat.Event{Kind: chat.EventRead, User: "user1", Seq: 5, Count: 1000, More: true})

	add("accepted", "accepted", AppendAccepted(nil, 7, true, "6f1c"), &ServerFrame{ID: 7, HasID: true, Key: "6f1c"})
	add("accepted, of a message without id and key", "accepted", AppendAccepted(nil, 0, false, ""), &ServerFrame{})
	for r := range chat.GapReasons {
		add("gap: "+r.String(), "gap", AppendGap(nil, "room1", 7, r), &ServerFrame{Room: "room1", Rev: 7, Reason: r.String()})
	}
	add("goodbye now", "goodbye", AppendGoodbye(nil, chat.ByeDraining), &ServerFrame{Goodbye: &chat.ByeDraining})
	spread := chat.ByeDraining
	spread.Wait = 1500
	add("goodbye now, after a pause", "goodbye", AppendGoodbye(nil, spread), &ServerFrame{Goodbye: &spread})
	add("goodbye later", "goodbye", AppendGoodbye(nil, chat.ByeBusy), &ServerFrame{Goodbye: &chat.ByeBusy})
	add("goodbye never", "goodbye", AppendGoodbye(nil, chat.ByeRevoked), &ServerFrame{Goodbye: &chat.ByeRevoked})
	busy := &chat.Error{Kind: chat.Busy, Text: "the server is busy", RetryAfter: 200}
	add("error", "error", AppendError(nil, &Command{ID: 1, HasID: true, Type: Message, Room: "room1"}, busy), &ServerFrame{ID: 1, HasID: true, Command: Message, Room: "room1", Err: busy})
	add("error without id", "error", AppendError(nil, nil, chat.E(chat.NotMember, "")), &ServerFrame{Err: chat.E(chat.NotMember, "not a member of this room")})

	addAck("hello ack", &HelloReply{User: "user1", Name: "User One", Guest: true, Session: "s1", Time: testTime, Limits: &limits},
		ServerFrame{User: "user1", Name: "User One", Guest: true, Session: "s1", Time: testTime, Limits: &limits, Features: Features})
	addAck("hello ack with a profile", &HelloReply{User: "user1", Name: "User One", Avatar: "/avatars/1.png", Session: "s1", Time: testTime, Limits: &limits, WebPushKey: "BPk0"},
		ServerFrame{User: "user1", Name: "User One", Avatar: "/avatars/1.png", Session: "s1", Time: testTime, Limits: &limits, Features: Features})
	addAck("join ack of a room with everything", &JoinReply{Room: &shop, Role: chat.RoleMuted, Members: []chat.Member{muted}},
		ServerFrame{Room: "room1", Role: chat.RoleMuted, Info: &shop, Members: []chat.Member{muted}, Online: []chat.UserID{}})
	addAck("join ack", &JoinReply{Room: &lobby, Rev: 9, Seq: 6, Role: chat.RoleMember, Messages: []chat.Message{hello, rich}, Members: []chat.Member{mallory}, Online: []chat.UserID{"a"}, Count: 1, Read: 3, Unread: UnreadCount{Count: 2, From: 4}},
		ServerFrame{Room: "room1", Rev: 9, Seq: 6, Role: chat.RoleMember, Info: told(0), Messages: []chat.Message{hello, rich}, Members: []chat.Member{mallory}, MemberCount: 2, Online: []chat.UserID{"a"}, OnlineCount: 1, Read: 3, Unread: UnreadCount{Count: 2, From: 4}})
	addAck("join ack around the first unread message", &JoinReply{Room: &lobby, Rev: 9, Seq: 6, Role: chat.RoleMember, Messages: []chat.Message{hello}, Unread: UnreadCount{Count: 1000, More: true, From: 5}, Newer: true},
		ServerFrame{Room: "room1", Rev: 9, Seq: 6, Role: chat.RoleMember, Info: told(0), Messages: []chat.Message{hello}, MemberCount: 2, Online: []chat.UserID{}, Unread: UnreadCount{Count: 1000, More: true, From: 5}, Newer: true})
	addAck("join ack of an empty room after a reset", &JoinReply{Room: &chat.Room{ID: "room1"}, Role: chat.RoleOwner, More: true, Reset: true},
		ServerFrame{Room: "room1", Role: chat.RoleOwner, Info: &chat.Room{ID: "room1"}, Online: []chat.UserID{}, More: true, Older: true, Reset: true})
	addAck("join ack with a part of what changed", &JoinReply{Room: &lobby, Rev: 9, Seq: 6, Role: chat.RoleMember, More: true, Partial: true},
		ServerFrame{Room: "room1", Rev: 9, Seq: 6, Role: chat.RoleMember, Info: told(0), MemberCount: 2, Online: []chat.UserID{}, More: true, Partial: true})
	addAck("message ack", ChangeReply{Room: "room1", Seq: 5, Rev: 7, Time: testTime}, ServerFrame{Room: "room1", Seq: 5, Rev: 7, Time: testTime})
	addAck("edit, delete or react ack", ChangeReply{Room: "room1", Seq: 5, Rev: 8}, ServerFrame{Room: "room1", Seq: 5, Rev: 8})
	addAck("read ack", ReadReply{Room: "room1", Seq: 5, Unread: UnreadCount{Count: 1}}, ServerFrame{Room: "room1", Seq: 5, Unread: UnreadCount{Count: 1}})
	addAck("history ack", &HistoryReply{Room: "room1", Messages: []chat.Message{tomb, rich}, More: true},
		ServerFrame{Room: "room1", Messages: []chat.Message{tomb, rich}, More: true})
	addAck("history ack around a message", &HistoryReply{Room: "room1", Messages: []chat.Message{tomb, rich}, More: true, Newer: true},
		ServerFrame{Room: "room1", Messages: []chat.Message{tomb, rich}, More: true, Newer: true})
	addAck("changes ack", ChangesReply{&chat.Delta{Room: lobby, Rev: 12, Messages: []chat.Message{tomb}, Members: []chat.Member{mallory, gone}}},
		ServerFrame{Room: "room1", Rev: 12, Seq: 6, Messages: []chat.Message{tomb}, Members: []chat.Member{mallory, gone}})
	addAck("changes ack with the room", ChangesReply{&chat.Delta{Room: lobby, Rev: 12, Info: true, More: true}},
		ServerFrame{Room: "room1", Rev: 12, Seq: 6, Info: told(0), More: true})
	addAck("changes ack of a history that is gone", ChangesReply{&chat.Delta{Room: lobby, Rev: 12, Reset: true}},
		ServerFrame{Room: "room1", Rev: 12, Seq: 6, Reset: true})
	addAck("members ack", &MembersReply{Room: "room1", Members: []chat.Member{mallory}, Count: 2, More: true},
		ServerFrame{Room: "room1", Members: []chat.Member{mallory}, MemberCount: 2, More: true})
	addAck("online ack", &OnlineReply{Room: "room1", Users: []chat.UserID{"a", "b"}, Count: 300},
		ServerFrame{Room: "room1", Online: []chat.UserID{"a", "b"}, OnlineCount: 300})
	addAck("online ack while presence is degraded", &OnlineReply{Room: "room1", Users: []chat.UserID{"a"}, Count: 1, Degraded: true},
		ServerFrame{Room: "room1", Online: []chat.UserID{"a"}, OnlineCount: 1, Degraded: true})
	mine := []MyRoom{
		{Room: chat.Room{ID: "room1", Title: "Lobby", LastSeq: 5, Rev: 7}, Role: chat.RoleMember, Read: 3, Unread: UnreadCount{Count: 2}, Last: &hello},
		{Room: chat.Room{ID: "empty", Archived: true}, Role: chat.RoleOwner, Unread: UnreadCount{Count: 900, More: true}},
	}
	addAck("rooms ack", RoomsReply{Rooms: mine}, ServerFrame{Rooms: mine})
	addAck("rooms ack of a page", RoomsReply{Rooms: mine[:1], More: true, Next: "room1"}, ServerFrame{Rooms: mine[:1], More: true, Next: "room1"})
	addAck("unread ack", UnreadReply{User: "user1", Unread: UnreadCount{Count: 1002, More: true}, Rooms: []UnreadRoom{
		{Room: "room1", Seq: 5, Read: 3, Unread: UnreadCount{Count: 2}}, {Room: "room2", Seq: 5000, Unread: UnreadCount{Count: 1000, More: true}},
	}}, ServerFrame{User: "user1", Unread: UnreadCount{Count: 1002, More: true}, Rooms: []MyRoom{
		{Room: chat.Room{ID: "room1", LastSeq: 5}, Read: 3, Unread: UnreadCount{Count: 2}},
		{Room: chat.Room{ID: "room2", LastSeq: 5000}, Unread: UnreadCount{Count: 1000, More: true}},
	}})
	addAck("rooms ack with everything", RoomsReply{Rooms: []MyRoom{{Room: chat.Room{ID: "room1", Title: "Lobby", Topic: shop.Topic, Avatar: shop.Avatar, Data: shop.Data}, Role: chat.RoleMember}}},
		ServerFrame{Rooms: []MyRoom{{Room: chat.Room{ID: "room1", Title: "Lobby", Topic: shop.Topic, Avatar: shop.Avatar, Data: shop.Data}, Role: chat.RoleMember}}})
	people := []chat.User{{ID: "user1", Name: "User One", Avatar: "/avatars/1.png", Data: `{"vip":true}`}, {ID: "user2"}}
	devices := []chat.Device{{ID: "phone", Provider: "fcm", Language: "zh", Registered: testTime, Seen: testTime + 1000}}
	addAck("devices ack", DevicesReply{Devices: devices}, ServerFrame{Devices: devices})
	settings := []chat.PushSettings{{Level: chat.PushMentions, QuietFrom: 22*60 + 30, QuietTo: 7 * 60, TimeZone: "Asia/Shanghai", HideContent: true},
		{Room: "room1", MuteUntil: testTime}}
	addAck("push settings ack", PushReply{Settings: settings, More: true}, ServerFrame{Push: settings, More: true})
	addAck("users ack", UsersReply{Users: people}, ServerFrame{Users: people})
	addAck("users ack that is not all", UsersReply{Users: people, More: true}, ServerFrame{Users: people, More: true})
	addAck("user ack", UserReply{&people[0]}, ServerFrame{User: "user1", Name: "User One", Avatar: "/avatars/1.png"})
	addAck("room ack", RoomReply{&lobby}, ServerFrame{Room: "room1", Seq: 6, Rev: 12, MemberCount: 2, Info: told(0)})
	addAck("set_member ack", MemberReply{&mallory}, ServerFrame{Room: "room1", Member: "user3", Name: "Three", Role: chat.RoleOwner, Rev: 11})
	addAck("leave ack", DoneReply{Room: "room1"}, ServerFrame{Room: "room1"})
	addAck("ping ack", DoneReply{}, ServerFrame{})
	return cases
}

func TestServerGolden(t *testing.T) {
	cases := serverCases()
	var made []golden
	for _, tt := range cases {
		made = append(made, golden{Name: tt.name, Frame: tt.frame})
	}
	all := goldens(t, "server.jsonl", made)
	for _, tt := range cases {
		frame := all[tt.name].Frame
		if !bytes.Equal(tt.frame, frame) {
			t.Errorf("%s: a server sends %s\ngolden %s", tt.name, tt.frame, frame)
		}
		got, err := DecodeServer(frame)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if !reflect.DeepEqual(got, tt.want) {
			g, _ := json.Marshal(got)
			w, _ := json.Marshal(tt.want)
			t.Errorf("%s: a client reads %s\nwant %s", tt.name, g, w)
		}
	}
}

// Alone, a reply is the same object without type and id.
func TestReplyAlone(t *testing.T) {
	for _, tt := range []struct {
		r    Reply
		want string
	}{
		{DoneReply{}, `{}`},
		{DoneReply{Room: "r"}, `{"room":"r"}`},
		{ChangeReply{Room: "r", Rev: 3}, `{"room":"r","rev":3}`},
		{RoomsReply{}, `{"rooms":[],"more":false}`},
	} {
		if got := AppendReply([]byte("before"), tt.r); string(got) != "before"+tt.want {
			t.Errorf("%s, want %s", got, tt.want)
		}
		if got := AppendAck(nil, 0, false, tt.r); !json.Valid(got) {
			t.Errorf("ack %s", got)
		}
	}
}

func of[T any](v T) *T { return &v }
