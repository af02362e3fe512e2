package engine_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/internal/testserver"
	"github.com/roomtide/roomtide/store"
)

// A message that was accepted is no failure of a node that stops before it is decided.
func TestAcceptedBeforeTheNodeStops(t *testing.T) {
	var q testserver.Queue
	deps, _ := testserver.Open(t, testserver.Config{Queue: &q})
	e, ann := deps.Engine, engine.Actor{User: "ann"}
	if _, err := e.Join(t.Context(), ann, "r", engine.JoinOptions{}); err != nil {
		t.Fatal(err)
	}
	q.Hold()
	go func() {
		for q.Waiting() == 0 && t.Context().Err() == nil {
			time.Sleep(time.Millisecond)
		}
		q.Forget()
	}()
	m := &change.Send{Room: "r", Draft: chat.Draft{Text: "x", Key: "k"}}
	_, queued, err := e.Send(t.Context(), ann, m, time.Minute)
	if err != nil || queued == nil || queued.Key != "k" {
		t.Fatalf("%+v, %v", queued, err)
	}
	if _, waiting, err := e.Sent(t.Context(), ann, "r", "k", queued); !waiting || err != nil {
		t.Errorf("while it waits: %v, %v", waiting, err)
	}
	q.Release()
	if r, err := e.Do(t.Context(), ann, &change.Send{Room: "r", Draft: chat.Draft{Text: "x", Key: "k"}}); err != nil || !r.Repeated {
		t.Errorf("sent again: %+v, %v", r, err)
	}
	if r, waiting, err := e.Sent(t.Context(), ann, "r", "k", queued); r.Seq != 1 || waiting || err != nil {
		t.Errorf("when it is decided: %+v, %v, %v", r, waiting, err)
	}
}

// While a database does not answer, what was accepted waits, and tokens are taken at their
// word.
func TestSentWhileTheDatabaseIsSilent(t *testing.T) {
	shards := map[store.Driver]*halting{}
	n := makeNode(t, time.Now, func(d store.Driver) store.Driver {
		shards[d] = &halting{Driver: d, asked: make(chan struct{}, 1)}
		return shards[d]
	}, nil)
	ann := as("ann")
	if _, err := n.Join(t.Context(), ann, "r", engine.JoinOptions{}); err != nil {
		t.Fatal(err)
	}
	halted := n.halt(t, shards, "r")
	defer func() { close(*halted.until.Swap(nil)) }()
	for _, queued := range []*change.Queued{nil, {Lane: n.store.ShardOf(chat.RoomID("r").Slot()), Entry: 7}} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_, waiting, err := n.Sent(ctx, ann, "r", "k", queued)
		cancel()
		if queued == nil && chat.KindOf(err) != chat.Unavailable || queued != nil && (err != nil || !waiting) {
			t.Errorf("%+v: %v, %v", queued, waiting, err)
		}
	}
	user := chat.UserID("u")
	for i := 0; n.store.ShardOf(user.Slot()) != n.store.ShardOf(chat.RoomID("r").Slot()); i++ {
		user = chat.UserID(fmt.Sprint("u", i))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if name, _ := n.Greet(ctx, user, claims("Ann", time.Now())); name != "Ann" {
		t.Errorf("the user is called %q", name)
	}
}
