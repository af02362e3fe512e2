package webhook_test

import (
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/webhook"
)

// Edits that come at the same time are all there afterwards, and a webhook that is deleted
// among them does not come back.
func TestEditsAtTheSameTime(t *testing.T) {
	const edits = 20
	str := func(s string) *string { return &s }
	now := time.Now()
	for _, tt := range []struct {
		name  string
		edit  func(h *webhook.Service, id string) error
		epoch int // afterwards; 0: there is none any more
	}{
		{"replays", func(h *webhook.Service, id string) error {
			_, err := h.Replay(t.Context(), id, now)
			return err
		}, 1 + edits},
		{"changes and a deletion", func(h *webhook.Service, id string) error {
			_, _, err := h.Change(t.Context(), id, webhook.Order{Rotate: true})
			return err
		}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, webhook.Config{})
			st, _, err := w.hooks.Add(t.Context(), webhook.Order{URL: str("https://hooks.example.org/")})
			w.must(err)
			var all sync.WaitGroup
			begin := make(chan struct{})
			for i := range edits {
				edit := tt.edit
				if tt.epoch == 0 && i == edits/2 {
					edit = func(h *webhook.Service, id string) error { return h.Remove(t.Context(), id) }
				}
				all.Go(func() {
					<-begin
					if err := edit(w.hooks, st.ID); err != nil && (tt.epoch > 0 || chat.KindOf(err) != chat.NotFound) {
						t.Error(err)
					}
				})
			}
			close(begin)
			all.Wait()
			records, err := w.store.Control.Records(t.Context(), "webhooks", "", 2)
			w.must(err)
			var stored struct{ Epoch int }
			if len(records) > 0 {
				w.must(json.Unmarshal(records[0].Body, &stored))
			}
			if stored.Epoch != tt.epoch {
				t.Errorf("%d webhooks are stored, with the epoch %d, want %d", len(records), stored.Epoch, tt.epoch)
			}
		})
	}
}
