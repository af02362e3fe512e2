package store

import (
	"crypto/sha256"
	"encoding/json"
	"hash"

	"github.com/roomtide/roomtide/chat"
)

// Digest is the SHA-256 of the lines (Rows.WriteLines) of what is stored of one room
// or user, in ascending order of their keys. In two databases it is equal exactly if
// the rows are, whatever their engines are.
type Digest [sha256.Size]byte

// Digests computes the digest of each room and user of a slot from its rows. The zero
// Digests is ready for use.
type Digests struct {
	rooms map[chat.RoomID]*lineHash
	users map[chat.UserID]*lineHash
}

// lineHash hashes lines.
type lineHash struct {
	hash.Hash
	lines *json.Encoder
}

// Add adds rows. Those of a room, and those of a user, come in ascending order of
// their keys, which is the order of SlotRows.
func (d *Digests) Add(rows *Rows) error {
	if d.rooms == nil {
		d.rooms, d.users = map[chat.RoomID]*lineHash{}, map[chat.UserID]*lineHash{}
	}
	return rows.eachLine(func(k RowKey, l *rowLine) error {
		if k.Table < TableUserRooms {
			return hashOf(d.rooms, chat.RoomID(k.ID)).lines.Encode(l)
		}
		return hashOf(d.users, chat.UserID(k.ID)).lines.Encode(l)
	})
}

func hashOf[ID comparable](hashes map[ID]*lineHash, id ID) *lineHash {
	h := hashes[id]
	if h == nil {
		h = &lineHash{Hash: sha256.New()}
		h.lines = newLineEncoder(h)
		hashes[id] = h
	}
	return h
}

// Rooms are the digests of the rooms of which rows were added.
func (d *Digests) Rooms() map[chat.RoomID]Digest { return sums(d.rooms) }

// Users are the digests of the users of whom rows were added.
func (d *Digests) Users() map[chat.UserID]Digest { return sums(d.users) }

func sums[ID comparable](hashes map[ID]*lineHash) map[ID]Digest {
	out := make(map[ID]Digest, len(hashes))
	for id, h := range hashes {
		var sum Digest
		h.Sum(sum[:0])
		out[id] = sum
	}
	return out
}
