package chat

// RoomID names a room. Applications choose it: 1 to Limits.IDBytes bytes of UTF-8,
// by the rule of CheckID.
type RoomID string

// UserID names a user, with the same alphabet as RoomID.
type UserID string

// Seq is the number of a message in its room: 1, 2, 3… without holes.
type Seq int64

// Rev is the number of a durable change in a room: 1, 2, 3… without holes.
type Rev int64

// Slots is the number of fixed buckets that rooms and users are spread over.
// It never changes: a slot is the smallest thing that moves between shards.
const Slots = 1024

// Slot is one of the Slots buckets, 0 to Slots-1.
type Slot uint16

// Slot returns the bucket the room lives in.
func (r RoomID) Slot() Slot { return slotOf(string(r)) }

// Slot returns the bucket the user lives in.
func (u UserID) Slot() Slot { return slotOf(string(u)) }

// slotOf is FNV-1a 64 finished with the mixer of splitmix64, modulo Slots.
// Stored data depends on it: the test vectors beside it may never change.
func slotOf(id string) Slot {
	h := uint64(14695981039346656037)
	for i := 0; i < len(id); i++ {
		h ^= uint64(id[i])
		h *= 1099511628211
	}
	h ^= h >> 30
	h *= 0xbf58476d1ce4e5b9
	h ^= h >> 27
	h *= 0x94d049bb133111eb
	h ^= h >> 31
	return Slot(h % Slots)
}
