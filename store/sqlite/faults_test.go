package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// big is a batch of n messages of 16 KB in a room of its own.
func big(room chat.RoomID, n int) *store.Changes {
	ch := &store.Changes{Rooms: []chat.Room{{ID: room, LastSeq: chat.Seq(n), Rev: chat.Rev(n)}}}
	for i := 1; i <= n; i++ {
		ch.Insert = append(ch.Insert, chat.Message{Room: room, Seq: chat.Seq(i), Rev: chat.Rev(i), Created: chat.Rev(i),
			User: "ann", Text: strings.Repeat("x", 16<<10)})
	}
	return ch
}

// TestDiskFull fills the file up to a limit: writing fails as ReadOnly and
// leaves nothing behind, reading works, and with room again writing works
// without anything being opened anew.
func TestDiskFull(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "full.db"))
	hello(t, s, "r")
	limit := func(pages int) {
		onWriter(t, s, fmt.Sprintf("PRAGMA max_page_count = %d", pages))
	}
	limit(40)
	at, err := s.Acquire(ctx, 0)
	must(t, err)
	for range 3 {
		if err := s.Commit(ctx, 0, at, big("big", 50)); chat.KindOf(err) != chat.ReadOnly || !strings.Contains(err.Error(), "full.db") {
			t.Fatalf("commit to a full disk: %v", err)
		}
		if _, err := s.Room(ctx, "big"); chat.KindOf(err) != chat.NotFound {
			t.Fatalf("half a batch was written: %v", err)
		}
		if ms, _, err := s.Messages(ctx, "r", store.Page{Limit: 1}); err != nil || len(ms) != 1 {
			t.Fatalf("reading: %v %v", ms, err)
		}
		if _, err := s.Load(ctx, &store.Need{Rooms: []chat.RoomID{"r"}}); err != nil {
			t.Fatalf("loading: %v", err)
		}
	}
	limit(1 << 30)
	must(t, s.Commit(ctx, 0, at, big("big", 50)))
	found, err := s.Check(ctx, nil)
	must(t, err)
	if len(found) > 0 {
		t.Error(found)
	}
}

// TestBrokenTransaction plants a transaction that was not ended on the writing
// connection: the commit that trips over it fails, the next one works.
func TestBrokenTransaction(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "x.db"))
	hello(t, s, "r")
	at, err := s.Acquire(ctx, 0)
	must(t, err)
	onWriter(t, s, "BEGIN IMMEDIATE")
	onWriter(t, s, "DELETE FROM messages")
	if err := s.Commit(ctx, 0, at, &store.Changes{}); err == nil {
		t.Fatal("a commit inside another transaction")
	}
	must(t, s.Commit(ctx, 0, at, &store.Changes{}))
	if ms, _, err := s.Messages(ctx, "r", store.Page{Limit: 1}); err != nil || len(ms) != 1 {
		t.Fatalf("the planted transaction was committed: %v %v", ms, err)
	}
}

// TestBadChanges hands over what a lane with a bug would.
func TestBadChanges(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "x.db"))
	hello(t, s, "r")
	at, err := s.Acquire(ctx, 0)
	must(t, err)
	ch := &store.Changes{Update: []chat.Message{{Room: "r", Seq: 7, Rev: 9}}}
	if err := s.Commit(ctx, 0, at, ch); chat.KindOf(err) != chat.Internal {
		t.Errorf("update of nothing: %v", err)
	}
	must(t, s.Commit(ctx, 0, at, &store.Changes{}))
}

// TestLocked holds the file's write lock from outside.
func TestLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	s, other := open(t, path), open(t, path)
	hello(t, s, "r")
	at, err := s.Acquire(ctx, 0)
	must(t, err)
	onWriter(t, s, "PRAGMA busy_timeout = 10")
	onWriter(t, other, "BEGIN IMMEDIATE")
	if err := s.Commit(ctx, 0, at, &store.Changes{}); chat.KindOf(err) != chat.Unavailable {
		t.Errorf("commit while another process writes: %v", err)
	}
	onWriter(t, other, "ROLLBACK")
	must(t, s.Commit(ctx, 0, at, &store.Changes{}))
}

