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

// TestUpgradeFindsActivity opens a file whose rooms had no time of their newest
// message: it is that of the message, or of the room's making where there is none.
func TestUpgradeFindsActivity(t *testing.T) {
	path := filepath.Join(t.TempDir(), "old.db")
	db, err := openPool(path, writerOptions, 1)
	must(t, err)
	dir, err := fs.Sub(migrations, "migrations/shard")
	must(t, err)
	p, err := goose.NewProvider(goose.DialectSQLite3, db, dir, goose.WithDisableGlobalRegistry(true))
	must(t, err)
	_, err = p.UpTo(ctx, 3)
	must(t, err)
	for _, q := range []string{
		"INSERT INTO rooms VALUES (%[1]d, 'r', 't', 1, 0, 2, 2, 0, 0, 1000)",
		"INSERT INTO messages VALUES (%[1]d, 'r', 1, 1, NULL, 'ann', 2000, 'x', NULL, 0, 0, NULL, 0, 0)",
		"INSERT INTO messages VALUES (%[1]d, 'r', 2, 2, 3, 'ann', 3000, '', NULL, 0, 0, NULL, 0, 1)",
		"INSERT INTO rooms VALUES (%[2]d, 'empty', '', 0, 0, 0, 1, 0, 0, 2500)",
	} {
		_, err = db.Exec(fmt.Sprintf(q+" -- %[1]d %[2]d", chat.RoomID("r").Slot(), chat.RoomID("empty").Slot()))
		must(t, err)
	}
	must(t, db.Close())

	s := open(t, path)
	rooms, err := s.ListRooms(ctx, store.RoomFilter{Order: store.ByActivity, Limit: 9})
	must(t, err)
	if len(rooms) != 2 || rooms[0].ID != "r" || rooms[0].Active != 3000 || rooms[1].Active != 2500 || rooms[0].Archived || rooms[0].Deleted {
		t.Errorf("%+v", rooms)
	}
	others, err := s.Others(ctx, []store.Range{{Room: "r", User: "bob", To: 2}})
	must(t, err)
	if others[0].Count != 1 {
		t.Errorf("%+v: what was deleted before the upgrade counts", others)
	}
}
