package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testprocess"
)

// A database server that is full takes no more messages of its rooms, and says so; other
// shards go on. When there is space again it goes on without a restart, and nothing that
// was acknowledged is lost.
func TestDatabaseFull(t *testing.T) {
	const file = "innodb-data-file-path=ibdata1:12M:autoextend:max:"
	server := testdb.Start(t, testdb.Maria, "innodb-file-per-table=0", file+"40M")
	dsn := server.Database()
	dir := t.TempDir()
	n := program.StartWith(t, dir, testprocess.FreeAddr(t), []string{"--shard", dsn, "--shard", "sqlite:two.db", "--control", "sqlite:control.db"})
	n.Ready()
	shop := newBackEnd(t, n, dir)
	rooms := roomsOf() // the first is on the server that is full
	ann := user(t, n, "ann")
	for _, r := range rooms {
		join(t, ann, r)
	}
	if a := shop.post(string(rooms[0]), "", "while there is space"); a.Status != http.StatusCreated {
		t.Fatalf("%+v", a)
	}
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	db := administrator(t, testdb.Maria, server.Admin(), strings.TrimPrefix(u.Path, "/"))
	if _, err := db.Exec("CREATE TABLE filler (id int PRIMARY KEY AUTO_INCREMENT, body longblob) ENGINE = InnoDB"); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = db.Exec("INSERT INTO filler (body) VALUES (repeat('x', 1 << 20))")
	}

	stored := chat.Seq(1)
	long := strings.Repeat("x", 4000)
	var refused answer
	for refused.Status = http.StatusCreated; refused.Status == http.StatusCreated; {
		if stored > 5000 {
			t.Fatal("a full database takes everything")
		}
		if refused = shop.post(string(rooms[0]), "", long); refused.Status == http.StatusCreated {
			stored++ // free pages
		}
	}
	if refused.Status != http.StatusInsufficientStorage || refused.Code != "read_only" {
		t.Fatalf("when the database is full: %+v", refused)
	}
	if a := shop.post(string(rooms[1]), "", "x"); a.Status != http.StatusCreated {
		t.Errorf("to the other shard: %+v", a)
	}
	if status, r := readiness(t, n, shop.key); status != http.StatusOK || r.Status != "degraded" || len(r.Degraded) != 1 {
		t.Errorf("readyz: %d %+v", status, r)
	}
	if a := shop.get(fmt.Sprintf("/v1/rooms/%s/messages?limit=1", rooms[0])); a.Status != http.StatusOK || len(a.Messages) != 1 || a.Messages[0].Seq != stored {
		t.Errorf("reading from a full database: %+v", a)
	}

	// A message that a user sends now stays in the client until it can be stored.
	outcome := make(chan error, 1)
	ann.SendAsync(rooms[0], chat.Draft{Text: "sent to a full database"}, func(s client.Sent, err error) {
		if err == nil && s.Seq != stored+1 {
			t.Errorf("stored as %d, want %d", s.Seq, stored+1)
		}
		outcome <- err
	})
	server.Restart(file + "200M")
	select {
	case err := <-outcome:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("there is space again, and the message is not stored")
	}
	until(t, "all is well again", func() bool { _, r := readiness(t, n, ""); return r.Status == "ready" })
	if a := shop.post(string(rooms[0]), "", "there is space again"); a.Status != http.StatusCreated || a.Seq != stored+2 {
		t.Errorf("%+v", a)
	}
}
