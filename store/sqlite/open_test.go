package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

var ctx = context.Background()

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// hello writes a room with one message at the lane's position.
func hello(t testing.TB, s store.Writer, room chat.RoomID) {
	t.Helper()
	at, err := s.Acquire(ctx, 0)
	must(t, err)
	must(t, s.Commit(ctx, 0, at, &store.Changes{
		Rooms:  []chat.Room{{ID: room, LastSeq: 1, Rev: 1}},
		Insert: []chat.Message{{Room: room, Seq: 1, Rev: 1, Created: 1, User: "ann", Text: "hello"}},
	}))
}

// refused opens a file that must be refused, with all words in the error.
func refused(t *testing.T, path string, words ...string) {
	t.Helper()
	s, err := Open(ctx, path, quiet)
	if err == nil {
		s.Close()
		t.Fatal("the file was opened")
	}
	for _, w := range append(words, path) {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q is not in the error: %v", w, err)
		}
	}
	if chat.KindOf(err) != chat.Internal {
		t.Errorf("kind is %s: %v", chat.KindOf(err).Code(), err)
	}
}

func TestRefusesWhatIsNoDatabase(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "whole.db")
	s, err := Open(ctx, whole, quiet)
	must(t, err)
	hello(t, s, "r")
	must(t, s.Close())
	file, err := os.ReadFile(whole)
	must(t, err)
	smash := func(from, to int) []byte {
		b := append([]byte{}, file...)
		for i := from; i < to; i++ {
			b[i] = 0xa5
		}
		return b
	}
	for name, c := range map[string]struct {
		content []byte
		word    string
	}{
		"text":              {[]byte(strings.Repeat("not a database at all. ", 1000)), "not a SQLite database"},
		"a few bytes":       {[]byte("x"), "not a SQLite database"},
		"cut in the header": {file[:60], "cut off"},
		"cut in the magic":  {file[:7], "cut off"},
		"cut after a page":  {file[:8192], "malformed"},
		"smashed schema":    {smash(100, 8192), "malformed"},
		"smashed page size": {smash(16, 24), "not a database"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "bad.db")
			must(t, os.WriteFile(path, c.content, 0o600))
			refused(t, path, c.word)
		})
	}
	empty := filepath.Join(t.TempDir(), "empty.db")
	must(t, os.WriteFile(empty, nil, 0o600))
	hello(t, open(t, empty), "r") // nothing in it: it is made
}

func TestRefusesNewerSchema(t *testing.T) {
	path := filepath.Join(t.TempDir(), "newer.db")
	s, err := Open(ctx, path, quiet)
	must(t, err)
	onWriter(t, s, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)")
	must(t, s.Close())
	refused(t, path, "newer", "9999")
}

// TestMigrations goes from nothing to the newest schema, and finds nothing to
// do the second time.
func TestMigrations(t *testing.T) {
	for schema, tables := range map[string]string{
		"shard":   "cursors devices lanes leases members messages online outbox push_jobs push_owners push_settings reaction_counts reactions rooms taken user_access user_nodes user_rooms users",
		"control": "adoption api_keys deployment levels moves nodes records slot_maps",
	} {
		path := filepath.Join(t.TempDir(), "new.db")
		for range 2 {
			db, err := openDatabase(ctx, path, schema, quiet)
			must(t, err)
			var have string
			must(t, db.r.QueryRow(`SELECT group_concat(name, ' ') FROM (SELECT name FROM sqlite_schema
				WHERE type = 'table' AND name NOT LIKE 'goose%' AND name NOT LIKE 'sqlite%' ORDER BY name)`).Scan(&have))
			if have != tables {
				t.Errorf("tables of %s: %s", schema, have)
			}
			must(t, db.close())
		}
	}
}

// TestSettings pins what durability and speed rest on.
func TestSettings(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "x.db"))
	for pragma, want := range map[string]string{
		"journal_mode": "wal", "synchronous": "2", "page_size": "8192", "foreign_keys": "1", "busy_timeout": "5000",
		"wal_autocheckpoint": "8000", "cache_size": "-8000", "query_only": "0", "mmap_size": "0",
	} {
		have := "0" // mmap_size answers nothing where there is no mmap
		must(t, s.db.inTurn(ctx, func(w *writer) error {
			return w.each("PRAGMA "+pragma, func(row scanner) error {
				have = fmt.Sprint(row.(values)[0])
				return nil
			})
		}))
		if have != want {
			t.Errorf("%s is %q, want %q", pragma, have, want)
		}
	}
	if _, err := s.db.r.Exec("DELETE FROM rooms"); err == nil {
		t.Error("a reader can write")
	}
}

