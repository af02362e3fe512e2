package engine

import (
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

const (
	// pageBytes bounds what one answer holds of messages, members, rooms or users: as
	// many as fit, at least one. How many entries a client asks for says little of how large
	// they are, and an answer waits in memory for a client that reads slowly.
	pageBytes = 256 << 10
	// joinBytes bounds the first page of members and of users online, which come with
	// the messages in the reply to a join.
	joinBytes = 32 << 10
)

// page bounds the limit that a client asks for.
func page(asked, byDefault, most int) int {
	if asked <= 0 {
		return min(byDefault, most)
	}
	return min(asked, most)
}

// fit cuts a list to the items that have space, at least one.
func fit[T any](list []T, bytes int, size func(*T) int) []T {
	space := store.Space{Items: len(list), Bytes: bytes}
	for i := range list {
		if !space.Take(size(&list[i])) {
			return list[:i]
		}
	}
	return list
}

func fitMembers(ms []chat.Member, bytes int) []chat.Member {
	return fit(ms, bytes, (*chat.Member).Size)
}

func fitUsers(users []chat.UserID, bytes int) []chat.UserID {
	return fit(users, bytes, func(u *chat.UserID) int { return chat.TextSize(string(*u)) + 3 })
}
