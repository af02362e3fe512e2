package engine_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/store"
)

// Messages are asked about at the same time, and are stored in the order of each user and
// room nevertheless; what follows them waits for them.
func TestBeforeKeepsOrder(t *testing.T) {
	const messages = 40
	var mu sync.Mutex
	running, most := 0, 0
	all := make(chan struct{}) // closed when all are being asked about
	n := newNode(t, func(c *engine.Config) {
		c.BeforeMessage = func(ctx context.Context, m *engine.Before) error {
			mu.Lock()
			if running++; running > most {
				if most = running; most == messages {
					close(all)
				}
			}
			mu.Unlock()
			select {
			case <-all:
			case <-ctx.Done():
			}
			var i int
			fmt.Sscan(m.Text, &i)
			time.Sleep(time.Duration(messages-i) * time.Millisecond / 4) // the first is answered last
			if i%10 == 5 {
				return chat.E(chat.Forbidden, "not this one")
			}
			m.Text = "x" + m.Text
			return nil
		}
		c.Patience = time.Minute
	})
	ann := engine.Actor{User: "ann"}
	if _, err := n.Join(t.Context(), ann, "r", engine.JoinOptions{}); err != nil {
		t.Fatal(err)
	}
	outcomes := make(chan error, messages+1)
	for i := range messages {
		n.Submit(ann, &change.Send{Room: "r", Draft: chat.Draft{Text: fmt.Sprint(i)}}, func(_ change.Reply, err error) { outcomes <- err })
	}
	n.Submit(ann, &change.Leave{Room: "r"}, func(_ change.Reply, err error) { outcomes <- err })
	refused := 0
	for range messages + 1 {
		if err := <-outcomes; err != nil {
			wantKind(t, "refused", err, chat.Forbidden)
			refused++
		}
	}
	if refused != messages/10 {
		t.Errorf("%d refused", refused)
	}
	r, err := n.History(t.Context(), engine.Actor{Server: true}, "r", store.Page{Limit: 100}, engine.Around{})
	if err != nil {
		t.Fatal(err)
	}
	last := -1
	for _, m := range r.Messages {
		i := -1
		fmt.Sscan(strings.TrimPrefix(m.Text, "x"), &i)
		if i <= last || m.Text[0] != 'x' {
			t.Errorf("%q behind %d", m.Text, last)
		}
		last = i
	}
	if len(r.Messages) != messages-refused {
		t.Errorf("%d messages: the member was gone before what they wrote", len(r.Messages))
	}
}

// What the host makes of a message has to be one.
func TestBeforeBoundsWhatItMakes(t *testing.T) {
	n := newNode(t, func(c *engine.Config) {
		c.BeforeMessage = func(_ context.Context, m *engine.Before) error {
			m.Text = strings.Repeat("x", 5000)
			return nil
		}
	})
	ann := engine.Actor{User: "ann"}
	if _, err := n.Join(t.Context(), ann, "r", engine.JoinOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := n.Do(t.Context(), ann, &change.Send{Room: "r", Draft: chat.Draft{Text: "short"}})
	wantKind(t, "made too long", err, chat.Internal)
	if _, err = n.Do(t.Context(), ann, &change.React{Room: "r", Seq: 1, Emoji: "👍", On: true}); chat.KindOf(err) != chat.NotFound {
		t.Errorf("a reaction to none: %v", err)
	}
}
