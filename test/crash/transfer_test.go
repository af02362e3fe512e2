package crash

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/teststore"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/transfer"
)

// An import that is killed behind each of its commits goes on where it was.
func TestKilledImport(t *testing.T) {
	file := filepath.Join(t.TempDir(), "chat.jsonl")
	const rooms, messages = 3, 900
	writeExport(t, file, rooms, messages)
	dir := t.TempDir()
	if err := teststore.Open(t, dir, 2, nil).Close(); err != nil {
		t.Fatal(err)
	}
	kills := 0
	for {
		cmd := exec.Command(program.Path, "import", file, "--data-dir", dir)
		cmd.Env = append(os.Environ(), "ROOMTIDE_CRASH=import-committed:1")
		out, err := cmd.CombinedOutput()
		if err == nil {
			break
		}
		if !strings.Contains(string(out), "crashpoint: import-committed") {
			t.Fatalf("%v\n%s", err, out)
		}
		kills++
		seenRooms(t, dir, messages)
	}
	if kills < 5 {
		t.Errorf("it was killed %d times", kills)
	}
	if n := seenRooms(t, dir, messages); n != rooms {
		t.Errorf("%d rooms", n)
	}
	st := teststore.Open(t, dir, 2, nil)
	defer st.Close()
	if lines, err := st.Check(t.Context()); err != nil || len(lines) > 0 {
		t.Errorf("%q %v", lines, err)
	}
	if us, err := st.User("ann").UserRooms(t.Context(), "ann", "", 9); err != nil || len(us) != rooms {
		t.Errorf("rooms of ann: %+v %v", us, err)
	}
}

// seenRooms counts the rooms that can be seen, which have all of their messages.
func seenRooms(t *testing.T, dir string, messages int) int {
	t.Helper()
	st := teststore.Open(t, dir, 2, nil)
	defer st.Close()
	rooms, err := st.ListRooms(t.Context(), store.RoomFilter{Limit: 99})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rooms {
		ms, more, err := st.Room(r.ID).Messages(t.Context(), r.ID, store.Page{Limit: 10 * messages})
		if err != nil || len(ms) != messages || more {
			t.Fatalf("room %s has %d messages, %v", r.ID, len(ms), err)
		}
	}
	return len(rooms)
}

// writeExport makes a file with rooms of ann.
func writeExport(t *testing.T, file string, rooms, messages int) {
	t.Helper()
	st := teststore.Open(t, t.TempDir(), 1, nil)
	defer st.Close()
	var rows store.Rows
	for i := range rooms {
		id := chat.RoomID(fmt.Sprint("room ", i))
		rows.Rooms = append(rows.Rooms, chat.Room{ID: id, LastSeq: chat.Seq(messages), Rev: chat.Rev(messages + 2), InfoRev: 1, Members: 1})
		rows.Members = append(rows.Members, chat.Member{Room: id, User: "ann", Role: chat.RoleOwner, Rev: 2})
		for seq := chat.Seq(1); seq <= chat.Seq(messages); seq++ {
			rows.Messages = append(rows.Messages, chat.Message{Room: id, Seq: seq, Rev: chat.Rev(seq + 2), Created: chat.Rev(seq + 2), User: "ann", Text: "text"})
		}
	}
	at, err := st.Shards()[0].Acquire(t.Context(), 0)
	if err == nil {
		err = st.Shards()[0].Commit(t.Context(), 0, at, &store.Changes{Put: &rows})
	}
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := transfer.ExportAll(t.Context(), st, f, func(string, transfer.Counts) {}); err != nil {
		t.Fatal(err)
	}
}
