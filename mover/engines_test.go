package mover_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/store/mysql"
	"github.com/roomtide/roomtide/store/postgres"
	"github.com/roomtide/roomtide/store/sqldb"
	"github.com/roomtide/roomtide/store/sqlite"
)

// engines are the names of the shards of a world over three engines.
var engines = []string{"sqlite", "mariadb", "postgresql"}

// overEngines has the world open a shard of each engine, the same ones each time. The
// first owns everything at first.
func overEngines(t *testing.T, w *world) {
	maria, pg := testdb.MariaDB(t), testdb.PostgreSQL(t)
	options := func(name, dsn string) sqldb.Options {
		return sqldb.Options{Name: name, DSN: dsn, Prefix: "rt_", MaxConns: 6, ConnectTimeout: 20 * time.Second, Node: "n", Deployment: "d", Log: slog.New(slog.DiscardHandler)}
	}
	w.via = func() *store.Store {
		ctx := context.Background()
		fail := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		control, err := sqlite.OpenControl(ctx, filepath.Join(w.dir, "control.db"), slog.New(slog.DiscardHandler))
		fail(err)
		a, err := sqlite.Open(ctx, filepath.Join(w.dir, "shard.db"), slog.New(slog.DiscardHandler))
		fail(err)
		b, err := mysql.Open(ctx, options("mariadb", maria), true)
		fail(err)
		c, err := postgres.Open(ctx, options("postgresql", pg), true)
		fail(err)
		m, err := control.Map(ctx)
		if chat.KindOf(err) == chat.NotFound {
			m = &store.Map{Version: 1, Shards: engines}
			err = control.SaveMap(ctx, m)
		}
		fail(err)
		st, err := store.New(m, []store.Driver{a, b, c}, control, nil)
		fail(err)
		return st
	}
}

// The model over a database of each engine. Not parallel: it sets a flag.
func TestModelOverEngines(t *testing.T) {
	p := &pair{moving: newWorld(t, 3), still: newWorld(t, 1)}
	overEngines(t, p.moving)
	p.open()
	few := flag.Lookup("rapid.checks").Value.String()
	flag.Set("rapid.checks", "12")
	defer flag.Set("rapid.checks", few)
	rapid.Check(t, func(t *rapid.T) {
		p.begin()
		t.Repeat(p.actions(t))
		p.end(t)
	})
	t.Logf("%d moves were done, %d aborted, in %d runs", p.moved, p.aborted, p.run)
	if p.moved == 0 {
		t.Error("nothing was moved")
	}
}

// A town goes from SQLite to MariaDB, on to PostgreSQL and back to SQLite, while its
// people write: each time with every row as it was.
func TestAroundTheEngines(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3)
	overEngines(t, w)
	w.open()
	const rooms, each = 6, 60
	var ids []chat.RoomID
	for i := range rooms {
		ids = append(ids, chat.RoomID(fmt.Sprint("Straße ", i)))
		w.must(&change.SetRoom{Room: ids[i], Server: true, Create: &change.RoomSpec{Open: true, Title: "Ünï 👩‍👩‍👧"}})
		w.must(&change.Join{Room: ids[i], User: "anna"})
		w.must(&change.Join{Room: ids[i], User: "Anna"}) // another user, on every engine
		w.many(40, func(n int) change.Change {
			return &change.Send{Room: ids[i], User: "Anna", Draft: chat.Draft{Key: fmt.Sprint(n), Text: "text 𝒳 \x00 e\u0301", Data: []byte(`{"a": [1, 2.50, "ü"]}`)}}
		})
		w.must(&change.React{Room: ids[i], Seq: 3, User: "anna", Emoji: "❤️", On: true})
		w.must(&change.Edit{Room: ids[i], Seq: 4, User: "Anna", Text: ""})
		w.must(&change.Delete{Room: ids[i], Seq: 5, User: "Anna"})
	}
	slots := slotsOf(ids...)
	slots.Add(chat.UserID("anna").Slot())
	slots.Add(chat.UserID("Anna").Slot())
	before := map[string]*store.Rows{}
	for at, name := range []string{"mariadb", "postgresql", "sqlite"} {
		from := []string{"sqlite", "mariadb", "postgresql"}[at]
		var wg sync.WaitGroup
		for i, room := range ids {
			wg.Go(func() {
				for n := range each {
					_, err := w.lanes.Do(context.Background(), send(room, "anna", fmt.Sprint(name, n), fmt.Sprint(i)))
					if err != nil {
						t.Errorf("on the way to %s: %v", name, err)
						return
					}
				}
			})
		}
		s := w.move(slots, name)
		wg.Wait()
		before[name] = w.rows(name, slots)
		if left := w.rows(from, slots); left.Len() > 0 {
			t.Errorf("%s has %d rows left", from, left.Len())
		}
		t.Logf("to %s: %d rows, held back for %d ms", name, s.Rows, s.HeldFor)
		w.whole()
	}
	last := before["sqlite"]
	if want := rooms * (40 + 3*each); len(last.Messages) != want {
		t.Errorf("%d messages came back, not %d", len(last.Messages), want)
	}
	// What did not change on the way is the same as it was elsewhere.
	for i := range before["mariadb"].Messages {
		m := &before["mariadb"].Messages[i]
		found := false
		for k := range last.Messages {
			if last.Messages[k].Room == m.Room && last.Messages[k].Seq == m.Seq {
				found = reflect.DeepEqual(&last.Messages[k], m)
			}
		}
		if !found {
			t.Fatalf("message %d of %s is not as it was in MariaDB", m.Seq, m.Room)
		}
	}
}
