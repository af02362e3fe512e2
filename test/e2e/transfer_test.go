package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/internal/testprocess"
)

// runs runs a verb that has to end well.
func runs(t *testing.T, args ...string) (stdout, stderr string) {
	t.Helper()
	out, errs, err := program.Run(testContext(t), args...)
	if err != nil {
		t.Fatalf("%v: %v\n%s%s", args, err, out, errs)
	}
	return out, errs
}

// fails runs a verb that has to end with the code, and say why.
func fails(t *testing.T, code int, why string, args ...string) {
	t.Helper()
	out, errs, err := program.Run(testContext(t), args...)
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != code || !strings.Contains(errs, why) {
		t.Errorf("%v: %v, want code %d and %q\n%s%s", args, err, code, why, out, errs)
	}
}

// seenBy is what a user sees of a room: its messages and members, and the user's list
// of rooms.
func seenBy(t *testing.T, u *client.Client, id chat.RoomID) []any {
	t.Helper()
	ms, _, err := u.History(testContext(t), id, client.Page{Limit: 50})
	if err != nil {
		t.Fatal(err)
	}
	members, count, _, err := u.Members(testContext(t), id, "")
	if err != nil {
		t.Fatal(err)
	}
	rooms, err := u.Rooms(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	return []any{ms, members, count, rooms}
}

// Rooms move from one node to another with other shards, by way of a file.
func TestExportAndImport(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	addr, other := testprocess.FreeAddr(t), testprocess.FreeAddr(t)
	n := program.Start(t, from, addr)
	n.Ready()
	ann, bob := user(t, n, "ann"), user(t, n, "bob")
	join(t, ann, "room1")
	join(t, bob, "room1")
	for i := range 20 {
		if _, err := ann.Send(testContext(t), "room1", chat.Draft{Text: fmt.Sprint("message ", i+1), Key: fmt.Sprint("key ", i), Data: []byte(`{"n":[1,"<é>"]}`)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, change := range []func() error{
		func() error { _, err := ann.Edit(testContext(t), "room1", 3, "edited"); return err },
		func() error { _, err := ann.Delete(testContext(t), "room1", 4); return err },
		func() error { _, err := bob.React(testContext(t), "room1", 5, "👍", true); return err },
		func() error { _, err := bob.Read(testContext(t), "room1", 7); return err },
		func() error { _, err := bob.Send(testContext(t), "room1", chat.Draft{Text: "mine"}); return err },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
	}
	want := map[*client.Client][]any{ann: seenBy(t, ann, "room1"), bob: seenBy(t, bob, "room1")}

	file := filepath.Join(t.TempDir(), "chat.jsonl")
	fails(t, 1, "in use by another roomtide", "export", "--all", "--out", file, "--data-dir", from)
	if code := n.Terminate(10 * time.Second); code != 0 {
		t.Fatalf("the node ended with %d", code)
	}
	if _, errs := runs(t, "export", "--all", "--out", file, "--data-dir", from); !strings.Contains(errs, "done: 1 rooms, 2 members, 21 messages, 1 reactions") {
		t.Errorf("the export says %s", errs)
	}
	fails(t, 1, "is there already", "export", "--all", "--out", file, "--data-dir", from)
	if files, _ := filepath.Glob(filepath.Join(filepath.Dir(file), "*")); len(files) != 1 {
		t.Errorf("files: %v", files)
	}
	if out, _ := runs(t, "export", "--user", "bob", "--data-dir", from); strings.Count(out, "\n") != 6 || !strings.Contains(out, `"text":"mine"`) {
		t.Errorf("of bob there is:\n%s", out)
	}
	fails(t, 1, "there is no room", "export", "--room", "absent", "--data-dir", from)

	// The new node has one shard.
	n = program.Start(t, to, other, "ROOMTIDE_SQLITE_SHARDS=1")
	n.Ready()
	fails(t, 1, "in use by another roomtide", "import", file, "--data-dir", to)
	if code := n.Terminate(10 * time.Second); code != 0 {
		t.Fatalf("the node ended with %d", code)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	cut := file + ".cut"
	if err := os.WriteFile(cut, whole[:len(whole)-100], 0o600); err != nil {
		t.Fatal(err)
	}
	fails(t, 1, "cut off", "import", cut, "--data-dir", to)
	if out, _ := runs(t, "import", file, "--data-dir", to); !strings.Contains(out, "1 rooms are new") {
		t.Errorf("the import says %s", out)
	}
	if out, _ := runs(t, "import", file, "--data-dir", to); !strings.Contains(out, "1 were there already") || !strings.Contains(out, "; 0 rows written") {
		t.Errorf("the second import says %s", out)
	}
	runs(t, "check", "--data-dir", to)

	n = program.Start(t, to, addr) // where the clients look for it
	n.Ready()
	for u, was := range want {
		if now := seenBy(t, u, "room1"); !reflect.DeepEqual(now, was) {
			t.Errorf("%s sees\n%+v\nand saw\n%+v", u.User(), now, was)
		}
	}
	// A key is still the message that it was, and the numbers go on.
	if s, err := ann.Send(testContext(t), "room1", chat.Draft{Text: "message 20", Key: "key 19", Data: []byte(`{"n":[1,"<é>"]}`)}); err != nil || s.Seq != 20 {
		t.Errorf("the message again: %+v %v", s, err)
	}
	if s, err := ann.Send(testContext(t), "room1", chat.Draft{Text: "after the move"}); err != nil || s.Seq != 22 {
		t.Errorf("the next message: %+v %v", s, err)
	}
	wantEvent(t, bob, "the next message", func(ev client.Event) bool { return ev.Kind == chat.EventMessage && ev.Message.Seq == 22 })
	if code := n.Terminate(10 * time.Second); code != 0 {
		t.Fatalf("the node ended with %d", code)
	}
	fails(t, 1, `have other content than in the file: "room1"`, "import", file, "--data-dir", to)
}
