package storetest

import (
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

func checkAccess(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	_, err := d.Access(ctx, "ann")
	wantKind(t, err, chat.NotFound)

	ann, bob := chat.Access{User: "ann", Claimed: true}, chat.Access{User: "bob", NotBefore: 1 << 40}
	w.write(store.Changes{Access: []chat.Access{ann, bob}})
	same(t, "ann", get(d.Access(ctx, "ann"))(t), ann)
	same(t, "bob", get(d.Access(ctx, "bob"))(t), bob)
	_, err = d.Access(ctx, "Ann")
	wantKind(t, err, chat.NotFound)

	ann.NotBefore = 5
	w.write(store.Changes{Access: []chat.Access{ann}})
	same(t, "ann later", get(d.Access(ctx, "ann"))(t), ann)
	same(t, "loaded", get(d.Load(ctx, &store.Need{Access: []chat.UserID{"ann", "nobody", "bob", "ann"}}))(t).Access,
		map[chat.UserID]chat.Access{"ann": ann, "bob": bob})
}
