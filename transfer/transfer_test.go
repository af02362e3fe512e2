package transfer_test

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/teststore"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/transfer"
)

var ctx = context.Background()

// body is a file without its header, which has the time, and its footer.
func body(file []byte) []byte {
	lines := bytes.SplitAfter(file, []byte("\n"))
	return bytes.Join(lines[1:len(lines)-2], nil)
}

func TestRoundTrip(t *testing.T) {
	from, to := open(t, 1), open(t, 3)
	want := deployment(t, from)
	same(t, "stored", stored(t, from), want)
	file := exportAll(t, from)
	r := mustImport(t, to, file, transfer.Refuse)
	same(t, "imported", stored(t, to), want)
	whole(t, to)
	if r.New != 6 || r.Written != int64(want.Len()) || r.Rows() != int64(want.Len()) || r.Messages != 316 {
		t.Errorf("result %+v of %d rows", r, want.Len())
	}
	for _, e := range []transfer.Existing{transfer.Refuse, transfer.Skip, transfer.Replace} {
		if r := mustImport(t, to, file, e); r.Written != 0 || r.New != 0 || r.Same != 6 || r.Replaced+r.Skipped+r.Kept != 0 {
			t.Errorf("again with %s: %+v", e, r)
		}
	}
	same(t, "imported again", stored(t, to), want)
	if !bytes.Equal(body(exportAll(t, to)), body(file)) {
		t.Error("the export of the import is another")
	}
}

// TestRoundTripModel: whatever is stored comes back, with any number of shards.
func TestRoundTripModel(t *testing.T) {
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		if runs++; runs > 12 { // each takes two deployments
			return
		}
		want := randomRows(rt)
		from := teststore.Open(t, t.TempDir(), rapid.IntRange(1, 3).Draw(rt, "shards"), nil)
		defer from.Close()
		to := teststore.Open(t, t.TempDir(), rapid.IntRange(1, 3).Draw(rt, "shards"), nil)
		defer to.Close()
		put(rt, from, want)
		file := exportAll(rt, from)
		mustImport(rt, to, file, transfer.Refuse)
		same(rt, "imported", stored(rt, to), want)
		whole(rt, to)
		if r := mustImport(rt, to, file, transfer.Refuse); r.Written != 0 {
			rt.Fatalf("again: %+v", r)
		}
	})
}

func TestExportRoom(t *testing.T) {
	from, to := open(t, 2), open(t, 1)
	all := deployment(t, from)
	var file bytes.Buffer
	counts, err := transfer.ExportRoom(ctx, from, "b", &file, quiet)
	if err != nil || counts != (transfer.Counts{Rooms: 1, Members: 3, UserRooms: 3, Messages: 12, Reactions: 10}) {
		t.Fatalf("%+v %v", counts, err)
	}
	other := aRoom("of its own", 4)
	put(t, to, other)
	mustImport(t, to, file.Bytes(), transfer.Refuse)
	want := pick(all, func(k store.RowKey) bool { return k.ID == "b" || k.A == "b" && k.Table == store.TableUserRooms })
	want.Add(other)
	same(t, "imported", stored(t, to), pick(want, func(store.RowKey) bool { return true }))
	for _, id := range []chat.RoomID{"absent", "gone"} {
		if _, err := transfer.ExportRoom(ctx, from, id, &file, quiet); chat.KindOf(err) != chat.NotFound || !strings.Contains(err.Error(), string(id)) {
			t.Errorf("%s: %v", id, err)
		}
	}
}

func TestExportUser(t *testing.T) {
	st := open(t, 2)
	all := deployment(t, st)
	left := aRoom("going", 3) // deleted, with rows that are not removed yet
	left.Rooms[0].Deleted = true
	left.UserRooms = nil
	put(t, st, left)
	for _, user := range []chat.UserID{"ann", "bob", "eve"} {
		var file bytes.Buffer
		if _, err := transfer.ExportUser(ctx, st, user, &file, quiet); err != nil {
			t.Fatal(err)
		}
		var got store.Rows
		for line := range bytes.Lines(body(file.Bytes())) {
			if err := store.DecodeLine(line, &got); err != nil {
				t.Fatal(err)
			}
		}
		authors := map[store.RowKey]chat.UserID{}
		for i := range all.Messages {
			authors[store.KeyOf(&all.Messages[i])] = all.Messages[i].User
		}
		want := pick(all, func(k store.RowKey) bool {
			return k.Table >= store.TableUserRooms && k.ID == string(user) || k.Table == store.TableMembers && k.A == string(user) ||
				k.Table == store.TableReactions && k.B == string(user) || authors[k] == user
		})
		same(t, string(user), pick(&got, func(store.RowKey) bool { return true }), want)
		if want.Len() == 0 {
			t.Errorf("nothing of %s", user)
		}
		if _, err := importInto(open(t, 1), file.Bytes(), transfer.Refuse); chat.KindOf(err) != chat.Invalid || !strings.Contains(err.Error(), "user") {
			t.Errorf("import of a user: %v", err)
		}
	}
	if _, err := transfer.ExportUser(ctx, st, "absent", &bytes.Buffer{}, quiet); chat.KindOf(err) != chat.NotFound {
		t.Errorf("an unknown user: %v", err)
	}
}

