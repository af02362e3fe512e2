package adopt

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/roomtide/roomtide/adopt/follow"
	"github.com/roomtide/roomtide/adopt/source"
	"github.com/roomtide/roomtide/chat"
)

// A row that changes its room or its author is a new message, and the one before it is
// deleted, also where the node fails between the two. Both sides are the same then, and what
// the new message becomes is mirrored.
func TestRowBecomesAnotherMessage(t *testing.T) {
	for _, change := range []string{"room = 'b'", "author = 'bob'"} {
		for _, age := range []time.Duration{0, 2 * past} {
			for refuse := range 3 {
				t.Run(fmt.Sprint(change, age, refuse), func(t *testing.T) {
					t.Parallel()
					w := newWorld(t, "room", "")
					w.say("a", "ann", "hello", time.Now().Add(-age))
					w.becomes(refuse, "a")
					w.exec("UPDATE messages SET " + change)
					last := message{Room: "b", Seq: 1, User: "ann", Key: "adopt:shop:1", Text: "edited"}
					if change != "room = 'b'" {
						last.Room, last.Seq, last.User = "a", 2, "bob"
					}
					w.becomes(refuse, last.Room)
					if got, said := w.node.all("a"), w.node.all(last.Room); got[0] != "" || said[last.Seq-1] != last.User+": hello" {
						t.Errorf("the messages are %q and %q", got, said)
					}
					w.same()
					w.mirrors("message.deleted", &message{Room: "a", Seq: 1, User: "ann", Key: last.Key, Deleted: true})
					w.mirrors("message.edited", &last)
					var body string
					if err := w.db.QueryRowContext(t.Context(), "SELECT body FROM messages").Scan(&body); err != nil || body != "edited" {
						t.Errorf("the row is %q, %v", body, err)
					}
				})
			}
		}
	}
}

// becomes applies row 1 until the node has it, which fails at one of the requests, counted
// from 1; 0: at none.
func (w *world) becomes(refuse int, room string) {
	w.t.Helper()
	w.node.mu.Lock()
	w.node.refuse = refuse - 1
	w.node.mu.Unlock()
	for range 3 {
		err := w.apply(w.t.Context(), []source.Key{"1"})
		if err == nil {
			break
		}
		if chat.KindOf(err) != chat.Unavailable {
			w.t.Fatal(err)
		}
	}
	known, err := w.cfg.State.known(w.t.Context(), []source.Key{"1"})
	if k := known["1"]; err != nil || k.Room != room || k.Deleted {
		w.t.Errorf("what is known of the row is %+v, %v", k, err)
	}
}

// same looks for differences.
func (w *world) same() {
	w.t.Helper()
	c := &comparison{Files: w.files, src: w.cfg.Source, found: map[spot]Finding{}, out: &Comparison{}}
	if err := c.rows(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	if err := c.messages(w.t.Context()); err != nil || len(c.found) > 0 {
		w.t.Errorf("%+v, %v", c.found, err)
	}
}

func (w *world) mirrors(kind string, msg *message) {
	w.t.Helper()
	if err := w.mirror.message(w.t.Context(), kind, msg); err != nil {
		w.t.Errorf("%s of %s %d: %v", kind, msg.Room, msg.Seq, err)
	}
}

// The change of a message that the copy has under way is tried again. Behind the copy it is
// not waited for: the row has become another message.
func TestMirrorWaitsForTheCopy(t *testing.T) {
	w := newWorld(t, "room", "")
	edited := &message{Room: "a", Seq: 1, User: "ann", Key: "adopt:shop:1", Text: "edited"}
	w.mirrors("message.edited", edited)
	if err := w.cfg.State.setFact(t.Context(), copiedMessages, ""); err != nil {
		t.Fatal(err)
	}
	if err := w.mirror.message(t.Context(), "message.edited", edited); chat.KindOf(err) != chat.Busy {
		t.Errorf("while it is copied: %v", err)
	}
	w.mirrors("message.created", edited)
}

// The author of a new row becomes a member, and so does the one to whom it is written, where
// the mapping does not say who is a member; also where the node fails between the message and
// its members.
func TestMembersByNewRows(t *testing.T) {
	ann, bob := memberItem{Room: "dm-ann-bob", User: "ann"}, memberItem{Room: "dm-ann-bob", User: "bob"}
	for more, want := range map[string][]memberItem{
		"": {ann}, `to = "room"`: {ann, bob}, "[[member]]\nfrom = \"messages\"\nroom = \"room\"\nuser = \"author\"\n": nil,
	} {
		for refuse := range 3 {
			t.Run(fmt.Sprint(more, refuse), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, "dm(author, room)", more)
				w.say("bob", "ann", "hello", time.Now())
				w.node.refuse = refuse - 1
				cut := refuse == 1 || refuse == 2 && want != nil
				if err := w.apply(t.Context(), []source.Key{"1"}); (err != nil) != cut {
					t.Fatal(err)
				}
				var got []memberItem
				if cut {
					got = w.followed(len(want))
				}
				for len(w.node.members) > 0 {
					got = append(got, <-w.node.members)
				}
				if !slices.Equal(got, want) {
					t.Errorf("members are %v, want %v", got, want)
				}
			})
		}
	}
}

// followed follows until the node has so many members.
func (w *world) followed(members int) (got []memberItem) {
	w.t.Helper()
	at, err := follow.Begin(w.t.Context(), w.cfg.Follow)
	if err == nil {
		err = w.cfg.State.setFact(w.t.Context(), "position", at)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- w.followOnce(ctx) }()
	for len(got) < members {
		select {
		case i := <-w.node.members:
			got = append(got, i)
		case err := <-ended:
			w.t.Fatalf("%v, with the members %v", err, got)
		}
	}
	cancel()
	<-ended
	return got
}
