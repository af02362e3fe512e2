package mysql

import (
	"context"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/store/sqldb"
)

// mixed is an Engine that answers questions about a and ann with the rows of b and bob,
// as one does that has lost count of its answers.
type mixed struct{ *database }

func (m mixed) Ask(ctx context.Context, qs ...sqldb.Question) error {
	other := map[any]any{"a": "b", "ann": "bob", int64(chat.RoomID("a").Slot()): int64(chat.RoomID("b").Slot()),
		int64(chat.UserID("ann").Slot()): int64(chat.UserID("bob").Slot()), int64(0): int64(1)}
	for i := range qs {
		args := append([]any{}, qs[i].Args...)
		for j, a := range args {
			if _, isBytes := a.([]byte); isBytes {
				continue
			}
			if o, ok := other[a]; ok && !(a == int64(0) && j > 0) {
				args[j] = o
			}
		}
		qs[i].Args = args
	}
	return m.database.Ask(ctx, qs...)
}

// TestMixedAnswers asks an engine that mixes answers up: no method returns the rows of
// another room or user.
func TestMixedAnswers(t *testing.T) {
	s := open(t, sqldb.Options{Name: "shard", DSN: testdb.MariaDB(t)})
	var ch store.Changes
	for room, user := range map[chat.RoomID]chat.UserID{"a": "ann", "b": "bob"} {
		ch.Rooms = append(ch.Rooms, chat.Room{ID: room, LastSeq: 1, Rev: 2, Members: 1})
		ch.Insert = append(ch.Insert, chat.Message{Room: room, Seq: 1, Rev: 1, Created: 1, User: user, Key: "k"})
		ch.Members = append(ch.Members, chat.Member{Room: room, User: user, Role: chat.RoleOwner, Rev: 2})
		ch.UserRooms = append(ch.UserRooms, store.UserRoom{User: user, Room: room, Role: chat.RoleOwner})
		ch.Users = append(ch.Users, chat.User{ID: user})
		ch.Access = append(ch.Access, chat.Access{User: user})
		ch.Online = append(ch.Online, store.OnlineChange{Room: room, OnlineEntry: store.OnlineEntry{User: user, Node: "n"}, On: true})
		ch.Reactions = append(ch.Reactions, store.ReactionChange{On: true, ReactionKey: store.ReactionKey{Room: room, Seq: 1, Emoji: "+", User: user}})
	}
	ch.Outbox, ch.Cursors = []byte("entry"), []store.Cursor{{Consumer: "c"}}
	for lane := range store.LaneID(2) {
		at, err := s.Acquire(ctx, lane)
		must(t, err)
		must(t, s.Commit(ctx, lane, at, &ch))
		ch = store.Changes{Outbox: ch.Outbox, Cursors: ch.Cursors}
	}
	engine := mixed{s.db}
	ask := func(r *sqldb.Reader) map[string]error {
		errs := map[string]error{}
		_, errs["Room"] = r.Room(ctx, "a")
		_, errs["Rooms"] = r.Rooms(ctx, []chat.RoomID{"a"})
		_, errs["Heads"] = r.Heads(ctx, []chat.RoomID{"a"})
		_, _, errs["Messages"] = r.Messages(ctx, "a", store.Page{Limit: 3})
		_, _, errs["Messages up"] = r.Messages(ctx, "a", store.Page{After: store.FromStart, Limit: 3})
		_, errs["DeltaRows"] = r.DeltaRows(ctx, "a", 0, store.Space{Items: 3})
		_, errs["Member"] = r.Member(ctx, "a", "ann")
		_, errs["Members"] = r.Members(ctx, "a", chat.RoleNone, "", 3)
		_, errs["Online"] = r.Online(ctx, "a", 3)
		_, errs["Others"] = r.Others(ctx, []store.Range{{Room: "a", User: "zoe", To: 3}})
		_, errs["UserRoom"] = r.UserRoom(ctx, "ann", "a")
		_, errs["UserRooms"] = r.UserRooms(ctx, "ann", "", 3)
		_, errs["Recipients"] = r.Recipients(ctx, []chat.UserID{"ann"}, 3)
		_, errs["Users"] = r.Users(ctx, []chat.UserID{"ann"})
		_, errs["Access"] = r.Access(ctx, "ann")
		_, errs["Outbox"] = r.Outbox(ctx, 0, 0, 3)
		_, errs["Cursors"] = r.Cursors(ctx, 0)
		_, _, errs["SlotRows"] = r.SlotRows(ctx, chat.RoomID("a").Slot(), store.RowKey{}, 3, 0)
		for name, need := range map[string]*store.Need{
			"rooms": {Rooms: []chat.RoomID{"a"}}, "members": {Members: []store.MemberKey{{Room: "a", User: "ann"}}},
			"keys": {Keys: []store.MessageKey{{Room: "a", User: "ann", Key: "k"}}}, "messages": {Messages: []store.MessageRef{{Room: "a", Seq: 1}}},
			"reactions": {Reactions: []store.ReactionKey{{Room: "a", Seq: 1, Emoji: "+", User: "ann"}}}, "emoji": {Emoji: []store.MessageRef{{Room: "a", Seq: 1}}},
			"user rooms": {UserRooms: []store.UserRoomKey{{User: "ann", Room: "a"}}}, "users": {Users: []chat.UserID{"ann"}},
			"access": {Access: []chat.UserID{"ann"}}, "removals": {Removals: []chat.RoomID{"a"}},
		} {
			_, errs["Load of "+name] = r.Load(ctx, need)
		}
		return errs
	}
	for name, err := range ask(s.Reader) {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, err := range ask(sqldb.NewReader("shard", engine, engine, engine)) {
		if err == nil || chat.KindOf(err) != chat.Internal {
			t.Errorf("%s answers with the rows of another: %v", name, err)
		}
	}
}
