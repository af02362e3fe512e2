package storetest

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"pgregory.net/rapid"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// alike asks two shards everything about the rows, and fails unless they answer the
// same. They may have other rows.
func alike(t rapid.TB, rows *store.Rows, a, b store.Driver) {
	t.Helper()
	pair := drivers{t, a, b}
	for i := range rows.Rooms {
		alikeRoom(pair, rows.Rooms[i].ID)
	}
	alikeLists(pair, rows)
	alikeUsers(pair, rows)
	alikeLoad(pair, rows)
}

// allAlike is alike for shards that have no other rows.
func allAlike(t rapid.TB, rows *store.Rows, a, b store.Driver) {
	t.Helper()
	alike(t, rows, a, b)
	pair := drivers{t, a, b}
	slots := map[chat.Slot]bool{}
	for _, k := range rows.Keys() {
		slots[k.Slot()] = true
	}
	for slot := range slots {
		agree(pair, fmt.Sprint("slot ", slot), func(d store.Driver) (store.Rows, error) {
			return *slotOf(t, d, slot, store.RowKey{}, 1000, 0), nil
		})
		agree(pair, fmt.Sprint("digests of slot ", slot), func(d store.Driver) (map[chat.RoomID]store.Digest, error) {
			var digests store.Digests
			err := digests.Add(slotOf(t, d, slot, store.RowKey{}, 1000, 0))
			return digests.Rooms(), err
		})
	}
	for _, order := range []store.Order{store.ByID, store.ByActivity} {
		agree(pair, fmt.Sprint("list in order ", order), func(d store.Driver) ([]chat.Room, error) {
			return d.ListRooms(ctx, store.RoomFilter{Order: order, Archived: true, Limit: 1000})
		})
	}
	agree(pair, "messages by ann", func(d store.Driver) ([]store.MessageRef, error) {
		found, _, err := d.MessagesBy(ctx, "ann", store.MessageRef{}, 10_000)
		slices.SortFunc(found, func(a, b store.MessageRef) int {
			return cmp.Or(cmp.Compare(a.Room, b.Room), cmp.Compare(a.Seq, b.Seq))
		})
		return found, err
	})
	agree(pair, "all members", func(d store.Driver) ([]chat.Member, error) {
		ms, err := d.AllMembers(ctx, store.MemberKey{}, 10_000)
		return pickRows(ms, every), err
	})
	agree(pair, "any room", func(d store.Driver) (bool, error) { return d.HasRooms(ctx) })
	same(t, "faults", get(a.Check(ctx, nil))(t), nil)
	same(t, "faults", get(b.Check(ctx, nil))(t), nil)
}

// drivers are two shards that should be alike.
type drivers struct {
	rapid.TB
	a, b store.Driver
}

// agree asks both. Errors are alike if their kinds are.
func agree[V any](ds drivers, what string, ask func(store.Driver) (V, error)) {
	ds.Helper()
	a, errA := ask(ds.a)
	b, errB := ask(ds.b)
	if (errA == nil) != (errB == nil) || errA != nil && chat.KindOf(errA) != chat.KindOf(errB) {
		ds.Fatalf("%s: %v, and %v", what, errA, errB)
	}
	same(ds, what, b, a)
}

func alikeRoom(ds drivers, id chat.RoomID) {
	ds.Helper()
	what := fmt.Sprintf("room %q: ", id)
	agree(ds, what+"room", func(d store.Driver) (chat.Room, error) { return d.Room(ctx, id) })
	agree(ds, what+"messages", func(d store.Driver) ([]chat.Message, error) {
		ms, _, err := d.Messages(ctx, id, store.Page{Limit: 1000})
		return ms, err
	})
	for _, after := range []chat.Rev{0, 1, 4, 7, 11} {
		agree(ds, fmt.Sprint(what, "delta after ", after), func(d store.Driver) (chat.Delta, error) {
			return shard(ds, d).Delta(ctx, id, after, 5, 0)
		})
	}
	for role := chat.RoleNone; role <= chat.RoleMuted; role++ {
		agree(ds, fmt.Sprint(what, "members with role ", role), func(d store.Driver) ([]chat.Member, error) {
			return d.Members(ctx, id, role, "", 1000)
		})
	}
	agree(ds, what+"online", func(d store.Driver) ([]store.OnlineEntry, error) { return d.Online(ctx, id, 1000) })
}

