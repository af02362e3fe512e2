package transfer_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/teststore"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/transfer"
)

func room(t testing.TB, st *store.Store, id chat.RoomID) chat.Room {
	t.Helper()
	r, err := st.Room(id).Room(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestExistingRooms imports into a deployment that has other content.
func TestExistingRooms(t *testing.T) {
	from := open(t, 1)
	put(t, from, aRoom("a", 4))
	put(t, from, aRoom("b", 4))
	put(t, from, someUsers())
	file := exportAll(t, from)
	// The rows of the two rooms are the same, one message is not.
	fill := func(st *store.Store) *store.Rows {
		own := aRoom("a", 9)
		same := aRoom("b", 4)
		same.Messages[2].Text = "another text"
		own.Add(same)
		own.Add(&store.Rows{
			Users:     []chat.User{{ID: "bob", Name: "Another Bob"}},
			Access:    []chat.Access{{User: "ann", NotBefore: 7}, {User: "eve", NotBefore: 100, Claimed: true}},
			Devices:   []chat.Device{{User: "ann", ID: "phone", Provider: "apns", Seen: 9}},
			Members:   []chat.Member{{Room: "a", User: "dan", Role: chat.RoleMember, Rev: 9}},
			UserRooms: []store.UserRoom{{User: "dan", Room: "a", Role: chat.RoleMember, Rev: 9, Read: 2}},
		})
		own.Rooms[0].Members++
		put(t, st, own)
		return stored(t, st)
	}

	st := open(t, 2)
	before := fill(st)
	_, err := importInto(st, file, transfer.Refuse)
	if chat.KindOf(err) != chat.Conflict || !strings.Contains(err.Error(), `"a", "b"`) && !strings.Contains(err.Error(), `"b", "a"`) {
		t.Errorf("refuse: %v", err)
	}
	same(t, "refused", stored(t, st), before)

	access := []chat.Access{{User: "ann", NotBefore: 7, Claimed: true}, {User: "eve", NotBefore: 100, Claimed: true}}
	r := mustImport(t, st, file, transfer.Skip)
	if r.Skipped != 2 || r.New+r.Same+r.Replaced != 0 || r.Kept != 2 || r.Written != 5 { // ann, and her access; her settings, and those of eve; an owner
		t.Errorf("skip: %+v", r)
	}
	before.Users = append([]chat.User{someUsers().Users[0]}, before.Users...)
	before.Access = access
	before.PushSettings, before.PushOwners = someUsers().PushSettings, someUsers().PushOwners
	same(t, "skipped", stored(t, st), before)

	was := room(t, st, "a")
	if r := mustImport(t, st, file, transfer.Replace); r.Replaced != 2 || r.New+r.Same+r.Skipped+r.Kept != 0 {
		t.Errorf("replace: %+v", r)
	}
	whole(t, st)
	now := room(t, st, "a")
	if now.Floor != was.Rev || now.Rev != was.Rev+room(t, from, "a").Rev || now.LastSeq != 4 {
		t.Errorf("%+v follows %+v", now, was)
	}
	for _, after := range []chat.Rev{1, was.Rev - 1, was.Rev} { // clients of what was there start over
		if d, err := st.Room("a").Delta(ctx, "a", after, 100, 0); err != nil || !d.Reset {
			t.Errorf("delta after %d: %+v %v", after, d, err)
		}
	}
	d, err := st.Room("a").Delta(ctx, "a", 0, 100, 0)
	if err != nil || d.Reset || len(d.Messages) != 4 || len(d.Members) != 3 {
		t.Errorf("delta of a new client: %+v %v", d, err)
	}
	if dan, err := st.User("dan").UserRoom(ctx, "dan", "a"); err != nil || dan.Role.Present() || dan.Rev < was.Rev {
		t.Errorf("who is no member any more has %+v %v", dan, err)
	}
	if us, _ := st.Users(ctx, []chat.UserID{"bob"}); us["bob"].Name != "Bob" {
		t.Errorf("profile %+v", us)
	}
	if got := stored(t, st).Devices; !slices.Equal(got, someUsers().Devices) {
		t.Errorf("devices %+v", got)
	}
	if got := stored(t, st).Access; len(got) != 2 || got[0] != access[0] || got[1] != access[1] {
		t.Errorf("access %+v", got)
	}
	if ms, _, err := st.Room("b").Messages(ctx, "b", store.Page{Limit: 9}); err != nil || len(ms) != 4 || ms[2].Text != "message 3" {
		t.Errorf("messages %+v %v", ms, err)
	}
	if r := mustImport(t, st, file, transfer.Refuse); r.Written != 0 || r.Same != 2 {
		t.Errorf("again: %+v", r)
	}
}

// TestDeletedRooms: a room that is deleted here begins behind its earlier history; one
// that is deleted there is deleted here if it is to be replaced.
func TestDeletedRooms(t *testing.T) {
	from, st := open(t, 1), open(t, 1)
	put(t, from, aRoom("a", 4))
	put(t, from, gone("b"))
	put(t, from, gone("c"))
	file := exportAll(t, from)
	put(t, st, gone("a"))
	put(t, st, aRoom("b", 3))
	stray := aRoom("d", 4) // rows without their room
	stray.Rooms = nil
	stray.UserRooms = nil
	put(t, st, stray)
	if _, err := importInto(st, file, transfer.Refuse); chat.KindOf(err) != chat.Conflict || !strings.Contains(err.Error(), `"b"`) {
		t.Errorf("refuse: %v", err)
	}
	if r := mustImport(t, st, file, transfer.Replace); r.New != 2 || r.Replaced != 1 {
		t.Errorf("%+v", r)
	}
	if r := room(t, st, "a"); r.Floor != 50 || r.Rev != 50+room(t, from, "a").Rev {
		t.Errorf("a is %+v", r)
	}
	if _, err := st.Room("b").Room(ctx, "b"); chat.KindOf(err) != chat.NotFound {
		t.Errorf("b: %v", err)
	}
	if us, err := st.User("ann").UserRooms(ctx, "ann", "", 9); err != nil || len(us) != 1 || us[0].Room != "a" {
		t.Errorf("rooms of ann: %+v %v", us, err)
	}
	got := stored(t, st)
	if n := len(pick(got, func(k store.RowKey) bool { return k.ID == "b" }).Keys()); n != 1 {
		t.Errorf("%d rows are left of b", n)
	}
	if r := mustImport(t, st, file, transfer.Refuse); r.Written != 0 {
		t.Errorf("again: %+v", r)
	}
	// What is there of a room that is not there gives way.
	put(t, from, aRoom("d", 2))
	mustImport(t, st, exportAll(t, from), transfer.Refuse)
	whole(t, st)
	if ms, _, err := st.Room("d").Messages(ctx, "d", store.Page{Limit: 9}); err != nil || len(ms) != 2 {
		t.Errorf("messages of d: %d %v", len(ms), err)
	}
}

// TestImportAfterARestore: a room begins behind all revs that clients may know.
func TestImportAfterARestore(t *testing.T) {
	const base = 1 << 40
	from, dir := open(t, 1), t.TempDir()
	put(t, from, aRoom("a", 4))
	restored := teststore.Open(t, dir, 1, nil)
	if err := errors.Join(restored.Rebase(ctx, base), restored.Close()); err != nil {
		t.Fatal(err)
	}
	st := teststore.Open(t, dir, 1, nil)
	defer st.Close()
	file := exportAll(t, from)
	mustImport(t, st, file, transfer.Refuse)
	whole(t, st)
	if r := room(t, st, "a"); r.Floor != base || r.Rev != base+room(t, from, "a").Rev {
		t.Errorf("%+v", r)
	}
	if r := mustImport(t, st, file, transfer.Refuse); r.Written != 0 || r.Same != 1 {
		t.Errorf("again: %+v", r)
	}
}

// madeOf is a file of lines.
func madeOf(holds string, lines ...string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "{\"type\":\"export\",\"version\":1,\"holds\":%q,\"made\":0}\n", holds)
	counts := map[string]int{}
	for _, l := range lines {
		var typed struct{ Type string }
		_ = json.Unmarshal([]byte(l), &typed)
		name := typed.Type
		if name != "access" {
			name += "s"
		}
		counts[name]++
		b.WriteString(l + "\n")
	}
	sum := sha256.Sum256(b.Bytes())
	fmt.Fprintf(&b, "{\"type\":\"end\",\"rooms\":%d,\"members\":%d,\"user_rooms\":%d,\"messages\":%d,\"reactions\":%d,\"users\":%d,\"access\":%d,\"sha256\":%q}\n",
		counts["rooms"], counts["members"], counts["user_rooms"], counts["messages"], counts["reactions"], counts["users"], counts["access"],
		hex.EncodeToString(sum[:]))
	return b.Bytes()
}

const (
	lineRoom   = `{"type":"room","room":"r","rev":4,"info_rev":1,"last_seq":2,"members":1}`
	lineMember = `{"type":"member","room":"r","user":"ann","role":"member","rev":2}`
	lineOne    = `{"type":"message","room":"r","seq":1,"user":"ann","rev":3,"created_rev":3,"text":"one"}`
	lineTwo    = `{"type":"message","room":"r","seq":2,"user":"ann","rev":4,"created_rev":4,"text":"two"}`
)

// TestFilesMadeElsewhere: what a file does not say is made, and what does not fit is
// refused before anything is written.
func TestFilesMadeElsewhere(t *testing.T) {
	st := open(t, 2)
	for what, lines := range map[string][]string{
		"line 2: a row of a room":    {lineMember},
		"line 4: the rows of a room": {lineRoom, lineOne, lineMember, lineTwo},
		"line 5: the rows of a room": {lineRoom, lineMember, lineOne, lineOne},
		"has 1 messages":             {lineRoom, lineMember, lineOne},
		"has 0 members":              {lineRoom, lineOne, lineTwo},
		"numbered 1, 2, 3":           {lineRoom, lineMember, lineTwo},
		"later rev":                  {strings.Replace(lineRoom, `"rev":4`, `"rev":3`, 1), lineMember, lineOne, lineTwo},
		"is deleted and has rows":    {strings.Replace(lineRoom, `"members":1`, `"members":1,"deleted":true`, 1), lineMember},
		"line 4: a user_room":        {lineRoom, lineMember, `{"type":"user_room","room":"r","user":"bob"}`},
		"line 3: a user_room":        {lineRoom, `{"type":"user_room","room":"r","user":"ann"}`, lineMember},
		"line 2: who is online":      {`{"type":"online","room":"r","user":"ann","node":"n"}`},
		`line 3: type "typing"`:      {lineRoom, `{"type":"typing"}`},
	} {
		if _, err := importInto(st, madeOf("all", lines...), transfer.Refuse); chat.KindOf(err) != chat.Invalid || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	same(t, "imported", stored(t, st), &store.Rows{})

	// Without read marks everything is read.
	mustImport(t, st, madeOf("room", lineRoom, lineMember, lineOne, lineTwo), transfer.Refuse)
	whole(t, st)
	if us, err := st.User("ann").UserRooms(ctx, "ann", "", 9); err != nil || len(us) != 1 || us[0] != (store.UserRoom{User: "ann", Room: "r", Role: chat.RoleMember, Rev: 2, Read: 2}) {
		t.Errorf("%+v %v", us, err)
	}
	// A room that is there twice is one room.
	if _, err := importInto(open(t, 1), madeOf("all", lineRoom, lineMember, lineOne, lineTwo, lineRoom, lineMember, lineOne,
		strings.Replace(lineTwo, "two", "deux", 1)), transfer.Refuse); chat.KindOf(err) != chat.Conflict {
		t.Errorf("twice: %v", err)
	}
}

// FuzzImport: whatever a file says, what was imported is whole.
func FuzzImport(f *testing.F) {
	st := open(f, 2)
	f.Add(strings.Join([]string{lineRoom, lineMember, lineOne, lineTwo}, "\n"))
	f.Add(string(body(exportAll(f, func() *store.Store {
		from := open(f, 1)
		rows := aRoom("a", 2)
		rows.Add(someUsers())
		rows.Add(gone("gone"))
		put(f, from, rows)
		return from
	}()))))
	f.Fuzz(func(t *testing.T, lines string) {
		for _, e := range []transfer.Existing{transfer.Refuse, transfer.Replace} {
			_, err := importInto(st, madeOf("all", strings.Split(strings.TrimSuffix(lines, "\n"), "\n")...), e)
			if err == nil {
				whole(t, st)
			} else if k := chat.KindOf(err); k != chat.Invalid && k != chat.Conflict {
				t.Fatal(err)
			}
		}
	})
}
