package storetest

import (
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// After RaiseRevs everything is as it was, with other revs; once more is nothing more.
func checkRaiseRevs(t *testing.T, d store.Driver) {
	raiser, ok := d.(store.Raiser)
	if !ok {
		t.Fatalf("%T is no store.Raiser: a deployment in it cannot be put back from a backup", d)
	}
	const below, by = 1 << 50, 1 << 50
	w := newWorld(t, d)
	w.member("a", "ann", chat.RoleOwner)
	for range 5 {
		w.post("a", "ann", "hello", "")
	}
	w.edit("a", 2, "changed")
	w.member("a", "ben", chat.RoleMember)
	w.react("a", 3, "ben", "👍", true)
	w.batch.more = store.Changes{
		UserRooms: []store.UserRoom{{User: "ann", Room: "a", Role: chat.RoleOwner, Rev: 2, Read: 4}, {User: "cid", Room: "a", Read: 1}},
		Online:    []store.OnlineChange{{Room: "a", OnlineEntry: store.OnlineEntry{User: "ann", Node: "n"}, On: true}},
		Outbox: (&store.Entry{Rooms: []store.RoomSpan{{Room: "a", From: 3, To: 4, Seq: 2, Runs: []store.Run{{Kind: chat.EventMessage, Count: 2, Seq: 1}},
			Members: []chat.Member{{Room: "a", User: "ann", Role: chat.RoleOwner, Rev: 2}}}}}).Encode(),
	}
	w.commit()
	old := w.at

	raise := func(r *chat.Rev) { *r += by }
	for range 2 {
		must(t, raiser.RaiseRevs(ctx, below, by))
	}
	for _, r := range w.rooms {
		raise(&r.Rev)
		raise(&r.InfoRev)
		raise(&r.Floor)
		for i := range r.messages {
			raise(&r.messages[i].Rev)
			raise(&r.messages[i].Created)
		}
		for user, m := range r.members {
			raise(&m.Rev)
			r.members[user] = m
		}
	}
	w.verify()
	same(t, "user's room", get(d.UserRoom(ctx, "ann", "a"))(t), store.UserRoom{User: "ann", Room: "a", Role: chat.RoleOwner, Rev: 2 + by, Read: 4})
	same(t, "user's room that no member row was projected into", get(d.UserRoom(ctx, "cid", "a"))(t), store.UserRoom{User: "cid", Room: "a", Read: 1})
	same(t, "online", get(d.Online(ctx, "a", 9))(t), nil)
	entries := get(shard(t, d).Outbox(ctx, 0, 0, 9))(t)
	same(t, "entries", len(entries), 1)
	span := entries[0].Rooms[0]
	same(t, "span", []chat.Rev{span.From, span.To, span.Members[0].Rev}, []chat.Rev{3 + by, 4 + by, 2 + by})
	same(t, "findings", get(d.Check(ctx))(t), nil)

	wantKind(t, d.Commit(ctx, 0, old, &store.Changes{}), chat.Fenced) // the owner of the lost state
	w.at = get(d.Acquire(ctx, 0))(t)
	if w.at.Epoch <= below || w.at.N != old.N {
		t.Errorf("the lane stands at %+v, before at %+v", w.at, old)
	}
	w.post("a", "ann", "goes on", "") // and what is new stays as it is
	w.commit()
	must(t, raiser.RaiseRevs(ctx, below, by))
	w.verify()
}