func alikeLists(ds drivers, rows *store.Rows) {
	ds.Helper()
	ids := roomIDs(rows.Rooms)
	agree(ds, "rooms", func(d store.Driver) ([]chat.Room, error) {
		rs, err := d.Rooms(ctx, ids)
		slices.SortFunc(rs, func(a, b chat.Room) int { return cmp.Compare(a.ID, b.ID) })
		return rs, err
	})
	agree(ds, "heads", func(d store.Driver) ([]store.Head, error) {
		hs, err := d.Heads(ctx, ids)
		slices.SortFunc(hs, func(a, b store.Head) int { return cmp.Compare(a.Room.ID, b.Room.ID) })
		return hs, err
	})
	var ranges []store.Range
	for _, id := range ids {
		ranges = append(ranges, store.Range{Room: id, User: "ann", To: 100, First: true})
	}
	agree(ds, "others", func(d store.Driver) ([]store.Others, error) { return d.Others(ctx, ranges) })
}

func alikeUsers(ds drivers, rows *store.Rows) {
	ds.Helper()
	var ids []chat.UserID
	for i := range rows.Users {
		ids = append(ids, rows.Users[i].ID)
	}
	agree(ds, "users", func(d store.Driver) ([]chat.User, error) {
		us, err := d.Users(ctx, ids)
		return pickRows(us, every), err
	})
	for _, id := range ids {
		agree(ds, fmt.Sprintf("access of %q", id), func(d store.Driver) (chat.Access, error) { return d.Access(ctx, id) })
		agree(ds, fmt.Sprintf("devices of %q", id), func(d store.Driver) ([]chat.Device, error) { return d.Devices(ctx, id) })
		agree(ds, fmt.Sprintf("push settings of %q", id), func(d store.Driver) ([]chat.PushSettings, error) { return d.PushSettings(ctx, id, "", 1000) })
		agree(ds, fmt.Sprintf("rooms of %q", id), func(d store.Driver) ([]store.UserRoom, error) { return d.UserRooms(ctx, id, "", 1000) })
	}
	agree(ds, "recipients", func(d store.Driver) ([]store.Recipient, error) { return d.Recipients(ctx, ids, 1000) })
	agree(ds, "due jobs", func(d store.Driver) ([]store.PushJob, error) {
		jobs, err := d.DuePushJobs(ctx, math.MinInt64, math.MaxInt64, 10_000)
		return pickRows(jobs, every), err
	})
	for i := range rows.UserRooms {
		u := &rows.UserRooms[i]
		agree(ds, fmt.Sprintf("%q in %q", u.User, u.Room), func(d store.Driver) (store.UserRoom, error) { return d.UserRoom(ctx, u.User, u.Room) })
	}
	for i := range rows.Members {
		m := &rows.Members[i]
		agree(ds, fmt.Sprintf("member %q of %q", m.User, m.Room), func(d store.Driver) (chat.Member, error) { return d.Member(ctx, m.Room, m.User) })
	}
}

// alikeLoad compares what lanes read.
func alikeLoad(ds drivers, rows *store.Rows) {
	ds.Helper()
	var need store.Need
	for i := range rows.Rooms {
		need.Rooms = append(need.Rooms, rows.Rooms[i].ID)
	}
	for i := range rows.Members {
		need.Members = append(need.Members, store.MemberKey{Room: rows.Members[i].Room, User: rows.Members[i].User})
	}
	for i := range rows.Messages {
		m := &rows.Messages[i]
		ref := store.MessageRef{Room: m.Room, Seq: m.Seq}
		need.Messages, need.Emoji = append(need.Messages, ref), append(need.Emoji, ref)
		if m.Key != "" {
			need.Keys = append(need.Keys, store.MessageKey{Room: m.Room, User: m.User, Key: m.Key})
		}
	}
	for i := range rows.Reactions {
		need.Reactions = append(need.Reactions, rows.Reactions[i].ReactionKey)
	}
	for i := range rows.UserRooms {
		need.UserRooms = append(need.UserRooms, store.UserRoomKey{User: rows.UserRooms[i].User, Room: rows.UserRooms[i].Room})
	}
	for i := range rows.Users {
		need.Users = append(need.Users, rows.Users[i].ID)
	}
	for i := range rows.Access {
		user := rows.Access[i].User
		need.Access, need.Devices, need.PushJobs = append(need.Access, user), append(need.Devices, user), append(need.PushJobs, store.PushTopic{User: user})
	}
	for i := range rows.PushSettings {
		need.PushSettings = append(need.PushSettings, store.UserRoomKey{User: rows.PushSettings[i].User, Room: rows.PushSettings[i].Room})
	}
	for i := range rows.UserNodes {
		need.UserNodes = append(need.UserNodes, rows.UserNodes[i].User)
	}
	for i := range rows.PushOwners {
		need.PushOwners = append(need.PushOwners, rows.PushOwners[i].Digest)
	}
	agree(ds, "loaded", func(d store.Driver) (store.State, error) {
		st, err := d.Load(ctx, &need)
		if err != nil {
			return store.State{}, err
		}
		return *st, nil
	})
}