func TestClosed(t *testing.T) {
	s, err := Open(ctx, filepath.Join(t.TempDir(), "x.db"), quiet)
	must(t, err)
	must(t, s.Close())
	must(t, s.Close()) // once more does nothing
	if _, err := s.Room(ctx, "r"); chat.KindOf(err) != chat.Unavailable {
		t.Errorf("room: %v", err)
	}
	if err := s.Commit(ctx, 0, store.Position{}, &store.Changes{}); chat.KindOf(err) != chat.Unavailable {
		t.Errorf("commit: %v", err)
	}
}

func TestKinds(t *testing.T) {
	for _, c := range []struct {
		err  error
		kind chat.Kind
	}{
		{fmt.Errorf("write: %w", syscall.ENOSPC), chat.ReadOnly},
		{syscall.EROFS, chat.ReadOnly},
		{context.Canceled, chat.Unavailable},
		{context.DeadlineExceeded, chat.Unavailable},
		{errors.New("anything else"), chat.Internal},
	} {
		if k := kindOf(c.err); k != c.kind {
			t.Errorf("%v is %s, want %s", c.err, k.Code(), c.kind.Code())
		}
	}
}

// TestCheckFinds plants one fault at a time.
func TestCheckFinds(t *testing.T) {
	for plant, word := range map[string]string{
		"DELETE FROM messages WHERE seq = 2":                     "2 messages numbered 1 to 3",
		"DELETE FROM messages WHERE seq = 3":                     "last_seq is 3",
		"DELETE FROM messages":                                   "no messages, but last_seq is 3",
		"UPDATE messages SET seq = 0 WHERE seq = 1":              "numbered 0 to 3",
		"UPDATE rooms SET last_seq = 2":                          "last_seq is 2",
		"UPDATE messages SET changed_rev = 99 WHERE seq = 1":     "a message has rev 99",
		"UPDATE messages SET created_rev = 99 WHERE seq = 3":     "a message has rev 99",
		"UPDATE messages SET created_rev = 1 WHERE seq = 3":      "message 3 was created at rev 1, the one before it at 3",
		"UPDATE rooms SET info_rev = 99":                         "rev 99, the room 4",
		"UPDATE members SET rev = 99":                            "a member has rev 99",
		"UPDATE members SET role = 0":                            "0 members present, but the room says 1",
		"UPDATE rooms SET members = 2":                           "1 members present, but the room says 2",
		"UPDATE rooms SET slot = slot + 1":                       "filed under slot",
		"INSERT INTO reaction_counts VALUES (1, 'r', 1, '+', 1)": "message 1 has 0 reactions of a kind, counted are 1",
		"DELETE FROM rooms":                                      "messages without a room",
		"DELETE FROM messages; DELETE FROM rooms":                "members without a room",
		"UPDATE sqlite_schema SET sql = replace(sql, 'changed_rev', 'reply_to') WHERE name = 'messages_changed'": "messages_changed",
	} {
		t.Run(word, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.db")
			s, err := Open(ctx, path, quiet)
			must(t, err)
			at, err := s.Acquire(ctx, 0)
			must(t, err)
			ch := &store.Changes{
				Rooms:   []chat.Room{{ID: "r", LastSeq: 3, Rev: 4, Members: 1}},
				Members: []chat.Member{{Room: "r", User: "ann", Role: chat.RoleMember, Rev: 1}},
			}
			for i := range 3 {
				ch.Insert = append(ch.Insert, chat.Message{Room: "r", Seq: chat.Seq(i + 1), Rev: chat.Rev(i + 2), Created: chat.Rev(i + 2), User: "ann"})
			}
			must(t, s.Commit(ctx, 0, at, ch))
			found, err := s.Check(ctx, nil)
			must(t, err)
			if len(found) > 0 {
				t.Fatalf("before the damage: %v", found)
			}
			onWriter(t, s, "PRAGMA writable_schema = on; "+plant)
			must(t, s.Close())
			found, err = open(t, path).Check(ctx, nil)
			must(t, err)
			if !strings.Contains(strings.Join(found, "\n"), word) {
				t.Errorf("%s: found %q", plant, found)
			}
		})
	}
}
