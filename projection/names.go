package projection

import (
	"context"

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
		Consume: func(ctx context.Context, _ int, e *store.Entry) error {
			for _, user := range e.Users {
				if err := rename(ctx, st, lanes, user); err != nil {
					return err
				}
			}
			return nameNew(ctx, st, lanes, e)
		},
	}
}

// namesPage is how many rooms are renamed at the same time.
const namesPage = 100

// rename carries the profile as it is now, which may be newer than the entry. It finds
// the rooms by the user's list, in which a room may be missing that was joined just
// now: the engine reads the profile again once it is there (Engine.recheckNames).
func rename(ctx context.Context, st *store.Store, lanes Lanes, user chat.UserID) error {
	db := st.User(user)
	us, err := db.Users(ctx, []chat.UserID{user})
	if err != nil || len(us) == 0 {
		return err
	}
	var after chat.RoomID
	for {
		rooms, err := db.UserRooms(ctx, user, after, namesPage)
		if err != nil || len(rooms) == 0 {
			return err
		}
		changes := make([]change.Change, len(rooms))
		for i, r := range rooms {
			changes[i] = &change.Rename{Room: r.Room, User: user, Name: us[0].Name, Avatar: us[0].Avatar}
		}
		if err := submit(lanes, changes); err != nil {
			return err
		}
		after = rooms[len(rooms)-1].Room
	}
}

// nameNew gives the members in the entry who have no name that of their profile.
func nameNew(ctx context.Context, st *store.Store, lanes Lanes, e *store.Entry) error {
	var rows []chat.Member
	var users []chat.UserID
	for i := range e.Rooms {
		for _, m := range e.Rooms[i].Members {
			if m.Role.Present() && m.Name == "" {
				rows, users = append(rows, m), append(users, m.User)
			}
		}
	}
	if len(users) == 0 {
		return nil
	}
	known, err := st.Users(ctx, users)
	if err != nil {
		return err
	}
	var changes []change.Change
	for _, m := range rows {
		if u := known[m.User]; u.Name != "" {
			changes = append(changes, &change.Rename{Room: m.Room, User: m.User, Name: u.Name, Avatar: u.Avatar})
		}
	}
	return submit(lanes, changes)
}
