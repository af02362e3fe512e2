package lane_test

import (
	"context"
	"testing"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/teststore"
	"github.com/roomtide/roomtide/store"
)

// Rooms, members and reactions that were stored before the rules of text are found,
// used and taken away under the names they have, and no new ones are made like them.
func TestRowsOfBeforeTheRulesOfText(t *testing.T) {
	w := newWorld(t)
	const old, odd = chat.RoomID("old\u200b room "), chat.UserID("ann ")
	w.close()
	w.seed(&store.Changes{
		Rooms:   []chat.Room{{ID: old, Open: true, LastSeq: 1, Rev: 4, Members: 1, Created: 1}},
		Members: []chat.Member{{Room: old, User: odd, Role: chat.RoleOwner, Rev: 1, Since: 1}},
		Insert:  []chat.Message{{Room: old, Seq: 1, Rev: 4, Created: 2, User: odd, Text: "\u200b", Time: 1}},
		Reactions: []store.ReactionChange{
			{ReactionKey: store.ReactionKey{Room: old, Seq: 1, Emoji: "LGTM", User: "bob"}, On: true, Time: 1},
			{ReactionKey: store.ReactionKey{Room: old, Seq: 1, Emoji: "❤", User: "bob"}, On: true, Time: 1},
		},
	}, old.Slot())
	w.open()

	w.must(&change.Join{Room: old, User: "bob"})
	w.must(send(old, "bob", "", "hello"))
	w.must(&change.React{Room: old, Seq: 1, User: "bob", Emoji: "LGTM"})
	w.must(&change.React{Room: old, Seq: 1, User: "bob", Emoji: "❤"})
	w.must(&change.React{Room: old, Seq: 1, User: "bob", Emoji: "❤\ufe0f", On: true})
	w.must(&change.React{Room: old, Seq: 1, User: "bob", Emoji: "❤"}) // as it is stored now
	ms, _, err := w.store.Room(old).Messages(t.Context(), old, store.Page{Limit: 10})
	if err != nil || len(ms) != 2 || len(ms[0].Reactions) != 0 {
		t.Errorf("%+v %v", ms, err)
	}
	w.must(&change.SetMember{Room: old, Server: true, User: odd, Role: chat.RoleBanned})

	for name, c := range map[string]change.Change{
		"a room like it":           &change.Join{Room: "new\u200b room", User: "bob", Create: &change.RoomSpec{}},
		"a room by the host":       &change.SetRoom{Room: " new", Server: true, Create: &change.RoomSpec{}},
		"a member like it":         &change.SetMember{Room: old, Server: true, User: "bob ", Role: chat.RoleMember},
		"a member in another form": &change.SetMember{Room: old, Server: true, User: "e\u0301", Role: chat.RoleBanned},
	} {
		if _, err := w.do(c); chat.KindOf(err) != chat.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// seed writes rows as an earlier version did, while no lane is open.
func (w *world) seed(ch *store.Changes, slot chat.Slot) {
	w.t.Helper()
	st := teststore.Open(w.t, w.dir, 2, nil)
	shard := st.Shards()[st.ShardOf(slot)]
	at, err := shard.Acquire(context.Background(), 0)
	if err == nil {
		err = shard.Commit(context.Background(), 0, at, ch)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		w.t.Fatal(err)
	}
}