// TestCrash opens copies of the files as they are on the disk while the shard
// is open: that is what a process that was killed leaves.
func TestCrash(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "shard.db")
	s := open(t, path)
	hello(t, s, "r")
	copied := filepath.Join(t.TempDir(), "copy.db")
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(path + suffix)
		must(t, err)
		must(t, os.WriteFile(copied+suffix, b, 0o600))
	}
	ms, _, err := open(t, copied).Messages(ctx, "r", store.Page{Limit: 1})
	must(t, err)
	if len(ms) != 1 || ms[0].Text != "hello" {
		t.Fatalf("the commit is lost: %v", ms)
	}
}

// openDir opens a data directory as a server does.
func openDir(dir string, shards int) (*store.Store, error) {
	return store.Open(ctx, NewDir(dir, shards, quiet), nil)
}

func TestOpenDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data", "roomtide")
	s, err := openDir(dir, 4)
	must(t, err)
	st, err := os.Stat(dir)
	must(t, err)
	if st.Mode().Perm() != 0o700 {
		t.Errorf("the directory has mode %v", st.Mode())
	}
	hello(t, s.Shards()[s.ShardOf(chat.RoomID("r").Slot())], "r")

	_, err = openDir(dir, 4)
	if chat.KindOf(err) != chat.Unavailable || !strings.Contains(err.Error(), dir) || !errors.Is(err, errLocked) {
		t.Fatalf("a second server got %v", err)
	}
	c, err := store.OpenControl(ctx, NewDir(dir, 4, quiet)) // a tool, meanwhile
	must(t, err)
	must(t, c.SaveKey(ctx, store.APIKey{ID: "k", Hash: []byte{1}}))
	must(t, c.Close())
	keys, err := s.Control.Keys(ctx)
	must(t, err)
	if len(keys) != 1 {
		t.Error("the server does not see the key")
	}
	must(t, s.Close())

	s, err = openDir(dir, 9) // the stored map rules
	must(t, err)
	if n := len(s.Shards()); n != 4 {
		t.Errorf("%d shards", n)
	}
	if _, err := s.Room("r").Room(ctx, "r"); err != nil {
		t.Error(err)
	}
	must(t, s.Close())
}

func TestOpenDirRefuses(t *testing.T) {
	made := func(t *testing.T) string {
		dir := t.TempDir()
		s, err := openDir(dir, 2)
		must(t, err)
		for _, d := range s.Shards() {
			hello(t, d, "r")
		}
		must(t, s.Close())
		return dir
	}
	for name, c := range map[string]struct {
		damage func(dir string) error
		words  []string
	}{
		"a shard is missing": {func(dir string) error { return os.Remove(filepath.Join(dir, "shard-1.db")) },
			[]string{"shard-1.db", "missing"}},
		"a shard is empty": {func(dir string) error { return os.Truncate(filepath.Join(dir, "shard-1.db"), 0) },
			[]string{"shard-1.db", "empty"}},
		"the map is missing": {func(dir string) error { return os.Remove(filepath.Join(dir, ControlFile)) },
			[]string{"shard-", "control database", "put the right"}},
		"a shard is text": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "shard-0.db"), []byte("text"), 0o600)
		}, []string{"shard-0.db", "not a SQLite database"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := made(t)
			must(t, c.damage(dir))
			for range 2 { // the lock was given back the first time
				s, err := openDir(dir, 2)
				if err == nil {
					s.Close()
					t.Fatal("the directory was opened")
				}
				for _, w := range c.words {
					if !strings.Contains(err.Error(), w) {
						t.Errorf("%q is not in the error: %v", w, err)
					}
				}
			}
		})
	}
	if _, err := openDir(t.TempDir(), 0); chat.KindOf(err) != chat.Invalid {
		t.Errorf("no shards: %v", err)
	}
}

// TestControlProcesses writes through two openings of one file, as a server and
// a tool do.
func TestControlProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), ControlFile)
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		wg.Go(func() {
			c, err := OpenControl(ctx, path, quiet)
			for n := range 10 {
				if err == nil {
					err = c.Renew(ctx, string(rune('a'+i)), int64(n+1))
				}
			}
			if err == nil {
				err = c.Close()
			}
			errs[i] = err
		})
	}
	wg.Wait()
	must(t, errors.Join(errs...))
	c, err := OpenControl(ctx, path, quiet)
	must(t, err)
	defer c.Close()
	nodes, err := c.Nodes(ctx, 9)
	must(t, err)
	if len(nodes) != len(errs) {
		t.Errorf("nodes: %v", nodes)
	}
}

func TestFilesArePrivate(t *testing.T) {
	dir := t.TempDir()
	st, err := openDir(filepath.Join(dir, "data"), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	files, err := filepath.Glob(filepath.Join(dir, "data", "*"))
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is %v", f, info.Mode())
		}
	}
}
