package sqlite

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/pressly/goose/v3"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// TestUpgradeDropsMute opens a file of the first schema, whose user_rooms had a
// column more, and reads and writes the rows in it.
func TestUpgradeDropsMute(t *testing.T) {
	path := filepath.Join(t.TempDir(), "old.db")
	db, err := openPool(path, writerOptions, 1)
	must(t, err)
	dir, err := fs.Sub(migrations, "migrations/shard")
	must(t, err)
	p, err := goose.NewProvider(goose.DialectSQLite3, db, dir, goose.WithDisableGlobalRegistry(true))
	must(t, err)
	_, err = p.UpTo(ctx, 1)
	must(t, err)
	_, err = db.Exec(fmt.Sprintf("INSERT INTO user_rooms VALUES (%d, 'ann', 'r', 1, 2, 3, 1)", chat.UserID("ann").Slot()))
	must(t, err)
	must(t, db.Close())

	s := open(t, path)
	want := store.UserRoom{User: "ann", Room: "r", Role: chat.RoleMember, Rev: 2, Read: 3}
	for range 2 {
		got, err := s.UserRoom(ctx, "ann", "r")
		must(t, err)
		if got != want {
			t.Fatalf("%+v, want %+v", got, want)
		}
		want.Rev, want.Read = 4, 9
		at, err := s.Acquire(ctx, 0)
		must(t, err)
		must(t, s.Commit(ctx, 0, at, &store.Changes{UserRooms: []store.UserRoom{want}}))
	}
}
