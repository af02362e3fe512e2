package postgres

import (
	"context"
	"fmt"
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

// suite runs the suite in one database, each check with tables of its own.
func suite(t *testing.T, dsn string) {
	opened := map[store.Driver]sqldb.Options{}
	storetest.Run(t, storetest.Harness{
		Open: func(t *testing.T) store.Driver {
			o := sqldb.Options{Name: "main", DSN: dsn, Prefix: fmt.Sprintf("t%d_", len(opened)), Node: "one"}
			s := open(t, o)
			opened[s] = o
			return s
		},
		Reopen: func(t *testing.T, d store.Driver) store.Driver {
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			again := open(t, opened[d])
			opened[again] = opened[d]
			return again
		},
	})
}

func TestSuite(t *testing.T) { suite(t, testdb.PostgreSQL(t)) }

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
