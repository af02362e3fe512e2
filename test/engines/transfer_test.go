package engines

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/store/mysql"
	"github.com/roomtide/roomtide/store/postgres"
	"github.com/roomtide/roomtide/store/sqldb"
	"github.com/roomtide/roomtide/store/sqlite"
	"github.com/roomtide/roomtide/transfer"
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

var ctx = context.Background()

// open opens an empty deployment of so many shards.
func open(t *testing.T, shards int, shard func(name string) (store.Driver, error)) *store.Store {
	t.Helper()
	var names []string
	var drivers []store.Driver
	for i := range shards {
		names = append(names, fmt.Sprint("s", i))
		d, err := shard(names[i])
		if err != nil {
			t.Fatal(err)
		}
		drivers = append(drivers, d)
	}
	st, err := store.New(store.NewMap(names), drivers, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return st
}

func onSQLite(t *testing.T, shards int) *store.Store {
	return open(t, shards, func(name string) (store.Driver, error) {
		return sqlite.Open(ctx, filepath.Join(t.TempDir(), name), slog.New(slog.DiscardHandler))
	})
}

func onMariaDB(t *testing.T, shards int) *store.Store {
	return open(t, shards, func(name string) (store.Driver, error) {
		return mysql.Open(ctx, sqldb.Options{Name: name, DSN: testdb.MariaDB(t), Node: "n1"}, true)
	})
}

func onPostgreSQL(t *testing.T, shards int) *store.Store {
	return open(t, shards, func(name string) (store.Driver, error) {
		return postgres.Open(ctx, sqldb.Options{Name: name, DSN: testdb.PostgreSQL(t), Node: "n1"}, true)
	})
}

// rooms are rows with texts, ids and data of many kinds.
func rooms() *store.Rows {
	var rows store.Rows
	ids := []string{"a", "A", "ä", "a\u0308", "日本語 ルーム", "👩‍👩‍👧‍👦", "o'clock", `back\slash`, "100%", "'; DROP TABLE rooms; --", strings.Repeat("é", 64)}
	texts := []string{"", "x", "\x00", "<b>\"\\\u2028\r\n\t", "👍🏽", strings.Repeat("long ", 1500)}
	for i, id := range ids {
		room, user := chat.RoomID(id), chat.UserID(id)
		r := chat.Room{ID: room, Title: id, Topic: "topic", Data: `{"a":"é"}`, Open: i%2 == 0, Archived: i%3 == 0, LastSeq: 40, Rev: 200, InfoRev: 1,
			Members: 2, Created: -int64(i), Active: 1 << 50}
		rows.Rooms = append(rows.Rooms, r)
		for n, u := range []chat.UserID{"ann", user} {
			if n == 1 && user == "ann" {
				continue
			}
			rows.Members = append(rows.Members, chat.Member{Room: room, User: u, Name: id, Avatar: "/x", Data: `[1]`, Role: chat.RoleOwner, Rev: chat.Rev(2 + n), Since: 7})
			rows.UserRooms = append(rows.UserRooms, store.UserRoom{User: u, Room: room, Role: chat.RoleOwner, Rev: chat.Rev(2 + n), Read: chat.Seq(n)})
		}
		rows.Members = append(rows.Members, chat.Member{Room: room, User: "zed", Role: chat.RoleBanned, Until: 9, Rev: 4})
		for seq := chat.Seq(1); seq <= 40; seq++ {
			m := chat.Message{Room: room, Seq: seq, Rev: chat.Rev(10 + 2*seq), Created: chat.Rev(10 + 2*seq), User: user, Name: id, Text: texts[int(seq)%len(texts)],
				Time: int64(seq), ReplyTo: seq % 3, Data: []byte(`{"n":1e400,"s":"\u0000é<"}`)}
			if seq%2 == 0 {
				m.Key, m.Digest = fmt.Sprint(id, seq), -1<<63+int64(seq)
			}
			if seq%7 == 0 {
				m.Rev, m.Edited = m.Rev+1, 5
			}
			rows.Messages = append(rows.Messages, m)
			rows.Reactions = append(rows.Reactions,
				store.ReactionChange{ReactionKey: store.ReactionKey{Room: room, Seq: seq, Emoji: "👍", User: user}, On: true, Time: int64(seq)},
				store.ReactionChange{ReactionKey: store.ReactionKey{Room: room, Seq: seq, Emoji: "👍🏽", User: "zed"}, On: true})
		}
		rows.Users = append(rows.Users, chat.User{ID: user, Name: id, Avatar: "/" + "y", Data: `"d"`, Named: int64(i)})
		rows.Access = append(rows.Access, chat.Access{User: user, NotBefore: int64(i), Claimed: i%2 == 0})
	}
	return &rows
}

// fill writes rows to their shards.
func fill(t *testing.T, st *store.Store, rows *store.Rows) {
	t.Helper()
	file := &bytes.Buffer{}
	from := onSQLite(t, 1)
	s := from.Shards()[0]
	at, err := s.Acquire(ctx, 0)
	if err == nil {
		err = s.Commit(ctx, 0, at, &store.Changes{Put: rows})
	}
	if err == nil {
		_, err = transfer.ExportAll(ctx, from, file, func(string, transfer.Counts) {})
	}
	if err == nil {
		_, err = transfer.Import(ctx, st, bytes.NewReader(file.Bytes()), transfer.Refuse, func(string, transfer.Counts) {})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// digests are those of the rooms and users of the rows.
func digests(t *testing.T, st *store.Store, rows *store.Rows) (map[chat.RoomID]store.Digest, map[chat.UserID]store.Digest) {
	t.Helper()
	var slots []chat.Slot
	for _, k := range rows.Keys() {
		slots = append(slots, k.Slot())
	}
	slices.Sort(slots)
	var d store.Digests
	for _, slot := range slices.Compact(slots) {
		var after store.RowKey
		for {
			page, next, err := st.Shards()[st.ShardOf(slot)].SlotRows(ctx, slot, after, 37, 0)
			if err == nil {
				err = d.Add(page)
			}
			if err != nil {
				t.Fatal(err)
			}
			if next == (store.RowKey{}) {
				break
			}
			after = next
		}
	}
	return d.Rooms(), d.Users()
}

// TestRoundTrip moves rooms from SQLite to MariaDB, on to PostgreSQL and back, each
// with another number of shards: the digest of every room and user stays, and so does
// every byte of the export.
func TestRoundTrip(t *testing.T) {
	rows := rooms()
	at := onSQLite(t, 2)
	fill(t, at, rows)
	wantRooms, wantUsers := digests(t, at, rows)
	if len(wantRooms) != len(rows.Rooms) {
		t.Fatalf("%d rooms", len(wantRooms))
	}
	var first []byte
	for _, next := range []struct {
		name string
		open func() *store.Store
	}{
		{"MariaDB", func() *store.Store { return onMariaDB(t, 3) }},
		{"PostgreSQL", func() *store.Store { return onPostgreSQL(t, 2) }},
		{"MariaDB again", func() *store.Store { return onMariaDB(t, 1) }},
		{"SQLite", func() *store.Store { return onSQLite(t, 1) }},
	} {
		var file bytes.Buffer
		if _, err := transfer.ExportAll(ctx, at, &file, func(string, transfer.Counts) {}); err != nil {
			t.Fatalf("before %s: %v", next.name, err)
		}
		lines := file.Bytes()[bytes.IndexByte(file.Bytes(), '\n')+1 : bytes.LastIndex(file.Bytes(), []byte(`{"type":"end"`))]
		if first == nil {
			first = lines
		} else if !bytes.Equal(lines, first) {
			t.Errorf("before %s the export is another than at first", next.name)
		}
		at = next.open()
		for _, want := range []int64{int64(bytes.Count(lines, []byte("\n"))), 0} { // the second time nothing
			r, err := transfer.Import(ctx, at, bytes.NewReader(file.Bytes()), transfer.Refuse, func(string, transfer.Counts) {})
			if err != nil || r.Written != want {
				t.Fatalf("%s: %+v %v, want %d rows", next.name, r, err, want)
			}
		}
		gotRooms, gotUsers := digests(t, at, rows)
		if !reflect.DeepEqual(gotRooms, wantRooms) || !reflect.DeepEqual(gotUsers, wantUsers) {
			t.Errorf("%s: digests differ", next.name)
		}
		if lines, err := at.Check(ctx); err != nil || len(lines) > 0 {
			t.Errorf("%s: %q %v", next.name, lines, err)
		}
	}
}
