//go:build linux

package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/internal/testdisk"
	"github.com/roomtide/roomtide/internal/testprocess"
)

// On a full disk writing is answered with read_only, no acknowledged message is lost and
// reading goes on. When there is space again the node recovers without a restart.
func TestDiskFull(t *testing.T) {
	dir, ok := testdisk.Small(t, 12)
	if !ok {
		return // the process with a namespace of its own has run it
	}
	n := program.Start(t, filepath.Join(dir, "data"), testprocess.FreeAddr(t))
	n.Ready()
	user1 := user(t, n, "user1")
	join(t, user1, "room1")
	shop := newBackEnd(t, n, filepath.Join(dir, "data"))
	if a := shop.post("room1", "first", "while there is space"); a.Seq != 1 {
		t.Fatalf("%+v", a)
	}
	wantMessage(t, user1, 1, "shop", "while there is space")

	filler := testdisk.Fill(t, dir)
	stored := chat.Seq(1)
	long := strings.Repeat("x", 4000)
	var refused answer
	for refused.Status = http.StatusCreated; refused.Status == http.StatusCreated; {
		if stored > 2000 {
			t.Fatal("a full disk takes everything")
		}
		if refused = shop.post("room1", "", long); refused.Status == http.StatusCreated {
			stored++ // free pages inside the files
		}
	}
	if refused.Status != http.StatusInsufficientStorage || refused.Code != "read_only" {
		t.Fatalf("when the disk is full: %+v", refused)
	}
	if status, r := readiness(t, n, shop.key); status != http.StatusOK || r.Status != "degraded" || len(r.Degraded) == 0 { // it reads
		t.Errorf("readyz: %d %+v", status, r)
	}
	if status := n.WaitStatus("/healthz", http.StatusOK); status != http.StatusOK {
		t.Errorf("healthz says %d", status)
	}
	if a := shop.get("/v1/rooms/room1/messages?limit=1"); a.Status != http.StatusOK || len(a.Messages) != 1 || a.Messages[0].Seq != stored {
		t.Errorf("reading from a full disk: %+v", a)
	}
	late := user(t, n, "user1") // a member can still connect and join
	join(t, late, "room1")

	// A message that a user sends now stays in the client until it can be stored.
	outcome := make(chan error, 1)
	user1.SendAsync("room1", chat.Draft{Text: "sent to a full disk"}, func(s client.Sent, err error) {
		if err == nil && s.Seq != stored+1 {
			t.Errorf("stored as %d, want %d", s.Seq, stored+1)
		}
		outcome <- err
	})
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-outcome:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("there is space again, and the message is not stored")
	}
	n.Ready()
	if a := shop.post("room1", "last", "there is space again"); a.Status != http.StatusCreated || a.Seq != stored+2 {
		t.Errorf("%+v", a)
	}
	if code := n.Terminate(10 * time.Second); code != 0 {
		t.Errorf("the node ended with %d", code)
	}
	if out, errs, err := program.Run(testContext(t), "check", "--data-dir", filepath.Join(dir, "data")); err != nil {
		t.Errorf("the offline check: %v\n%s%s", err, out, errs)
	}
}

// A small disk holds nearly as much as its size in messages: the write-ahead logs do
// not take it all.
func TestSmallDisk(t *testing.T) {
	dir, ok := testdisk.Small(t, 12)
	if !ok {
		return // the process with a namespace of its own has run it
	}
	n := program.Start(t, filepath.Join(dir, "data"), testprocess.FreeAddr(t))
	n.Ready()
	join(t, user(t, n, "user1"), "room1")
	shop := newBackEnd(t, n, filepath.Join(dir, "data"))
	const messages = 800 // of 4 KB, on 12 MB
	for i := range messages {
		if a := shop.post("room1", "", strings.Repeat("x", 4000)); a.Status != http.StatusCreated {
			t.Fatalf("message %d: %+v", i+1, a)
		}
	}
}
