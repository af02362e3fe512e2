package backup_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/backup"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// fake is a snapshot of two databases that are no databases.
type fake struct {
	fail error // of the copy of the second one, after some bytes
}

var contents = map[string]string{"shard-0.db": strings.Repeat("messages ", 50_000), "control.db": "map"}

func (fake) Map() *store.Map {
	return &store.Map{Version: 3, Base: 77, Shards: []string{"shard-0.db"}}
}

func (fake) Files() []store.SnapshotFile {
	return []store.SnapshotFile{
		{Name: "shard-0.db", Bytes: int64(len(contents["shard-0.db"])), Schema: 40, Lanes: map[store.LaneID]store.Position{0: {Epoch: 2, N: 99}}},
		{Name: "control.db", Bytes: 3, Schema: 1},
	}
}

func (f fake) Copy(ctx context.Context, name, path string, progress func(int64)) error {
	text := contents[name]
	if f.fail != nil && name == "control.db" {
		text = text[:1]
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	progress(int64(len(text)))
	if f.fail != nil && name == "control.db" {
		return f.fail
	}
	return ctx.Err()
}

func (fake) Close() error { return nil }

var taken = time.Date(2026, 3, 4, 5, 6, 7, 8, time.UTC)

func write(t *testing.T, target string, fail error) (*backup.Manifest, error) {
	t.Helper()
	return backup.Write(t.Context(), target, backup.Job{
		Snapshot: fake{fail}, Taken: taken, Program: "v1",
		Others: []backup.Other{{Name: "token.key", Kind: backup.Key, Text: []byte("secret")}},
	})
}

var targets = []string{"dir", "x.tar", "x.tar.gz", "x.tgz"}

func TestThereAndBack(t *testing.T) {
	for _, name := range targets {
		dir := t.TempDir()
		path := filepath.Join(dir, "deep", name)
		written, err := write(t, path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !written.Taken.Equal(taken.Truncate(time.Millisecond)) || written.Map.Base != 77 || len(written.Files) != 3 ||
			!reflect.DeepEqual(written.Files[1].Lanes, []backup.Lane{{Epoch: 2, Position: 99}}) || written.Files[1].Schema != 40 {
			t.Errorf("%s: %+v", name, written)
		}
		private(t, path)
		var last backup.Progress
		verified, err := backup.Verify(t.Context(), path, func(p backup.Progress) { last = p })
		if err != nil || !reflect.DeepEqual(verified, written) {
			t.Errorf("%s: %+v, written was %+v, %v", name, verified, written, err)
		}
		if last.Done < written.Bytes() || last.Total != 0 && last.Total != last.Done {
			t.Errorf("%s: the last progress is %+v of %d bytes", name, last, written.Bytes())
		}
		to := filepath.Join(dir, "data")
		prepared := ""
		_, err = backup.Restore(t.Context(), path, to, "control.db", nil, func(m *backup.Manifest, staged string) error {
			prepared = staged
			if _, err := os.Stat(filepath.Join(to, "control.db")); err == nil {
				t.Error("the files have their place before they are prepared")
			}
			return os.WriteFile(filepath.Join(staged, "more"), []byte("more"), 0o600)
		})
		if err != nil || prepared == "" {
			t.Fatal(err)
		}
		want := map[string]string{"token.key": "secret", "more": "more", "shard-0.db": contents["shard-0.db"], "control.db": "map"}
		if got := list(t, to); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: restored are %v", name, keys(got))
		}
		private(t, to)
		if names := keys(list(t, dir)); len(names) != 0 {
			t.Errorf("%s: left behind: %v", name, names)
		}
		if hidden, _ := filepath.Glob(filepath.Join(dir, "*", ".*")); len(hidden) != 0 {
			t.Errorf("%s: left behind: %v", name, hidden)
		}
	}
}

// An empty directory that is there is used, with its owner and mode.
func TestEmptyDirectories(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	for _, d := range []string{from, to} {
		if err := os.Mkdir(d, 0o750); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := write(t, from, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := backup.Restore(t.Context(), from, to, "control.db", nil, func(*backup.Manifest, string) error { return nil }); err != nil {
		t.Fatal(err)
	}
	for d, n := range map[string]int{from: 4, to: 3} {
		if st, err := os.Stat(d); err != nil || st.Mode().Perm() != 0o750 || len(list(t, d)) != n {
			t.Errorf("%s: %v %v %v", d, st.Mode(), keys(list(t, d)), err)
		}
	}
	for _, d := range []string{from, to} {
		if _, err := write(t, d, nil); chat.KindOf(err) != chat.Conflict {
			t.Errorf("into what is not empty: %v", err)
		}
		if _, err := backup.Restore(t.Context(), from, d, "control.db", nil, nil); chat.KindOf(err) != chat.Conflict {
			t.Errorf("into what is not empty: %v", err)
		}
	}
	file := filepath.Join(dir, "x.tar")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := write(t, file, nil); chat.KindOf(err) != chat.Conflict {
		t.Errorf("an archive that is there: %v", err)
	}
}

// What fails in the middle leaves nothing, whatever was there before.
func TestFailureLeavesNothing(t *testing.T) {
	full := chat.Wrap(chat.ReadOnly, "fake", errors.New("no space"))
	for _, fail := range []error{full, errors.New("broken"), context.Canceled} {
		for _, name := range append(targets, "empty") {
			dir := t.TempDir()
			path := filepath.Join(dir, name)
			want := 0
			if name == "empty" {
				want = 1
				if err := os.Mkdir(path, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			_, err := write(t, path, fail)
			if !errors.Is(err, fail) || fail == full && chat.KindOf(err) != chat.ReadOnly {
				t.Errorf("%s: %v", name, err)
			}
			left, err := os.ReadDir(dir)
			if err != nil || len(left) != want || want == 1 && len(list(t, path)) != 0 {
				t.Errorf("%s: after %v there is %v", name, fail, left)
			}
		}
	}
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	if _, err := write(t, from, nil); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	if _, err := backup.Restore(t.Context(), from, to, "control.db", nil, func(*backup.Manifest, string) error { return broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := backup.Restore(ctx, from, to, "control.db", nil, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("%v %v", left, err)
	}
}

// Whatever happens to a backup is found before anything is put back.
func TestDamageIsFound(t *testing.T) {
	edit := func(change func(map[string]any)) func([]byte) []byte {
		return func(text []byte) []byte {
			var m map[string]any
			if err := json.Unmarshal(text, &m); err != nil {
				t.Fatal(err)
			}
			change(m)
			out, _ := json.Marshal(m)
			return out
		}
	}
	file := func(m map[string]any, i int) map[string]any { return m["files"].([]any)[i].(map[string]any) }
	for _, tt := range []struct {
		name, file string
		change     func([]byte) []byte // nil: the file is gone
		words      string
	}{
		{"gone", "shard-0.db", nil, "shard-0.db is missing"},
		{"shorter", "shard-0.db", func(b []byte) []byte { return b[:1000] }, "shard-0.db has 1000 bytes, and had 450000"},
		{"longer", "control.db", func(b []byte) []byte { return append(b, 'x') }, "control.db has 4 bytes"},
		{"another bit", "shard-0.db", func(b []byte) []byte { b[99] ^= 1; return b }, "shard-0.db has changed"},
		{"another key", "token.key", func(b []byte) []byte { b[0] ^= 1; return b }, "token.key has changed"},
		{"no manifest", "manifest.json", nil, "is no backup|no manifest.json"},
		{"half a manifest", "manifest.json", func(b []byte) []byte { return b[:len(b)/2] }, "manifest.json is damaged"},
		{"newer", "manifest.json", edit(func(m map[string]any) { m["format"] = 2 }), "use the program that has written it (v1)"},
		{"name that leads out", "manifest.json", edit(func(m map[string]any) { file(m, 0)["name"] = "../token.key" }), `lists a file "../token.key"`},
		{"hidden", "manifest.json", edit(func(m map[string]any) { file(m, 0)["name"] = ".ssh" }), `lists a file ".ssh"`},
		{"twice", "manifest.json", edit(func(m map[string]any) { file(m, 0)["name"] = "control.db" }), `lists a file "control.db"`},
		{"no file of a shard", "manifest.json", edit(func(m map[string]any) { file(m, 1)["name"] = "other" }), "no file of the shard shard-0.db"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "b")
			if _, err := write(t, path, nil); err != nil {
				t.Fatal(err)
			}
			name := filepath.Join(path, tt.file)
			text, err := os.ReadFile(name)
			if err == nil {
				err = os.Remove(name)
			}
			if err == nil && tt.change != nil {
				err = os.WriteFile(name, tt.change(text), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			archive := filepath.Join(dir, "b.tar")
			pack(t, path, archive)
			for _, p := range []string{path, archive} {
				refusedWith(t, p, tt.words)
			}
		})
	}
}

// Archives have faults of their own.
func TestDamagedArchives(t *testing.T) {
	dir := t.TempDir()
	for _, name := range targets[1:] {
		path := filepath.Join(dir, name)
		if _, err := write(t, path, nil); err != nil {
			t.Fatal(err)
		}
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{0, 1, 100, len(whole) / 2, len(whole) - 1700} {
			cut := filepath.Join(dir, "cut-"+name)
			if err := os.WriteFile(cut, whole[:max(n, 0)], 0o600); err != nil {
				t.Fatal(err)
			}
			refusedWith(t, cut, "cut off|damaged|no backup")
		}
		flipped := bytes.Clone(whole)
		flipped[len(flipped)/2] ^= 0x55
		bad := filepath.Join(dir, "bad-"+name)
		if err := os.WriteFile(bad, flipped, 0o600); err != nil {
			t.Fatal(err)
		}
		refusedWith(t, bad, "changed|damaged|cut off|no backup")
	}
	for name, header := range map[string]tar.Header{
		"leads out":    {Name: "../x", Typeflag: tar.TypeReg},
		"link":         {Name: "shard-0.db", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"},
		"not expected": {Name: "more.db", Typeflag: tar.TypeReg},
	} {
		from, path := filepath.Join(t.TempDir(), "b"), filepath.Join(t.TempDir(), "b.tar")
		if _, err := write(t, from, nil); err != nil {
			t.Fatal(err)
		}
		pack(t, from, path, header)
		t.Run(name, func(t *testing.T) { refusedWith(t, path, "does not belong|not in the manifest") })
	}
	if _, err := backup.Verify(t.Context(), filepath.Join(dir, "nowhere"), nil); chat.KindOf(err) != chat.NotFound {
		t.Error(err)
	}
}

// refusedWith fails unless the backup is refused with one of the words, and a restore of
// it leaves nothing.
func refusedWith(t *testing.T, path, words string) {
	t.Helper()
	_, err := backup.Verify(t.Context(), path, nil)
	into := filepath.Join(t.TempDir(), "into")
	_, err2 := backup.Restore(t.Context(), path, into, "control.db", nil, func(*backup.Manifest, string) error {
		t.Errorf("%s: prepared", path)
		return nil
	})
	for _, err := range []error{err, err2} {
		found := false
		for _, w := range strings.Split(words, "|") {
			found = found || err != nil && strings.Contains(err.Error(), w)
		}
		if k := chat.KindOf(err); !found || k != chat.Invalid && k != chat.NotFound {
			t.Errorf("%s: %v, want %s", filepath.Base(path), err, words)
		}
	}
	if left, err := os.ReadDir(filepath.Dir(into)); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// pack makes an archive of a directory as Write does, with other entries first.
func pack(t *testing.T, dir, path string, more ...tar.Header) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(f)
	for _, h := range more {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
	}
	files := list(t, dir)
	manifest, ok := files[backup.ManifestFile]
	delete(files, backup.ManifestFile)
	names := keys(files)
	if ok {
		files[backup.ManifestFile] = manifest
		names = append(names, backup.ManifestFile)
	}
	for _, name := range names {
		if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(files[name])), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[name])); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// list returns the files in a directory.
func list(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = string(text)
	}
	return out
}

func keys(m map[string]string) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	return out
}

// private fails unless only its owner may read what is there.
func private(t *testing.T, path string) {
	t.Helper()
	err := filepath.Walk(path, func(p string, st os.FileInfo, err error) error {
		if err == nil && st.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v", p, st.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
