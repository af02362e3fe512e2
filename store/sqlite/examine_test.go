package sqlite

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/roomtide/roomtide/chat"
)

// Examining tells of every file, beside the server that has them open and without it,
// and changes none.
func TestExamine(t *testing.T) {
	dir := t.TempDir()
	if all := NewDir(dir, 2, quiet).Examine(ctx); len(all) != 1 || chat.KindOf(all[0].Err) != chat.NotFound {
		t.Errorf("without files: %+v", all)
	}
	s, err := openDir(dir, 3)
	must(t, err)
	well := func(when string) {
		all := NewDir(dir, 2, quiet).Examine(ctx)
		if len(all) != 4 {
			t.Fatalf("%s: %+v", when, all)
		}
		for _, e := range all {
			if e.Err != nil || e.Version == 0 || e.Version != e.Known || e.Where != filepath.Join(dir, e.Name) {
				t.Errorf("%s: %+v", when, e)
			}
		}
	}
	well("while they are open")
	must(t, s.Close())
	before, err := os.ReadFile(filepath.Join(dir, ControlFile))
	must(t, err)
	well("when they are closed")

	old := filepath.Join(dir, "shard-1.db")
	d := open(t, old)
	must(t, d.db.inTurn(ctx, func(w *writer) error {
		return w.each("DELETE FROM goose_db_version WHERE version_id = "+"(SELECT max(version_id) FROM goose_db_version)", func(scanner) error { return nil })
	}))
	must(t, d.Close())
	must(t, os.WriteFile(filepath.Join(dir, "shard-2.db"), []byte("this is not a database, whatever its name may say"), 0o600))
	must(t, os.Remove(filepath.Join(dir, "shard-0.db")))
	all := NewDir(dir, 2, quiet).Examine(ctx)
	if len(all) != 4 || chat.KindOf(all[1].Err) != chat.NotFound || all[2].Err != nil || all[2].Version >= all[2].Known || all[3].Err == nil {
		t.Errorf("one is missing, one old, one damaged: %+v", all)
	}
	if _, err := os.Stat(filepath.Join(dir, "shard-0.db")); err == nil {
		t.Error("a missing file was made")
	}
	after, err := os.ReadFile(filepath.Join(dir, ControlFile))
	must(t, err)
	if string(before) != string(after) {
		t.Error("the control database was changed")
	}
}
