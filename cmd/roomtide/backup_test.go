package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/backup"
	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/config"
)

// A running node is backed up to a directory and an archive, which are verified and put
// back as nodes of their own; a stopped node as well.
func TestBackupAndRestore(t *testing.T) {
	base := t.TempDir()
	dir, copies, archive := filepath.Join(base, "data"), filepath.Join(base, "copies"), filepath.Join(base, "x.tar.gz")
	n := serve(t, dir, "--push-webpush-subject=mailto:you@example.org")
	vapid := pushKey(t, dir)
	must(t, "send", "--url="+n.url, "--user=ann", "--room=r", "--key=k", "in the backup")
	token := must(t, "token", "--data-dir="+dir, "--user=bob")
	key := must(t, "key", "add", "--data-dir="+dir, "shop")
	if out := must(t, "backup", copies, "--data-dir="+dir); !regexp.MustCompile(`copies has the data of .*data as of 20.*: 8 files, [\d.]+ [KM]iB$`).MatchString(out) {
		t.Error(out)
	}
	var m backup.Manifest
	if err := json.Unmarshal([]byte(must(t, "backup", archive, "--data-dir="+dir, "--json", "--rate=0")), &m); err != nil || len(m.Map.Shards) != 4 || m.Files[3].Lanes == nil {
		t.Errorf("%+v %v", m, err)
	}
	must(t, "send", "--url="+n.url, "--user=ann", "--room=r", "after it")
	for _, path := range []string{copies, archive} {
		if out := must(t, "backup", "verify", path); !regexp.MustCompile(` is as it was written on 20.*: 8 files`).MatchString(out) {
			t.Error(out)
		}
		for _, to := range []string{path, dir} {
			if _, errs, code := roomtide(t, "", "backup", to, "--data-dir="+dir); code != 1 || !regexp.MustCompile(`is there already|is not empty`).MatchString(errs) {
				t.Errorf("over %s: %d %s", to, code, errs)
			}
		}
		if _, errs, code := roomtide(t, "", "restore", path, "--data-dir="+dir); code != 1 || !strings.Contains(errs, "is not empty") {
			t.Errorf("over a running node: %d %s", code, errs)
		}
	}
	if _, errs, code := roomtide(t, "", "restore", "--mark", "--data-dir="+dir); code != 1 || !strings.Contains(errs, "in use by another roomtide") {
		t.Errorf("marking a running node: %d %s", code, errs)
	}
	n.stop()
	must(t, "backup", filepath.Join(base, "stopped.tar"), "--data-dir="+dir)

	for i, path := range []string{copies, archive, filepath.Join(base, "stopped.tar")} {
		to := fmt.Sprint(base, "/restored", i)
		if out := must(t, "restore", path, "--data-dir="+to); !regexp.MustCompile(`restored\d is restored as of 20.*: 8 files`).MatchString(out) {
			t.Error(out)
		}
		n := serve(t, to, "--push-webpush-subject=mailto:you@example.org")
		if got := pushKey(t, to); got != vapid {
			t.Error("the key of Web Push is another one")
		}
		if out := must(t, "send", "--url="+n.url, "--user=ann", "--room=r", "--key=k", "in the backup"); out != "1" {
			t.Errorf("the message is number %s", out)
		}
		want := []string{"2", "2", "3"}[i]
		if out := must(t, "send", "--url="+n.url, "--token="+token, "--room=r", "with the token of before"); out != want {
			t.Errorf("the next message is number %s", out)
		}
		must(t, "room", "show", "r", "--url="+n.url, "--key="+key)
		n.stop()
	}
}

// pushKey returns the key of Web Push in a data directory, which its owner alone may read.
func pushKey(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, config.WebPushKeyName)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	return string(text)
}

// Databases that were put back with other tools are marked: clients start over.
func TestRestoreMark(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	n := serve(t, dir)
	must(t, "send", "--url="+n.url, "--user=ann", "--room=r", "hello")
	place := func(n *node, at *client.Position) (reset bool, now client.Position) {
		c, err := client.Dial(t.Context(), client.Options{URL: n.url, User: "bob"})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		joined, err := c.Join(t.Context(), "r", client.JoinOptions{After: at})
		if err != nil {
			t.Fatal(err)
		}
		if at == nil {
			return false, joined.At
		}
		for ev := range c.Events() {
			if ev.News == client.Reset || ev.News == client.CaughtUp {
				return ev.News == client.Reset, ev.At
			}
		}
		t.Fatal(c.Err())
		return
	}
	_, at := place(n, nil)
	n.stop()
	n = serve(t, dir)
	if reset, _ := place(n, &at); reset {
		t.Error("a restart is no restore")
	}
	n.stop()
	if out := must(t, "restore", "--mark", "--data-dir="+dir); !strings.Contains(out, "start over") {
		t.Error(out)
	}
	n = serve(t, dir)
	if reset, _ := place(n, &at); !reset {
		t.Error("a client goes on from a place of before")
	}
	n.stop()
}

func TestBackupVerbsRefuse(t *testing.T) {
	base := t.TempDir()
	if err := os.WriteFile(filepath.Join(base, "file"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args   string
		code   int
		stderr string // regexp
	}{
		{"backup", 2, `<target>`},
		{"backup DIR/b --rate=-1 --data-dir=DIR/nothing", 2, `--rate`},
		{"backup DIR/b --data-dir=DIR/nothing", 1, `start the server once`},
		{"backup verify DIR/nothing", 1, `no such file`},
		{"backup verify DIR", 1, `is no backup`},
		{"backup verify DIR/file", 1, `cut off|no backup`},
		{"restore", 2, `which backup`},
		{"restore DIR/b --mark", 2, `leave out`},
		{"restore DIR/nothing --data-dir=DIR/new", 1, `no such file`},
		{"restore DIR --data-dir=DIR/new", 1, `is no backup`},
		{"restore --mark --data-dir=DIR/nothing", 1, `start the server once`},
	} {
		args := strings.Fields(strings.ReplaceAll(tt.args, "DIR", base))
		_, stderr, code := roomtide(t, "", args...)
		if code != tt.code || !regexp.MustCompile(tt.stderr).MatchString(stderr) {
			t.Errorf("roomtide %s: exit code %d, want %d; said %q, want %q", tt.args, code, tt.code, stderr, tt.stderr)
		}
	}
	if left, err := os.ReadDir(base); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestHelpOfOperators(t *testing.T) {
	for _, verb := range []string{"backup", "backup make", "backup verify", "restore", "room list", "room show", "room create", "room set", "room archive", "room delete",
		"member list", "member add", "member role", "member remove", "member ban", "member unban", "user show", "user set", "user revoke", "user messages delete"} {
		if out := must(t, append(strings.Fields(verb), "--help")...); !strings.HasPrefix(out, "Usage: roomtide "+verb) {
			t.Errorf("%s: %q", verb, out)
		}
	}
}
