package postgres

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

// open opens a shard and closes it when the test ends.
func open(t testing.TB, o sqldb.Options) *Shard {
	t.Helper()
	s, err := Open(context.Background(), o, true)
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

func suite(t *testing.T, params string) {
	opened := map[store.Driver]sqldb.Options{}
	storetest.Run(t, storetest.Harness{
		Open: func(t *testing.T) store.Driver {
			o := sqldb.Options{Name: "main", DSN: testdb.PostgreSQL(t) + params, Node: "one"}
			s := open(t, o)
			opened[s] = o
			return s
		},
		Reopen: func(t *testing.T, d store.Driver) store.Driver {
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			return open(t, opened[d])
		},
	})
}

func TestSuite(t *testing.T) { suite(t, "") }

func TestControlSuite(t *testing.T) {
	storetest.RunControl(t, func(t *testing.T) store.Control {
		c, err := OpenControl(context.Background(), sqldb.Options{Name: "control", DSN: testdb.PostgreSQL(t)}, true)
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
