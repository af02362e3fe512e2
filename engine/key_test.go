package engine_test

import (
	"testing"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/store"
)

// A key is shown to its sender and to the host, and never if it was made here.
func TestKeysAreShown(t *testing.T) {
	n := newNode(t, nil)
	ctx := t.Context()
	for _, user := range []chat.UserID{"ann", "bob"} {
		if _, err := n.Join(ctx, engine.Actor{User: user}, "r", engine.JoinOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"order-17", chat.MakeKey(7, 1)} {
		if _, err := n.Do(ctx, engine.Actor{User: "ann"}, &change.Send{Room: "r", Draft: chat.Draft{Text: "x", Key: key}}); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		actor engine.Actor
		key   string // of the first message
	}{"the sender": {engine.Actor{User: "ann"}, "order-17"}, "another user": {engine.Actor{User: "bob"}, ""}, "the host": {engine.Actor{Server: true}, "order-17"}} {
		h, err := n.History(ctx, tt.actor, "r", store.Page{}, engine.Around{})
		if err != nil || len(h.Messages) != 2 {
			t.Fatalf("%+v, %v", h, err)
		}
		if h.Messages[0].Key != tt.key || h.Messages[1].Key != "" {
			t.Errorf("%s is shown the keys %q and %q", name, h.Messages[0].Key, h.Messages[1].Key)
		}
	}
}
