package adopt

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
	"time"

	"github.com/roomtide/roomtide/adopt/source"
)

// systemUser is the author of lines without an author.
const systemUser = "system"

// keyBytes is how long the key of a message may be.
const keyBytes = 128

// item is a message as POST /v1/import takes it.
type item struct {
	Room    string            `json:"room"`
	Seq     int64             `json:"seq,omitempty"`
	User    string            `json:"user,omitempty"`
	Key     string            `json:"key,omitempty"`
	Text    string            `json:"message"`
	Data    map[string]string `json:"data,omitempty"`
	ReplyTo int64             `json:"reply_to,omitempty"`
	Time    *time.Time        `json:"time,omitempty"`
	Edited  *time.Time        `json:"edited,omitempty"`
	Deleted bool              `json:"deleted,omitempty"`
}

// hash tells apart what a message says: what both sides can see of it.
type hash [16]byte

func (h hash) String() string { return hex.EncodeToString(h[:]) }

// hashOf is that of a message of either side. Of one that was deleted nothing else counts.
func hashOf(room, user, text string, data map[string]string, deleted bool) (out hash) {
	h := sha256.New()
	put := func(s string) {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(s))))
		h.Write([]byte(s))
	}
	put(room)
	put(user)
	if deleted {
		put("deleted")
	} else {
		put(text)
		for _, name := range slices.Sorted(maps.Keys(data)) {
			put(name)
			put(data[name])
		}
	}
	copy(out[:], h.Sum(nil))
	return out
}

func (i *item) hash() hash { return hashOf(i.Room, i.User, i.Text, i.Data, i.Deleted) }

// keyPrefix begins the idempotency keys of everything that comes from the source.
func keyPrefix(name string) string { return "adopt:" + name + ":" }

// messageKey is the idempotency key of a row.
func messageKey(name string, key source.Key) string {
	k := keyPrefix(name) + string(key)
	if len(k) <= keyBytes {
		return k
	}
	sum := sha256.Sum256([]byte(key))
	return keyPrefix(name) + "#" + hex.EncodeToString(sum[:16])
}

// itemOf is the message that a row is. The answer that it may be, is not in it.
func itemOf(name string, r *source.Row) item {
	i := item{Room: r.Room, User: r.User, Key: messageKey(name, r.Key), Text: r.Text, Data: maps.Clone(r.Data), Deleted: r.Deleted}
	if i.User == "" {
		i.User = systemUser
	}
	if r.Kind == source.System && !r.Deleted {
		if i.Data == nil {
			i.Data = map[string]string{}
		}
		i.Data["kind"] = source.System
	}
	if !r.Time.IsZero() {
		at := r.Time.UTC()
		i.Time = &at
	}
	if !r.Edited.IsZero() {
		at := r.Edited.UTC()
		i.Edited = &at
	}
	return i
}
