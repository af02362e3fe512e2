package lane_test

import (
	"reflect"
	"testing"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// state is everything that is stored of room r and of its users. The lanes are
// opened anew, so that the projection has caught up and nothing was published.
func (w *world) state() []any {
	w.t.Helper()
	w.close()
	w.open()
	ctx, db := w.t.Context(), w.store.Room("r")
	room, err := db.Room(ctx, "r")
	if err != nil {
		w.t.Fatal(err)
	}
	messages, _, err := db.Messages(ctx, "r", store.Page{After: store.FromStart, Limit: 100})
	if err != nil {
		w.t.Fatal(err)
	}
	delta, err := db.Delta(ctx, "r", 0, 100, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	online, err := db.Online(ctx, "r", 100)
	if err != nil {
		w.t.Fatal(err)
	}
	known, err := w.store.Users(ctx, []chat.UserID{"owner", "ann", "bob", "cid"})
	if err != nil {
		w.t.Fatal(err)
	}
	state := []any{room, messages, delta, online, known}
	for _, user := range []chat.UserID{"owner", "ann", "bob", "cid"} {
		mine, err := w.store.User(user).UserRooms(ctx, user, "", 100)
		if err != nil {
			w.t.Fatal(err)
		}
		access, err := w.store.User(user).Access(ctx, user)
		if err != nil && chat.KindOf(err) != chat.NotFound {
			w.t.Fatal(err)
		}
		rows, err := w.store.User(user).RowsByKey(ctx, []store.RowKey{
			{Table: store.TableDevices, ID: string(user), A: "d"}, {Table: store.TablePushSettings, ID: string(user), A: "r"},
			{Table: store.TablePushJobs, ID: string(user), A: "room:r", B: "d"}, {Table: store.TablePushOwners, ID: string(user)},
			{Table: store.TableUserNodes, ID: string(user)},
		})
		if err != nil {
			w.t.Fatal(err)
		}
		state = append(state, mine, access, *rows)
	}
	return state
}

// A change that is handed on again changes nothing the second time.
func TestAppliedTwice(t *testing.T) {
	title, yes, name, none, object, until := "Title", true, "Cid", "", `{"a":1}`, int64(1<<50)
	tried := map[change.Kind]bool{}
	for _, c := range []struct {
		name   string
		change change.Change
	}{
		{"nop", &change.Nop{}},
		{"send", send("r", "ann", "key", "text")},
		{"edit", &change.Edit{Room: "r", Seq: 1, User: "ann", Text: "edited"}},
		{"edit the data", &change.Edit{Room: "r", Seq: 1, User: "ann", Text: "text", Data: []byte(`{"a":1}`)}},
		{"delete", &change.Delete{Room: "r", Seq: 1, User: "ann"}},
		{"react", &change.React{Room: "r", Seq: 1, User: "bob", Emoji: "+", On: true}},
		{"take a reaction away", &change.React{Room: "r", Seq: 1, User: "ann", Emoji: "+"}},
		{"join", &change.Join{Room: "r", User: "cid", Name: "Cid"}},
		{"join by another name", &change.Join{Room: "r", User: "ann", Name: "Anna", Rename: true}},
		{"leave", &change.Leave{Room: "r", User: "ann"}},
		{"set a role", &change.SetMember{Room: "r", By: "owner", User: "ann", Role: chat.RoleModerator}},
		{"put a member in", &change.SetMember{Room: "r", Server: true, User: "cid", Name: &name, Role: chat.RoleMember}},
		{"put a member out", &change.SetMember{Room: "r", By: "owner", User: "ann"}},
		{"take a name away", &change.SetMember{Room: "r", Server: true, User: "ann", Name: &none, Role: chat.RoleMember}},
		{"put a member in by profile", &change.SetMember{Room: "r", Server: true, User: "cid", Known: "Cid", Avatar: "/c", Role: chat.RoleMember}},
		{"data of a member", &change.SetMember{Room: "r", Server: true, User: "ann", Data: &object, Role: chat.RoleMember}},
		{"mute for a time", &change.SetMember{Room: "r", By: "owner", User: "ann", Role: chat.RoleMuted, Until: 1 << 50}},
		{"ban for a time that is over", &change.SetMember{Room: "r", By: "owner", User: "bob", Role: chat.RoleBanned, Until: 1}},
		{"say what a user is called", &change.SetUser{User: "ann", Name: &name, Avatar: &object, Data: &object, At: 5}},
		{"say it by a token", &change.SetUser{User: "ann", Name: &name, At: 5, ByToken: true}},
		{"rename a member", &change.Rename{Room: "r", User: "ann", Name: "Ann B.", Avatar: "/a"}},
		{"topic, avatar and data of the room", &change.SetRoom{Room: "r", By: "owner", Topic: &title, Avatar: &name, Data: &object}},
		{"end a ban", &change.SetMember{Room: "r", By: "owner", User: "ann", Unban: true}},
		{"change the room", &change.SetRoom{Room: "r", By: "owner", Title: &title, ReadOnly: &yes}},
		{"read", &change.Read{User: "ann", Room: "r", Seq: 1}},
		{"project", &change.Project{Member: chat.Member{Room: "r", User: "ann", Role: chat.RoleModerator, Rev: 99}, Seq: 1}},
		{"online", &change.Online{At: chat.RoomID("r").Slot(), Changes: []change.OnlineChange{{Room: "r", User: "ann", Node: "n", On: true}}}},
		{"remove nothing", &change.RemoveRoom{Room: "r"}},
		{"cursors", &change.Cursors{Cursors: []change.Cursor{{Consumer: "another", Position: 1}}}},
		{"end a user's tokens", &change.Access{User: "ann", NotBefore: 7}},
		{"import", &change.Import{Room: "r", Messages: []change.Imported{{User: "bob", Key: "i", Text: "new", Time: 5}, {Seq: 1, Text: "other", Edited: 7}}}},
		{"import a tombstone", &change.Import{Room: "r", History: true, Messages: []change.Imported{{User: "bob", Key: "i", Deleted: true, Time: 5}, {Seq: 1, Deleted: true}}}},
		{"put a member in as history", &change.SetMember{Room: "r", Server: true, User: "cid", Role: chat.RoleMember, History: true}},
		{"claim an id", &change.Access{User: "ann", Claim: true}},
		{"register a device", &change.RegisterDevice{User: "bob", Device: "d", Provider: "fcm", Address: "x", At: 5}},
		{"register it with another address", &change.RegisterDevice{User: "ann", Device: "d", Provider: "fcm", Address: "x", At: 5}},
		{"drop a device", &change.DropDevice{User: "ann", Device: "d"}},
		{"claim an address", &change.ClaimAddress{Digest: "bob", User: "bob", Device: "d", At: 5}},
		{"claim another's address", &change.ClaimAddress{Digest: "ann", User: "bob", Device: "d", At: 5}},
		{"give an address up", &change.ClaimAddress{Digest: "ann", User: "ann", Device: "d", At: 5, Gone: true}},
		{"mute a room", &change.SetPush{User: "ann", Room: "r", MuteUntil: &until}},
		{"notify", &change.Notify{User: "ann", Room: "r", Seq: 2, Life: 1 << 40}},
		{"notify of the same", &change.Notify{User: "ann", Room: "r", Seq: 1, Mention: true}},
		{"notify of a notice", &change.Notify{User: "ann", Notice: &chat.Notice{Name: "n", Title: "t"}, Life: 1 << 40}},
		{"a user has come", &change.Connected{User: "bob", Node: "n", On: true}},
		{"a user has come to another node", &change.Connected{User: "ann", Node: "m", On: true}},
		{"a user has gone", &change.Connected{User: "ann", Node: "n"}},
		{"a push was sent", &change.Pushed{User: "ann", Topic: "room:r", Device: "d", Outcome: change.PushSent}},
		{"a push has failed", &change.Pushed{User: "ann", Topic: "room:r", Device: "d", Outcome: change.PushFailed, Due: 1 << 50}},
	} {
		tried[c.change.Kind()] = true
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.join("r", "owner", "ann", "bob")
			w.must(&change.Send{Room: "r", User: "ann", Draft: chat.Draft{Text: "text", Data: []byte("{}")}})
			w.must(&change.React{Room: "r", Seq: 1, User: "ann", Emoji: "+", On: true})
			w.must(&change.RegisterDevice{User: "ann", Device: "d", Provider: "fcm", Address: "{}", At: 1})
			w.must(&change.ClaimAddress{Digest: "ann", User: "ann", Device: "d", At: 1})
			w.must(&change.Notify{User: "ann", Room: "r", Seq: 1, Delay: 1 << 30, Life: 1 << 40})
			w.must(&change.Connected{User: "ann", Node: "n", On: true})
			if p, ok := c.change.(*change.Pushed); ok {
				p.Made = w.jobs("ann")[0].Made
			}
			first := w.must(c.change)
			state := w.state()
			second := w.must(c.change)
			if second.Seq != first.Seq || second.Repeated != (c.change.Kind() == change.KindSend) {
				t.Errorf("first %+v, second %+v", first, second)
			}
			switch c.change.(type) {
			case *change.Online, *change.Cursors: // written again as they are
			default:
				if second.Changed {
					t.Errorf("the second time has changed something: %+v", second)
				}
			}
			if evs := w.published("r"); len(evs) != 0 {
				t.Errorf("the second time there were events: %+v", evs)
			}
			if now := w.state(); !reflect.DeepEqual(now, state) {
				t.Errorf("was\n%+v, is\n%+v", state, now)
			}
		})
	}
	tried[change.KindDeleteRoom] = true // TestDeletedRoom
	for k := change.Kind(1); k < change.Kinds; k++ {
		if !tried[k] {
			t.Errorf("%s is not tried", k)
		}
	}
}
