package engines

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/store/mysql"
	"github.com/roomtide/roomtide/store/postgres"
	"github.com/roomtide/roomtide/store/sqldb"
	"github.com/roomtide/roomtide/store/sqlite"
)

// A control database goes from engine to engine and is the same in each: also if a copy ends
// before the map, and is made again when the source has changed meanwhile.
func TestControlIsCopied(t *testing.T) {
	file, err := sqlite.OpenControl(ctx, filepath.Join(t.TempDir(), sqlite.ControlFile), slog.New(slog.DiscardHandler))
	controls := []store.Control{must(t, file, err)}
	m, err := mysql.OpenControl(ctx, sqldb.Options{Name: "m", DSN: testdb.MariaDB(t)}, true)
	controls = append(controls, must(t, m, err))
	p, err := postgres.OpenControl(ctx, sqldb.Options{Name: "p", DSN: testdb.PostgreSQL(t)}, true)
	controls = append(controls, must(t, p, err))
	back, err := sqlite.OpenControl(ctx, filepath.Join(t.TempDir(), sqlite.ControlFile), slog.New(slog.DiscardHandler))
	controls = append(controls, must(t, back, err))
	fillControl(t, controls[0])
	for i, from := range controls[:len(controls)-1] {
		to := controls[i+1]
		if _, err := to.Deployment(ctx); err != nil { // a first start that was refused has left an id
			t.Fatal(err)
		}
		end := errors.New("the end of the program")
		if err := store.CopyControl(ctx, from, endsBeforeFound{to, end}); !errors.Is(err, end) {
			t.Fatal(err)
		}
		if _, err := to.Map(ctx); chat.KindOf(err) != chat.NotFound {
			t.Fatalf("%T counts already: %v", to, err)
		}
		if err := from.DropRecords(ctx, "webhook", "1"); err != nil {
			t.Fatal(err)
		}
		if err := from.SaveRecords(ctx, "webhook", store.Record{ID: "1 ", Body: []byte{0, 255, byte(i)}}); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time everything is there
			if err := store.CopyControl(ctx, from, to); err != nil {
				t.Fatalf("from %T to %T: %v", from, to, err)
			}
		}
		if err := from.SaveKey(ctx, store.APIKey{ID: "new", Created: 99}); err != nil {
			t.Fatal(err)
		}
		if err := store.CopyControl(ctx, from, to); chat.KindOf(err) != chat.Conflict {
			t.Fatalf("from %T to %T, which is an older one: %v", from, to, err)
		}
	}
}

func must(t *testing.T, c store.Control, err error) store.Control {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func fillControl(t *testing.T, c store.Control) {
	t.Helper()
	m := store.NewMap([]string{"a", "b"})
	errs := []error{c.SaveMap(ctx, m)}
	m.Version, m.Owner[9], m.Base = 2, 1, 1<<40
	_, err := c.Deployment(ctx)
	errs = append(errs, err, c.SaveMap(ctx, m), c.RaiseLevel(ctx, store.Level{Number: 3, Version: "v1"}),
		c.SaveKey(ctx, store.APIKey{ID: "z", Hash: []byte{0, 255}, Name: "the \"shop\"", Scopes: []string{"send"}, Created: 5}),
		c.SaveKey(ctx, store.APIKey{ID: "a", Hash: []byte{1}, Created: 5, Revoked: 7}),
		c.SaveMove(ctx, store.MoveRow{ID: 1, Body: []byte("{}")}, nil),
		c.SaveAdoption(ctx, store.Adoption{Generation: 1, Source: "shop", State: store.AdoptionCopying, Changed: 9}),
		c.SaveAdoption(ctx, store.Adoption{Generation: 2, Source: "shop", State: store.AdoptionFollowing, Changed: 10}),
		c.SaveRecords(ctx, "webhook", store.Record{ID: "1", Body: []byte("x")}), c.SaveRecords(ctx, "WEBHOOK", store.Record{ID: "1", Body: []byte("y")}))
	for i := range 250 { // more than a page
		errs = append(errs, c.SaveRecords(ctx, "dead", store.Record{ID: string(rune('a'+i%26)) + string(rune('0'+i/26)), Body: []byte{byte(i)}}))
	}
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// endsBeforeFound is a control database whose program ends before the copy is in force.
type endsBeforeFound struct {
	store.Control
	end error
}

func (c endsBeforeFound) Found(context.Context, store.Founding) error { return c.end }
