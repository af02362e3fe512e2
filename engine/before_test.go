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

// answeredBackwards has each of n messages, whose texts are their numbers, answered when those
// behind it are.
func answeredBackwards(n int) func(context.Context, *engine.Before) error {
	answered := make([]chan struct{}, n+1)
	for i := range answered {
		answered[i] = make(chan struct{})
	}
	close(answered[n])
	return func(ctx context.Context, m *engine.Before) error {
		var i int
		fmt.Sscan(m.Text, &i)
		defer close(answered[i])
		select {
		case <-answered[i+1]:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// What a back end gives in an order is stored in it, whoever writes it, and asked about at the
// same time.
func TestBeforeKeepsTheOrderOfABackEnd(t *testing.T) {
	const messages = 30
	sending := func(i int) engine.Sending {
		writes := engine.Actor{User: chat.UserID(fmt.Sprint("user", i%3)), Server: true}
		return engine.Sending{Actor: writes, Send: &change.Send{Room: "r", Draft: chat.Draft{Text: fmt.Sprint(i)}}}
	}
	for name, send := range map[string]func(*node) []engine.Outcome{
		"batch": func(n *node) []engine.Outcome {
			var all []engine.Sending
			for i := range messages {
				all = append(all, sending(i))
			}
			return n.SendAll(t.Context(), all, time.Minute)
		},
		"one by one": func(n *node) (all []engine.Outcome) {
			outcomes := make(chan engine.Outcome, messages)
			for i := range messages {
				n.Post(t.Context(), sending(i), func(r change.Reply, err error) { outcomes <- engine.Outcome{Reply: r, Err: err} })
			}
			for range messages {
				all = append(all, <-outcomes)
			}
			return all
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, func(c *engine.Config) {
				c.BeforeMessage, c.Patience = answeredBackwards(messages), time.Minute
			})
			n.join(t, "r", "ann")
			for _, o := range send(n) {
				if o.Err != nil {
					t.Fatal(o.Err)
				}
			}
			r, err := n.History(t.Context(), host, "r", store.Page{Limit: 100}, engine.Around{})
			if err != nil {
				t.Fatal(err)
			}
			for i, m := range r.Messages {
				if m.Text != fmt.Sprint(i) {
					t.Errorf("%q is number %d", m.Text, i)
				}
			}
		})
	}
}

// What a user says of a room goes behind what the user wrote in it. What the back end says
// waits for no message: it may say it before it answers about that message.
func TestBeforeAndModeration(t *testing.T) {
	yes := true
	var n *node
	n = newNode(t, func(c *engine.Config) {
		c.Patience = time.Minute
		c.BeforeMessage = func(ctx context.Context, m *engine.Before) error {
			if m.User == "ann" {
				return nil
			}
			if _, err := n.Do(ctx, host, &change.SetMember{Room: m.Room, User: "eve", Role: chat.RoleMuted}); err != nil {
				return err
			}
			bot := engine.Actor{User: "ann", Server: true}
			_, err := n.Do(ctx, bot, &change.Send{Room: m.Room, Draft: chat.Draft{Text: "eve is muted"}})
			return err
		}
	})
	n.join(t, "r", "ann", "eve")
	n.do(t, host, &change.SetMember{Room: "r", User: "bob", Role: chat.RoleOwner})
	first := engine.Sending{Actor: engine.Actor{User: "bob", Server: true}, Send: &change.Send{Room: "r", Draft: chat.Draft{Text: "the first one"}}}
	for _, o := range n.SendAll(t.Context(), []engine.Sending{first}, time.Minute) {
		if o.Err != nil {
			t.Error(o.Err)
		}
	}
	outcomes := make(chan error, 2)
	done := func(_ change.Reply, err error) { outcomes <- err }
	n.Submit(as("bob"), &change.Send{Room: "r", Draft: chat.Draft{Text: "the last one"}}, done)
	n.Submit(as("bob"), &change.SetRoom{Room: "r", Archived: &yes}, done)
	for range cap(outcomes) {
		if err := <-outcomes; err != nil {
			t.Error(err)
		}
	}
}