// interrupted fails the commits of shards after some of them, or the answers to them.
type interrupted struct {
	store.Driver
	left  *int
	after bool // the last commit is written, and its answer is lost
}

func (d *interrupted) Commit(ctx context.Context, lane store.LaneID, at store.Position, ch *store.Changes) error {
	*d.left--
	if *d.left < 0 || *d.left == 0 && !d.after {
		return chat.E(chat.Unavailable, "the process is gone")
	}
	err := d.Driver.Commit(ctx, lane, at, ch)
	if err == nil && *d.left == 0 {
		err = chat.E(chat.Unavailable, "the process is gone")
	}
	return err
}

// TestInterrupted ends an import at every commit. The rooms that are to be seen are
// whole then, and the same import finishes.
func TestInterrupted(t *testing.T) {
	from := open(t, 1)
	want := deployment(t, from)
	file := exportAll(t, from)
	for _, existing := range []bool{false, true} {
		after := existing // the last commit is written or not, once in each
		for n, done := 1, false; !done; n++ {
			done = interruptedAt(t, file, want, n, after, existing)
			if done && n < 5 {
				t.Errorf("it took %d commits", n)
			}
		}
	}
}

func interruptedAt(t *testing.T, file []byte, want *store.Rows, n int, after, existing bool) (done bool) {
	t.Helper()
	dir := t.TempDir()
	if existing { // other content, to be replaced
		st := teststore.Open(t, dir, 2, nil)
		old := aRoom("c/1", 20)
		old.Add(&store.Rows{
			Members:   []chat.Member{{Room: "c/1", User: "old", Role: chat.RoleMember, Rev: 5}},
			UserRooms: []store.UserRoom{{User: "old", Room: "c/1", Role: chat.RoleMember, Rev: 5}},
		})
		old.Rooms[0].Members++
		put(t, st, old)
		st.Close()
	}
	left := n
	st := teststore.Open(t, dir, 2, func(d store.Driver) store.Driver { return &interrupted{d, &left, after} })
	_, err := importInto(st, file, transfer.Replace)
	if done = err == nil; !done && chat.KindOf(err) != chat.Unavailable {
		t.Fatalf("after %d commits: %v", n, err)
	}
	st.Close()

	st = teststore.Open(t, dir, 2, nil)
	defer st.Close()
	lines, err := st.Check(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines { // rows of a room that is not there yet
		if !strings.Contains(line, "without a room") {
			t.Fatalf("after %d commits: %s", n, line)
		}
	}
	r := mustImport(t, st, file, transfer.Replace)
	slots := slotsOf(want)
	if existing {
		slots = append(slots, chat.UserID("old").Slot())
	}
	got := storedIn(t, st, slots)
	if existing {
		old := got.UserRooms[len(got.UserRooms)-1]
		got.UserRooms = got.UserRooms[:len(got.UserRooms)-1]
		if old.User != "old" || old.Role.Present() {
			t.Fatalf("the one who is no member any more: %+v", old)
		}
		unshift(got, want)
	}
	same(t, fmt.Sprintf("after %d commits and %+v", n, r), got, want)
	whole(t, st)
	if r := mustImport(t, st, file, transfer.Replace); r.Written != 0 {
		t.Fatalf("once more after %d commits: %+v", n, r)
	}
	return done
}

// TestInterruptedBeforeUsers ends an import at every commit that replaces a room, whose file
// was made behind a restore: its members have smaller revs than its floor. One of them has
// left the room since, and has their list of rooms in another shard.
func TestInterruptedBeforeUsers(t *testing.T) {
	st := open(t, 2)
	id, user := chat.RoomID("a"), chat.UserID("u")
	for st.ShardOf(id.Slot()) != 0 { // which is committed first at the end
		id += "a"
	}
	for st.ShardOf(user.Slot()) != 1 {
		user += "u"
	}
	rows := func(role chat.Role, rev chat.Rev) *store.Rows {
		r := chat.Room{ID: id, Floor: 1000, Rev: max(1000, rev), InfoRev: 1}
		if role.Present() {
			r.Members = 1
		}
		return &store.Rows{
			Rooms:     []chat.Room{r},
			Members:   []chat.Member{{Room: id, User: user, Role: role, Rev: rev}},
			UserRooms: []store.UserRoom{{User: user, Room: id, Role: role, Rev: rev}},
		}
	}
	put(t, st, rows(chat.RoleMember, 3))
	file := exportAll(t, st)
	for n, done := 1, false; !done; n++ {
		dir := t.TempDir()
		now := teststore.Open(t, dir, 2, nil)
		put(t, now, rows(chat.RoleNone, 1005))
		now.Close()
		left := n
		now = teststore.Open(t, dir, 2, func(d store.Driver) store.Driver { return &interrupted{d, &left, true} })
		_, err := importInto(now, file, transfer.Replace)
		done = err == nil
		now.Close()

		now = teststore.Open(t, dir, 2, nil)
		mustImport(t, now, file, transfer.Replace)
		if u, err := now.User(user).UserRoom(ctx, user, id); err != nil || u.Role != chat.RoleMember {
			t.Errorf("after %d commits the user has %+v %v", n, u, err)
		}
		whole(t, now)
		now.Close()
		if done && n < 4 {
			t.Errorf("it took %d commits", n)
		}
	}
}

// unshift takes from the revs of room c/1 what was added to them.
func unshift(got, want *store.Rows) {
	var by chat.Rev
	for i := range got.Rooms {
		if r := &got.Rooms[i]; r.ID == "c/1" {
			by = r.Floor
			r.Floor, r.Rev, r.InfoRev = 0, r.Rev-by, r.InfoRev-by
		}
	}
	for i := range got.Members {
		if m := &got.Members[i]; m.Room == "c/1" {
			m.Rev -= by
		}
	}
	for i := range got.UserRooms {
		if u := &got.UserRooms[i]; u.Room == "c/1" {
			u.Rev -= by
		}
	}
	for i := range got.Messages {
		if m := &got.Messages[i]; m.Room == "c/1" {
			m.Rev, m.Created = m.Rev-by, m.Created-by
		}
	}
}

// TestDamagedFiles: nothing of a file that is cut off or changed anywhere is imported.
func TestDamagedFiles(t *testing.T) {
	from, to := open(t, 1), open(t, 1)
	all := aRoom("a", 3)
	all.Add(someUsers())
	put(t, from, all)
	file := exportAll(t, from)
	for n := range file {
		if _, err := importInto(to, file[:n], transfer.Refuse); chat.KindOf(err) != chat.Invalid {
			t.Fatalf("cut off behind %d bytes: %v", n, err)
		} else if n > 100 && bytes.HasSuffix(file[:n], []byte("\n")) && !strings.Contains(err.Error(), "cut off") {
			t.Fatalf("cut off behind %d bytes: %v", n, err)
		}
		changed := bytes.Clone(file)
		changed[n] ^= 1
		if _, err := importInto(to, changed, transfer.Refuse); chat.KindOf(err) != chat.Invalid {
			t.Fatalf("byte %d changed to %q: %v", n, changed[n], err)
		}
	}
	for what, other := range map[string][]byte{
		"a line is missing": append(bytes.Clone(file[:bytes.Index(file, []byte("\n"))+1]), file[bytes.Index(file, []byte(`{"type":"member"`)):]...),
		"twice":             append(bytes.Clone(file), file...),
		"more behind it":    append(bytes.Clone(file), '\n'),
		"something else":    []byte("PK\x03\x04\n"),
		"JSON":              []byte("{}\n"),
		"a newer version":   bytes.Replace(file, []byte(`"version":1`), []byte(`"version":2`), 1),
		"a long line":       append(bytes.Clone(file[:bytes.Index(file, []byte("\n"))+1]), bytes.Repeat([]byte("x"), transfer.MaxLine+1)...),
	} {
		if _, err := importInto(to, other, transfer.Refuse); chat.KindOf(err) != chat.Invalid {
			t.Errorf("%s: %v", what, err)
		}
	}
	same(t, "imported", stored(t, to), &store.Rows{})
	if _, err := importInto(to, file, transfer.Refuse); err != nil {
		t.Error(err)
	}
}

func TestProgress(t *testing.T) {
	st, to := open(t, 1), open(t, 1)
	put(t, st, aRoom("long", 21_000))
	told := map[string][]int64{}
	note := func(done string, c transfer.Counts) { told[done] = append(told[done], c.Rows()) }
	var file bytes.Buffer
	if _, err := transfer.ExportAll(ctx, st, &file, note); err != nil {
		t.Fatal(err)
	}
	if _, err := transfer.Import(ctx, to, bytes.NewReader(file.Bytes()), transfer.Refuse, note); err != nil {
		t.Fatal(err)
	}
	for _, done := range []string{"exported", "verified", "imported"} {
		if n := told[done]; len(n) < 4 || n[len(n)-1] != 21_000+16_800+7 {
			t.Errorf("%s: %v", done, n)
		}
	}
	stop, cancel := context.WithCancel(ctx)
	_, err := transfer.Import(stop, to, bytes.NewReader(file.Bytes()), transfer.Refuse, func(string, transfer.Counts) { cancel() })
	if chat.KindOf(err) != chat.Unavailable {
		t.Errorf("interrupted: %v", err)
	}
	if !reflect.DeepEqual(stored(t, to), stored(t, st)) {
		t.Error("the copy is another")
	}
}
