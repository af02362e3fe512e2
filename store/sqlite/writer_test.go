package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// onWriter runs statements on the shard's writing connection.
func onWriter(t *testing.T, s *Shard, text string) {
	t.Helper()
	must(t, s.db.inTurn(ctx, func(w *writer) error {
		_, err := w.exec(text)
		return err
	}))
}

// TestWriterReads reads one value of each type into each destination.
func TestWriterReads(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "x.db"))
	read := func(value string, dest ...any) error {
		return s.db.inTurn(ctx, func(w *writer) error {
			return w.row("SELECT "+value, func(r scanner) error { return r.Scan(dest...) })
		})
	}
	var (
		wide   int64
		narrow int
		yes    bool
		role   chat.Role
		text   string
		data   []byte
	)
	must(t, read("-5, 7, 1, 2, 'é', x'00ff'", &wide, &narrow, &yes, &role, &text, &data))
	if wide != -5 || narrow != 7 || !yes || role != 2 || text != "é" || string(data) != "\x00\xff" {
		t.Error(wide, narrow, yes, role, text, data)
	}
	must(t, read("NULL", &data))
	if data != nil {
		t.Errorf("NULL is %v", data)
	}
	for value, dest := range map[string]any{"1": &text, "'1'": &wide, "NULL": &wide, "x'31'": &text, "1.5": &wide} {
		if read(value, dest) == nil {
			t.Errorf("%s fits %T", value, dest)
		}
	}
	if read("1, 2", &wide) == nil {
		t.Error("two columns fit one destination")
	}
	if err := read("1 WHERE false", &wide); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("no row: %v", err)
	}
}

// TestWriterArguments refuses what the driver does not know, and changes
// nothing then.
func TestWriterArguments(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "x.db"))
	hello(t, s, "r")
	err := s.db.write(ctx, "test", func(w *writer) error {
		if _, err := w.exec("DELETE FROM rooms"); err != nil {
			return err
		}
		_, err := w.exec("DELETE FROM messages WHERE room_id = ?", chat.RoomID("r"))
		return err
	})
	if chat.KindOf(err) != chat.Internal {
		t.Errorf("an argument of a named type: %v", err)
	}
	if _, err := s.Room(ctx, "r"); err != nil {
		t.Errorf("the transaction that failed is there: %v", err)
	}
}

// TestWriterTurn waits for a turn that is taken, and gives up with the context.
func TestWriterTurn(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "x.db"))
	hello(t, s, "r")
	short, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	must(t, s.db.inTurn(ctx, func(*writer) error {
		go func() {
			_, err := s.Load(short, &store.Need{Rooms: []chat.RoomID{"r"}})
			done <- err
		}()
		cancel()
		if err := <-done; chat.KindOf(err) != chat.Unavailable {
			t.Errorf("a turn that never came: %v", err)
		}
		return nil
	}))
	if _, err := s.Load(short, &store.Need{Rooms: []chat.RoomID{"r"}}); chat.KindOf(err) != chat.Unavailable {
		t.Errorf("a context that had ended: %v", err)
	}
	if _, err := s.Load(ctx, &store.Need{Rooms: []chat.RoomID{"r"}}); err != nil {
		t.Error(err)
	}
}

// TestWriterReplaced loses the connection in a transaction: what it wrote is
// gone, and the next turn has another connection.
func TestWriterReplaced(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "x.db"))
	hello(t, s, "r")
	lost := errors.New("lost")
	err := s.db.write(ctx, "test", func(w *writer) error {
		if _, err := w.exec("DELETE FROM rooms"); err != nil {
			return err
		}
		return errors.Join(lost, w.close())
	})
	if !errors.Is(err, lost) {
		t.Fatal(err)
	}
	at, err := s.Acquire(ctx, 0)
	must(t, err)
	must(t, s.Commit(ctx, 0, at, &store.Changes{}))
	if st, err := s.Load(ctx, &store.Need{Rooms: []chat.RoomID{"r"}}); err != nil || len(st.Rooms) != 1 {
		t.Errorf("%v %v", st, err)
	}
}

// TestWriterPanic leaves no transaction open and gives the turn back.
func TestWriterPanic(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "x.db"))
	hello(t, s, "r")
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = s.db.write(ctx, "test", func(w *writer) error {
			if _, err := w.exec("DELETE FROM rooms"); err != nil {
				return err
			}
			panic("a bug")
		})
	}()
	if st, err := s.Load(ctx, &store.Need{Rooms: []chat.RoomID{"r"}}); err != nil || len(st.Rooms) != 1 {
		t.Errorf("%v %v", st, err)
	}
}

// TestWriterCloses leaves one file: no statement keeps the connection, and with
// it the write-ahead log, open.
func TestWriterCloses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	s, err := Open(ctx, path, quiet)
	must(t, err)
	hello(t, s, "r")
	_, err = s.Load(ctx, &store.Need{Rooms: []chat.RoomID{"r"}})
	must(t, err)
	must(t, s.Close())
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the write-ahead log after closing: %v", err)
	}
}
