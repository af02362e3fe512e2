package engines

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/internal/faultproxy"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/store/mysql"
	"github.com/roomtide/roomtide/store/postgres"
	"github.com/roomtide/roomtide/store/sqldb"
	"github.com/roomtide/roomtide/store/sqlite"
)

type nobody struct{}

func (nobody) Online(context.Context, chat.RoomID, int) (chat.Online, error) {
	return chat.Online{}, nil
}

// deployment is an engine on two shards, the first of which is behind a proxy.
type deployment struct {
	*engine.Engine
	t     *testing.T
	proxy *faultproxy.Proxy
	store *store.Store
	late  atomic.Int64 // calls of AfterLate
}

func newDeployment(t *testing.T, e testdb.Engine) *deployment {
	d := &deployment{t: t}
	var drivers []store.Driver
	for i := range 2 {
		u, err := url.Parse(testdb.Database(t, e))
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			d.proxy = faultproxy.Start(t, u.Host)
			u.Host = d.proxy.Addr()
		}
		o := sqldb.Options{Name: fmt.Sprint("s", i), DSN: u.String(), Node: "n1", Shared: true}
		var driver store.Driver
		if e == testdb.Maria {
			driver, err = mysql.Open(ctx, o, true)
		} else {
			driver, err = postgres.Open(ctx, o, true)
		}
		if err != nil {
			t.Fatal(err)
		}
		drivers = append(drivers, driver)
	}
	control, err := sqlite.OpenControl(ctx, filepath.Join(t.TempDir(), "control.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	d.store, err = store.New(store.NewMap([]string{"s0", "s1"}), drivers, control, nil)
	if err != nil {
		t.Fatal(err)
	}
	d.store.Bound(store.Bounds{Call: 200 * time.Millisecond, Settle: 200 * time.Millisecond})
	lanes, err := lane.Open(ctx, lane.Config{Store: d.store, Publish: func(*bus.Batch) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	d.Engine = engine.New(engine.Config{
		Store: d.store, Lanes: lanes, Presence: nobody{}, Publish: func(*chat.Event) {}, UsersMakeRooms: true,
		Patience: 300 * time.Millisecond, AfterLate: func() { d.late.Add(1) },
	})
	t.Cleanup(func() {
		d.proxy.Release()
		lanes.Close()
		if err := d.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// in returns an id with the beginning whose slot is in the shard.
func (d *deployment) in(shard int, begin string) string {
	for i := 0; ; i++ {
		if id := fmt.Sprint(begin, i); d.store.ShardOf(chat.RoomID(id).Slot()) == shard {
			return id
		}
	}
}

func (d *deployment) send(a engine.Actor, room chat.RoomID, key string) (change.Reply, error) {
	return d.Do(ctx, a, &change.Send{Room: room, Draft: chat.Draft{Text: "x", Key: key}})
}

// A database that keeps its connections and answers nothing: all that is asked of its
// rooms and users is answered while it is silent, and says when to come back. Rooms of
// another one go on, and when it speaks again nothing was lost or done twice.
func TestSilentDatabase(t *testing.T) {
	for _, e := range testdb.Engines {
		t.Run(string(e), func(t *testing.T) {
			d := newDeployment(t, e)
			dead, alive := chat.RoomID(d.in(0, "room")), chat.RoomID(d.in(1, "room"))
			ann, bob := engine.Actor{User: chat.UserID(d.in(0, "ann"))}, engine.Actor{User: chat.UserID(d.in(1, "bob"))}
			for _, room := range []chat.RoomID{dead, alive} {
				for _, a := range []engine.Actor{ann, bob} {
					if _, err := d.Join(ctx, a, room, engine.JoinOptions{}); err != nil {
						t.Fatal(err)
					}
				}
			}
			if _, err := d.send(bob, dead, "k0"); err != nil {
				t.Fatal(err)
			}
			d.proxy.Hold()
			for _, c := range []struct {
				name string
				call func() error
			}{
				{"submit", func() error {
					done := make(chan error, 2)
					d.Submit(bob, &change.Send{Room: dead, Draft: chat.Draft{Text: "x", Key: "k1"}}, func(_ change.Reply, err error) { done <- err })
					return <-done
				}},
				{"do", func() error { _, err := d.send(bob, dead, "k1"); return err }},
				{"history", func() error { _, err := d.History(ctx, bob, dead, store.Page{}, engine.Around{}); return err }},
				{"join", func() error { _, err := d.Join(ctx, bob, dead, engine.JoinOptions{}); return err }},
				{"read", func() error { _, err := d.Read(ctx, bob, dead, 1); return err }},
				{"typing", func() error { return d.Typing(ctx, bob, dead, true) }},
				{"members", func() error { _, err := d.Members(ctx, bob, dead, chat.RoleNone, "", 10); return err }},
				{"rooms", func() error { _, err := d.Rooms(ctx, ann, engine.RoomsOptions{}); return err }},
				{"access", func() error { _, err := d.Access(ctx, chat.UserID(d.in(0, "zoe"))); return err }},
			} {
				began := time.Now()
				err := c.call()
				var said *chat.Error
				if !errors.As(err, &said) || said.Kind != chat.Unavailable || said.RetryAfter <= 0 {
					t.Errorf("%s: %#v", c.name, err)
				}
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("%s took %v", c.name, took)
				}
			}
			if d.late.Load() == 0 {
				t.Error("no answer came from patience that has ended")
			}
			for i := range 5 {
				if _, err := d.send(bob, alive, fmt.Sprint("k", i)); err != nil {
					t.Errorf("to another database: %v", err)
				}
			}
			d.proxy.Release()
			d.recovers(bob, dead)
		})
	}
}

// recovers sends until the database has taken the message with the key k1, and then looks
// for it: once, and nothing else.
func (d *deployment) recovers(a engine.Actor, room chat.RoomID) {
	d.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		r, err := d.send(a, room, "k1")
		if err == nil && r.Seq != 2 {
			d.t.Errorf("the message has the number %d", r.Seq)
		}
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			d.t.Fatal(err)
		}
	}
	h, err := d.History(ctx, a, room, store.Page{}, engine.Around{})
	if err != nil || len(h.Messages) != 2 {
		d.t.Errorf("%+v, %v", h, err)
	}
}
