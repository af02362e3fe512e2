package storetest

import (
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// The size is that of the rooms, and some bytes.
func checkSize(t *testing.T, d store.Driver) {
	sizer, ok := d.(store.Sizer)
	if !ok {
		t.Fatalf("%T is no store.Sizer: an operator who moves rooms cannot see what it holds", d)
	}
	empty := get(sizer.Size(ctx))(t)
	same(t, "rooms and rows of an empty shard", []int64{empty.Rooms, empty.Rows}, []int64{0, 0})
	w := newWorld(t, d)
	w.member("a", "ann", chat.RoleOwner)
	w.member("a", "ben", chat.RoleMember)
	for range 3 {
		w.post("a", "ann", "hello", "")
	}
	w.post("b", "ann", "hello", "")
	w.commit()
	size := get(sizer.Size(ctx))(t)
	same(t, "rooms and rows", []int64{size.Rooms, size.Rows}, []int64{2, 2 + 2 + 4})
	if size.Bytes <= 0 {
		t.Errorf("it takes %d bytes", size.Bytes)
	}
}
