package engine_test

import (
	"context"
	"testing"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
)

// Each message has an outcome of its own, and costs its user as much as one sent alone.
func TestSendAll(t *testing.T) {
	n := newNode(t, func(c *engine.Config) {
		c.Rates = engine.Rates{User: engine.Rate{PerSecond: 0.001, Burst: 2}}
	})
	ann, shop := engine.Actor{User: "ann"}, engine.Actor{User: "shop", Server: true}
	if _, err := n.Join(t.Context(), ann, "r", engine.JoinOptions{}); err != nil {
		t.Fatal(err)
	}
	sending := func(a engine.Actor, room chat.RoomID, text string) engine.Sending {
		return engine.Sending{Actor: a, Send: &change.Send{Room: room, Draft: chat.Draft{Text: text}}}
	}
	got := n.SendAll(t.Context(), []engine.Sending{
		sending(ann, "r", "one"), sending(ann, "r", ""), sending(shop, "r", "two"), sending(shop, "none", "x"),
		sending(ann, "r", "three"), sending(ann, "r", "too much"), sending(shop, "r", "four"),
	}, time.Second)
	kinds := map[int]chat.Kind{1: chat.Invalid, 3: chat.NotFound, 5: chat.RateLimited}
	seq := chat.Seq(0)
	for i, o := range got {
		if kind, refused := kinds[i]; refused {
			wantKind(t, "a message that is refused", o.Err, kind)
			continue
		}
		if seq++; o.Err != nil || o.Reply.Seq != seq {
			t.Errorf("message %d: %+v, want seq %d", i, o, seq)
		}
	}

	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	<-ctx.Done()
	for _, o := range n.SendAll(ctx, []engine.Sending{sending(shop, "r", "five")}, time.Second) {
		if o.Err != nil { // it may have been as quick
			wantKind(t, "who does not wait", o.Err, chat.Unavailable)
		}
	}
}
