package projection

import (
	"context"
	"slices"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/outbox"
	"github.com/roomtide/roomtide/store"
)

// Names returns the consumer that carries the name and the avatar of a user's
// profile into the member rows of the rooms that the user is in: when the profile has
// changed, and when a user has come into a room without a name. Doing so twice
// changes nothing.
func Names(st *store.Store, lanes Lanes) outbox.Consumer {
	return outbox.Consumer{
		Name: "names", Start: outbox.FromOldest,
		Parts: func(ctx context.Context, _ int, e *store.Entry) (parts []outbox.Part, err error) {
			for _, user := range e.Users {
				renames, err := rename(ctx, st, lanes, user)
				if err != nil {
					return nil, err
				}
				parts = append(parts, renames...)
			}
			return append(parts, nameNew(st, lanes, e)...), nil
		},
	}
}

// namesPage is how many rooms are renamed at the same time.
const namesPage = 100

// rename divides the rooms of a user by shard. It finds them by the user's list, in which
// a room may be missing that was joined just now: the engine reads the profile again once
// it is there (Engine.recheckNames).
func rename(ctx context.Context, st *store.Store, lanes Lanes, user chat.UserID) ([]outbox.Part, error) {
	by := outbox.Targets[chat.RoomID]{}
	var after chat.RoomID
	for {
		rooms, err := st.User(user).UserRooms(ctx, user, after, namesPage)
		if err != nil {
			return nil, err
		}
		for _, r := range rooms {
			by.Add(st.ShardOf(r.Room.Slot()), r.Room, 16+len(r.Room))
		}
		if len(rooms) == 0 {
			break
		}
		after = rooms[len(rooms)-1].Room
	}
	return by.Parts(func(ctx context.Context, rooms []chat.RoomID) error { return renameIn(ctx, st, lanes, user, rooms) }), nil
}

// renameIn carries the profile as it is now, which may be newer than the entry.
func renameIn(ctx context.Context, st *store.Store, lanes Lanes, user chat.UserID, rooms []chat.RoomID) error {
	us, err := st.User(user).Users(ctx, []chat.UserID{user})
	if err != nil || len(us) == 0 {
		return err
	}
	for page := range slices.Chunk(rooms, namesPage) {
		changes := make([]change.Change, len(page))
		for i, room := range page {
			changes[i] = &change.Rename{Room: room, User: user, Name: us[0].Name, Avatar: us[0].Avatar}
		}
		if err := outbox.Submit(ctx, lanes, changes); err != nil {
			return err
		}
	}
	return nil
}

// nameNew gives the members in the entry who have no name that of their profile, which
// is in the shard of the user.
func nameNew(st *store.Store, lanes Lanes, e *store.Entry) []outbox.Part {
	by := outbox.Targets[store.MemberKey]{}
	for i := range e.Rooms {
		for _, m := range e.Rooms[i].Members {
			if m.Role.Present() && m.Name == "" {
				by.Add(st.ShardOf(m.User.Slot()), store.MemberKey{Room: m.Room, User: m.User}, 32+len(m.Room)+len(m.User))
			}
		}
	}
	return by.Parts(func(ctx context.Context, members []store.MemberKey) error { return nameIn(ctx, st, lanes, members) })
}

func nameIn(ctx context.Context, st *store.Store, lanes Lanes, members []store.MemberKey) error {
	users := make([]chat.UserID, len(members))
	for i, m := range members {
		users[i] = m.User
	}
	known, err := st.Users(ctx, users)
	if err != nil {
		return err
	}
	var changes []change.Change
	for _, m := range members {
		if u := known[m.User]; u.Name != "" {
			changes = append(changes, &change.Rename{Room: m.Room, User: m.User, Name: u.Name, Avatar: u.Avatar})
		}
	}
	return outbox.Submit(ctx, lanes, changes)
}
