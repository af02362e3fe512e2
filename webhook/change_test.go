package webhook_test

import (
	"context"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/outbox"
	"github.com/roomtide/roomtide/webhook"
)

// halfAdded is an outbox whose Add has an error once, although the consumer is added.
type halfAdded struct {
	webhook.Outbox
	failed atomic.Bool
}

func (h *halfAdded) Add(ctx context.Context, k outbox.Consumer) error {
	err := h.Outbox.Add(ctx, k)
	if err == nil && k.Name != "webhook-history" && h.failed.CompareAndSwap(false, true) {
		return chat.E(chat.Busy, "one shard is full")
	}
	return err
}

// A webhook that was added in part at first is changed like another one: no shard goes on with
// the address before.
func TestChangedAfterAFailure(t *testing.T) {
	half := &halfAdded{}
	w := newWorldAround(t, webhook.Config{}, func(box webhook.Outbox) webhook.Outbox { half.Outbox = box; return half })
	before, after := newReceiver(t), newReceiver(t)
	insecure := true
	o := webhook.Order{URL: &before.server.URL, Insecure: &insecure, Kinds: &[]string{"message.created"}}
	if _, _, err := w.hooks.Add(t.Context(), o); err != nil && chat.KindOf(err) != chat.Busy {
		t.Fatal(err)
	}
	list, err := w.hooks.List(t.Context())
	w.must(err)
	_, _, err = w.hooks.Change(t.Context(), list[0].ID, webhook.Order{URL: &after.server.URL})
	w.must(err)
	if !half.failed.Load() {
		t.Error("nothing failed")
	}
	w.send("lobby", "one")
	w.await("the new address hears it", func() bool { return slices.Equal(after.texts("lobby"), []string{"one"}) })
	if n, _, _ := before.count(); n > 0 {
		t.Errorf("%d requests to the address before", n)
	}
}

// A 410 of an address that is no longer the webhook's ends nothing.
func TestGoneBefore(t *testing.T) {
	w := newWorld(t, webhook.Config{})
	before, after := newReceiver(t), newReceiver(t)
	came, release := make(chan struct{}, 16), make(chan struct{})
	before.respond(func(rw http.ResponseWriter, _ *http.Request, _ *event) bool {
		came <- struct{}{}
		<-release
		rw.WriteHeader(http.StatusGone)
		return false
	})
	st := w.add(before, webhook.Order{})
	after.secrets = before.secrets
	w.send("lobby", "one")
	<-came
	_, _, err := w.hooks.Change(t.Context(), st.ID, webhook.Order{URL: &after.server.URL})
	w.must(err)
	close(release)
	w.await("the new address hears it", func() bool { return slices.Equal(after.texts("lobby"), []string{"one"}) })
}
