package sqlite

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// BenchmarkReaction loads what a reaction needs and reads the message, under which
// there are so many reactions already.
func BenchmarkReaction(b *testing.B) {
	for _, n := range []int{50, 5000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s, err := Open(ctx, filepath.Join(b.TempDir(), "x.db"), quiet)
			must(b, err)
			defer s.Close()
			hello(b, s, "r")
			at, err := s.Acquire(ctx, 0)
			must(b, err)
			ch := &store.Changes{}
			for i := range n {
				ch.Reactions = append(ch.Reactions, store.ReactionChange{On: true, Time: int64(i), ReactionKey: store.ReactionKey{
					Room: "r", Seq: 1, Emoji: fmt.Sprint("e", i%5), User: chat.UserID(fmt.Sprint("user ", i))}})
			}
			must(b, s.Commit(ctx, 0, at, ch))
			need := &store.Need{
				Reactions: []store.ReactionKey{{Room: "r", Seq: 1, Emoji: "e1", User: "ann"}},
				Emoji:     []store.MessageRef{{Room: "r", Seq: 1}},
			}
			for b.Loop() {
				if _, err := s.Load(ctx, need); err != nil {
					b.Fatal(err)
				}
				if _, _, err := s.Messages(ctx, "r", store.Page{Limit: 1}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
