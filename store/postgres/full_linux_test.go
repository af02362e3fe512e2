package postgres

import (
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/store/sqldb"
)

// The server's process may make no file larger than that, as on a disk with no more
// space: it is more than the files of the log have, and ends within a page.
const fullAt = 17<<20 + 100

func TestDiskFull(t *testing.T) {
	server := testdb.Start(t, testdb.Postgres)
	s := open(t, sqldb.Options{Name: "main", DSN: server.Database(), Node: "one"})
	w := newWriter(t, s)
	must(t, w.post(ctx))
	var pid int64
	must(t, s.lane.Ask(ctx, sqldb.Question{Text: "SELECT pg_backend_pid()::bigint", Row: func(r sqldb.Scanner) error { return r.Scan(&pid) }}))
	limit := func(bytes string) { server.Run("prlimit", "--pid", strconv.FormatInt(pid, 10), "--fsize="+bytes+":") }
	limit(strconv.Itoa(fullAt))

	seq := chat.Seq(0)
	large := func() error { // about a megabyte
		ch := store.Changes{Rooms: []chat.Room{{ID: "large", LastSeq: seq + 100, Rev: chat.Rev(seq + 100)}}}
		for i := range chat.Seq(100) {
			body := make([]byte, 5000)
			_, _ = rand.Read(body) // never fails
			ch.Insert = append(ch.Insert, chat.Message{Room: "large", Seq: seq + i + 1, Rev: chat.Rev(seq + i + 1), Created: chat.Rev(seq + i + 1),
				User: "ann", Text: hex.EncodeToString(body)})
		}
		err := s.Commit(ctx, 0, w.at, &ch)
		if err == nil {
			w.at = w.at.Next()
			seq += 100
		}
		return err
	}
	var err error
	for n := 0; err == nil && n < 40; n++ {
		err = large()
	}
	wantKind(t, err, chat.ReadOnly)
	if sqlState(err) != diskFull {
		t.Errorf("the error is %v", err)
	}
	if seq == 0 {
		t.Error("it was full at once")
	}
	w.room = "small"
	w.n = 0
	must(t, w.post(ctx)) // nothing was written, so that the position stands, and small ones fit
	limit("unlimited")
	must(t, large())
	room, err := s.Room(ctx, "large")
	must(t, err)
	if room.LastSeq != seq {
		t.Errorf("the room has %d messages, want %d", room.LastSeq, seq)
	}
	w.whole()
}
