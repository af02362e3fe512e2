package mysql

import (
	"context"
	"os"
	"testing"

	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/store/sqldb"
	"github.com/roomtide/roomtide/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

var ctx = context.Background()

// open opens the shard of an address and closes it when the test ends.
func open(t testing.TB, o sqldb.Options) *Shard {
	t.Helper()
	s, err := Open(ctx, o, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestSuite(t *testing.T) {
	storetest.Run(t, storetest.Harness{
		Open: func(t *testing.T) store.Driver {
			return open(t, sqldb.Options{Name: "shard", DSN: testdb.MariaDB(t), Node: "n1"})
		},
		Reopen: func(t *testing.T, d store.Driver) store.Driver {
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			return open(t, d.(*Shard).db.o)
		},
	})
}

func TestControlSuite(t *testing.T) {
	storetest.RunControl(t, func(t *testing.T) store.Control {
		c, err := OpenControl(ctx, sqldb.Options{Name: "control", DSN: testdb.MariaDB(t)}, true)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
		return c
	})
}
