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
	const to = 1 << 50
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
		Taken:     &store.Taken{Queue: 9, Senders: []byte("sender")},
		Outbox: (&store.Entry{Rooms: []store.RoomSpan{{Room: "a", From: 3, To: 4, Seq: 2, Runs: []store.Run{{Kind: chat.EventMessage, Count: 2, Seq: 1}},
			Members: []chat.Member{{Room: "a", User: "ann", Role: chat.RoleOwner, Rev: 2}}}}}).Encode(),
	}
	w.commit()
	w.write(store.Changes{Rooms: []chat.Room{{ID: "made", Open: true}}}) // and nothing has happened in it
	old := w.at

	for range 2 {
		must(t, raiser.RaiseRevs(ctx, 0, to))
	}
	raiseAll(w.rooms["a"], to)
	w.verify()
	same(t, "user's room", get(d.UserRoom(ctx, "ann", "a"))(t), store.UserRoom{User: "ann", Room: "a", Role: chat.RoleOwner, Rev: 2 + to, Read: 4})
	same(t, "user's room that no member row was projected into", get(d.UserRoom(ctx, "cid", "a"))(t), store.UserRoom{User: "cid", Room: "a", Read: 1})
	made := get(d.Room(ctx, "made"))(t)
	same(t, "room without a change", []chat.Rev{made.Rev, made.Floor}, []chat.Rev{to, to})
	same(t, "online", get(d.Online(ctx, "a", 9))(t), nil)
	sameTaken(t, d, 0, store.Taken{})
	entries := get(shard(t, d).Outbox(ctx, 0, 0, 9))(t)
	same(t, "entries", len(entries), 1)
	span := entries[0].Rooms[0]
	same(t, "span", []chat.Rev{span.From, span.To, span.Members[0].Rev}, []chat.Rev{3 + to, 4 + to, 2 + to})
	same(t, "findings", get(d.Check(ctx, nil))(t), nil)

	wantKind(t, d.Commit(ctx, 0, old, &store.Changes{}), chat.Fenced) // the owner of the lost state
	w.at = get(d.Acquire(ctx, 0))(t)
	if w.at.Epoch <= to || w.at.N != old.N {
		t.Errorf("the lane stands at %+v, before at %+v", w.at, old)
	}
	w.post("a", "ann", "goes on", "") // and what is new stays as it is
	w.member("imported", "ann", chat.RoleOwner)
	w.post("imported", "ann", "of a deployment with a smaller base", "")
	w.commit()
	must(t, raiser.RaiseRevs(ctx, 0, to))
	imported := w.rooms["imported"]
	raiseAll(imported, to)
	w.verify()

	must(t, raiser.RaiseRevs(ctx, to, 3*to)) // and once more, from there
	raiseAll(w.rooms["a"], 2*to)
	raiseAll(imported, 2*to)
	w.at = get(d.Acquire(ctx, 0))(t)
	w.member("smaller", "ann", chat.RoleOwner)
	w.commit()
	must(t, raiser.RaiseRevs(ctx, 3*to, 4*to))
	raiseAll(w.rooms["a"], to)
	raiseAll(imported, to)
	raiseAll(w.rooms["smaller"], 4*to)
	w.verify()
	same(t, "findings", get(d.Check(ctx, nil))(t), nil)
}

// raiseAll raises what should be stored of a room.
func raiseAll(r *room, by chat.Rev) {
	r.Rev, r.InfoRev, r.Floor = r.Rev+by, r.InfoRev+by, r.Floor+by
	for i := range r.messages {
		r.messages[i].Rev += by
		r.messages[i].Created += by
	}
	for user, m := range r.members {
		m.Rev += by
		r.members[user] = m
	}
}
