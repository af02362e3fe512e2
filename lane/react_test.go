package lane_test

import (
	"fmt"
	"testing"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// The different emoji under a message are bounded, also by what other reactions of
// the same commit have added and taken away; how many users chose one is not.
func TestDifferentEmojiAreBounded(t *testing.T) {
	w := newWorld(t)
	w.join("r", "ann")
	w.must(send("r", "ann", "", "text"))
	most := chat.DefaultLimits().Emojis
	react := func(user chat.UserID, emoji string, on bool) error {
		w.join("r", user)
		_, err := w.do(&change.React{Room: "r", Seq: 1, User: user, Emoji: emoji, On: on})
		return err
	}
	for i := range most {
		if err := react("ann", fmt.Sprint("e", i), true); err != nil {
			t.Fatal(err)
		}
	}
	if err := react("ann", "another", true); chat.KindOf(err) != chat.TooLarge {
		t.Fatalf("one emoji more: %v", err)
	}
	for i := range 5 { // as many users as like may choose one that is there
		if err := react(chat.UserID(fmt.Sprint("user ", i)), "e0", true); err != nil {
			t.Fatal(err)
		}
	}
	if err := react("ann", "e0", false); err != nil { // others still have it
		t.Fatal(err)
	}
	if err := react("ann", "another", true); chat.KindOf(err) != chat.TooLarge {
		t.Fatalf("one emoji more: %v", err)
	}

	// In one commit: the last of an emoji goes, another comes, a second other does not.
	first, second := make(chan error, 1), make(chan error, 1)
	done := func(ch chan error) change.Done { return func(_ change.Reply, err error) { ch <- err } }
	w.lanes.Submit(&change.React{Room: "r", Seq: 1, User: "ann", Emoji: "e1"}, done(make(chan error, 1)))
	w.lanes.Submit(&change.React{Room: "r", Seq: 1, User: "ann", Emoji: "another", On: true}, done(first))
	w.lanes.Submit(&change.React{Room: "r", Seq: 1, User: "ann", Emoji: "yet another", On: true}, done(second))
	if err := <-first; err != nil {
		t.Errorf("an emoji in the place of another: %v", err)
	}
	if err := <-second; chat.KindOf(err) != chat.TooLarge {
		t.Errorf("one emoji more: %v", err)
	}
}

// A deleted message loses its reactions, those of the same commit too.
func TestDeletedMessageLosesReactions(t *testing.T) {
	w := newWorld(t)
	w.join("r", "ann", "bob")
	w.must(send("r", "ann", "", "text"))
	w.must(&change.React{Room: "r", Seq: 1, User: "bob", Emoji: "+", On: true})
	ignore := func(change.Reply, error) {}
	w.lanes.Submit(&change.React{Room: "r", Seq: 1, User: "ann", Emoji: "-", On: true}, ignore)
	w.must(&change.Delete{Room: "r", Seq: 1, User: "ann"})
	if _, err := w.do(&change.React{Room: "r", Seq: 1, User: "bob", Emoji: "+"}); chat.KindOf(err) != chat.NotFound {
		t.Errorf("a reaction to a deleted message: %v", err)
	}
	ms, _, err := w.store.Room("r").Messages(t.Context(), "r", store.Page{Limit: 1})
	if err != nil || !ms[0].Deleted || len(ms[0].Reactions) != 0 {
		t.Errorf("%+v, %v", ms, err)
	}
}
