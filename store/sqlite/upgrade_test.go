package sqlite

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/pressly/goose/v3"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// makeShard makes a shard's file with the schema of an earlier version, fills
// it with the statements and closes it.
func makeShard(t *testing.T, path string, version int64, statements ...string) {
	t.Helper()
	must(t, makePrivate(path))
	db, err := openPool(path, writerOptions, 1)
	must(t, err)
	dir, err := fs.Sub(migrations, "migrations/shard")
	must(t, err)
	p, err := goose.NewProvider(goose.DialectSQLite3, db, dir, goose.WithDisableGlobalRegistry(true))
	must(t, err)
	_, err = p.UpTo(context.Background(), version)
	must(t, err)
	for _, s := range statements {
		_, err := db.Exec(s)
		must(t, err)
	}
	must(t, db.Close())
}

// TestUpgradeFrom1 opens what the first schema's program has left.
func TestUpgradeFrom1(t *testing.T) {
	path := filepath.Join(t.TempDir(), "old.db")
	r := chat.RoomID("r").Slot()
	makeShard(t, path, 1,
		"INSERT INTO lanes VALUES (0, 3, 7)",
		fmt.Sprintf("INSERT INTO rooms VALUES (%d, 'r', 'title', 1, 0, 1, 2, 0, 1, 5)", r),
		fmt.Sprintf("INSERT INTO members VALUES (%d, 'r', 'ann', 'Ann', 1, 1, 5)", r),
		fmt.Sprintf("INSERT INTO messages VALUES (%d, 'r', 1, 2, NULL, 'ann', 5, 'hello', 'k', 9, 0, NULL, 0, 0)", r),
		fmt.Sprintf("INSERT INTO reactions VALUES (%d, 'r', 1, '+', 'ann', 5), (%d, 'r', 1, '+', 'bob', 4)", r, r),
		"INSERT INTO cursors VALUES (0, 'user-rooms', 6)",
		`INSERT INTO outbox VALUES (0, 7, '{"r":[{"r":"r","f":1,"t":2,"s":1}],"m":[{"r":"r","u":"ann","n":"Ann","o":1,"v":1,"s":5}]}')`,
		fmt.Sprintf("INSERT INTO seats VALUES (%d, 'r', 'ann', 'n1'), (%d, 'r', 'ann', 'n2')", r, r),
	)
	s := open(t, path)
	found, err := s.Check(ctx, nil)
	must(t, err)
	if len(found) > 0 {
		t.Error(found)
	}
	at, err := s.Acquire(ctx, 0)
	must(t, err)
	if at != (store.Position{Epoch: 4, N: 7}) {
		t.Errorf("the lane stands at %+v", at)
	}
	ms, _, err := s.Messages(ctx, "r", store.Page{Limit: 9})
	must(t, err)
	if len(ms) != 1 || ms[0].Text != "hello" || fmt.Sprint(ms[0].Reactions) != "[{+ 2 [bob ann]}]" {
		t.Errorf("messages: %+v", ms)
	}
	if m, err := s.Member(ctx, "r", "ann"); err != nil || m != (chat.Member{Room: "r", User: "ann", Name: "Ann", Role: chat.RoleMember, Rev: 1, Since: 5}) {
		t.Errorf("member: %+v, %v", m, err)
	}
	if us, err := s.Users(ctx, []chat.UserID{"ann"}); err != nil || len(us) != 0 {
		t.Errorf("users: %+v, %v", us, err)
	}
	cursors, err := s.Cursors(ctx, 0)
	must(t, err)
	if len(cursors) != 1 || cursors[0] != (store.Cursor{Consumer: "user-rooms", Position: 6}) {
		t.Errorf("cursors: %+v", cursors)
	}
	rows, err := s.Outbox(ctx, 0, 6, 9)
	must(t, err)
	if len(rows) != 1 {
		t.Fatalf("outbox: %+v", rows)
	}
	entry, err := store.DecodeEntry(rows[0].Position, rows[0].Body)
	must(t, err)
	if r := entry.Rooms[0]; entry.Position != 7 || r.To != 2 || len(r.Members) != 1 || r.Members[0].Name != "Ann" {
		t.Errorf("entry: %+v", entry)
	}
	must(t, s.Commit(ctx, 0, at, &store.Changes{Online: []store.OnlineChange{{OnlineEntry: store.OnlineEntry{Node: "n1"}}}}))
	online, err := s.Online(ctx, "r", 9)
	must(t, err)
	if want := []store.OnlineEntry{{User: "ann", Node: "n2"}}; !reflect.DeepEqual(online, want) {
		t.Errorf("online: %+v, want %+v", online, want)
	}
}
