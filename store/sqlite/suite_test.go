package sqlite

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/store/storetest"
)

var quiet = slog.New(slog.DiscardHandler)

// open opens a shard and closes it when the test ends.
func open(t testing.TB, path string) *Shard {
	t.Helper()
	s, err := Open(context.Background(), path, quiet)
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
		Open: func(t *testing.T) store.Driver { return open(t, filepath.Join(t.TempDir(), "shard #1?100%.db")) },
		Reopen: func(t *testing.T, d store.Driver) store.Driver {
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			return open(t, d.(*Shard).db.path)
		},
	})
}

func TestControlSuite(t *testing.T) {
	storetest.RunControl(t, func(t *testing.T) store.Control {
		c, err := OpenControl(context.Background(), filepath.Join(t.TempDir(), ControlFile), quiet)
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
