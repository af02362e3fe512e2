package lane

import (
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/lru"
	"github.com/roomtide/roomtide/store"
)

// cache keeps rooms and members between the batches of one lane. It is never
// stale (see the package comment), and cleared when a commit fails. Owned by
// lane.run.
type cache struct {
	rooms   *lru.Map[chat.RoomID, chat.Room]
	members *lru.Map[store.MemberKey, member]
	zones   *lru.Map[string, *time.Location] // by name; never cleared
}

// member is a chat.Member without its key: there are many.
type member struct {
	name  string
	rare  *rare // nil: none of it
	role  chat.Role
	rev   chat.Rev
	since int64
}

// rare is what few members have.
type rare struct {
	avatar, data string
	until        int64
}

// cachedData is up to how many bytes of Data a member may have to be kept, so that
// what applications store does not decide how much memory a lane needs.
const cachedData = 256

// member returns a cached member.
func (c *cache) member(k store.MemberKey) (chat.Member, bool) {
	m, ok := c.members.Get(k)
	out := chat.Member{Room: k.Room, User: k.User, Name: m.name, Role: m.role, Rev: m.rev, Since: m.since}
	if m.rare != nil {
		out.Avatar, out.Data, out.Until = m.rare.avatar, m.rare.data, m.rare.until
	}
	return out, ok
}

func (c *cache) putMember(k store.MemberKey, m *chat.Member) {
	if len(m.Data) > cachedData {
		c.members.Delete(k)
		return
	}
	kept := member{name: m.Name, role: m.Role, rev: m.Rev, since: m.Since}
	if r := (rare{m.Avatar, m.Data, m.Until}); r != (rare{}) {
		kept.rare = &r
	}
	c.members.Put(k, kept)
}

// How many rows a lane keeps at least.
const (
	cachedRooms   = 16 << 10
	cachedMembers = 64 << 10
	cachedZones   = 256
)

func newCache() *cache {
	return &cache{
		rooms:   lru.New[chat.RoomID, chat.Room](cachedRooms),
		members: lru.New[store.MemberKey, member](cachedMembers),
		zones:   lru.New[string, *time.Location](cachedZones),
	}
}

// zone is the time zone with the name, UTC if there is none.
func (c *cache) zone(name string) *time.Location {
	if z, ok := c.zones.Get(name); ok {
		return z
	}
	z, err := time.LoadLocation(name)
	if err != nil {
		z = time.UTC
	}
	c.zones.Put(name, z)
	return z
}

func (c *cache) clear() {
	c.rooms.Clear()
	c.members.Clear()
}

// forget drops what is cached of the rooms of the slots.
func (c *cache) forget(slots *store.SlotSet) {
	c.rooms.DeleteFunc(func(id chat.RoomID) bool { return slots.Has(id.Slot()) })
	c.members.DeleteFunc(func(k store.MemberKey) bool { return slots.Has(k.Room.Slot()) })
}
