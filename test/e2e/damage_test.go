package e2e

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testprocess"
)

// A node refuses to start when a file is damaged or of a newer version, and names the
// file.
func TestDamage(t *testing.T) {
	overwrite := func(t *testing.T, file string) {
		f, err := os.OpenFile(file, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteAt([]byte(strings.Repeat("garbage!", 512)), 0); err != nil {
			t.Fatal(err)
		}
	}
	newer := func(t *testing.T, file string) {
		db, err := sql.Open("sqlite", file)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)"); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(t *testing.T, file string) {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	empty := func(t *testing.T, file string) {
		if err := os.Truncate(file, 0); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name   string
		file   string
		damage func(*testing.T, string)
		also   string // the message has this besides the file
	}{
		{"a shard with garbage in it", "shard-1.db", overwrite, ""},
		{"a shard of a newer program", "shard-2.db", newer, "newer"},
		{"a shard that is gone", "shard-3.db", remove, ""},
		{"a shard that is empty", "shard-0.db", empty, ""},
		{"a control database with garbage in it", "control.db", overwrite, ""},
		{"a control database of a newer program", "control.db", newer, "newer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, addr := t.TempDir(), testprocess.FreeAddr(t)
			n := program.Start(t, dir, addr)
			n.Ready()
			if code := n.Terminate(10 * time.Second); code != 0 {
				t.Fatalf("the node ended with %d", code)
			}
			tt.damage(t, filepath.Join(dir, tt.file))
			n = program.Start(t, dir, addr)
			if code := n.Wait(10 * time.Second); code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			if out := n.Stderr(); !strings.Contains(out, tt.file) || !strings.Contains(out, tt.also) {
				t.Errorf("it does not name %s and say %q:\n%s", tt.file, tt.also, out)
			}
		})
	}
}

// The offline check finds damaged pages in the middle of a shard.
func TestCheckFindsDamage(t *testing.T) {
	dir, addr := t.TempDir(), testprocess.FreeAddr(t)
	n := program.Start(t, dir, addr)
	n.Ready()
	u := user(t, n, "user1")
	join(t, u, "room1")
	for range 50 {
		if _, err := u.Send(testContext(t), "room1", chat.Draft{Text: strings.Repeat("x", 2000)}); err != nil {
			t.Fatal(err)
		}
	}
	u.Close()
	if code := n.Terminate(10 * time.Second); code != 0 {
		t.Fatalf("the node ended with %d", code)
	}
	if out, errs, err := program.Run(testContext(t), "check", "--data-dir", dir); err != nil {
		t.Fatalf("a good directory: %v\n%s%s", err, out, errs)
	}
	damaged := damageLargest(t, dir)
	out, errs, err := program.Run(testContext(t), "check", "--data-dir", dir)
	if err == nil || !strings.Contains(out+errs, filepath.Base(damaged)) {
		t.Errorf("%s is damaged, and the check says: %v\n%s%s", damaged, err, out, errs)
	}
}

// damageLargest overwrites the second half of the largest shard.
func damageLargest(t *testing.T, dir string) (file string) {
	t.Helper()
	shards, err := filepath.Glob(filepath.Join(dir, "shard-*.db"))
	if err != nil {
		t.Fatal(err)
	}
	var size int64
	for _, s := range shards {
		st, err := os.Stat(s)
		if err != nil {
			t.Fatal(err)
		}
		if st.Size() > size {
			file, size = s, st.Size()
		}
	}
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte(strings.Repeat("garbage!", int(size/16))), size/2); err != nil {
		t.Fatal(err)
	}
	return file
}
