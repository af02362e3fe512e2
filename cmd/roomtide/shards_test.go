package main

import (
	"strings"
	"testing"

	"github.com/roomtide/roomtide/mover"
	"github.com/roomtide/roomtide/store"
)

func TestMovesInWords(t *testing.T) {
	for want, s := range map[string]mover.Status{
		"move 3  a -> b  copying  1,500 of about 4,000 rows, 2.0 MiB, 1,000 rows/s, 3s left, lag 7": {
			ID: 3, From: "a", To: "b", Phase: store.MoveCopying, Rows: 1500, Total: 4000, Bytes: 2 << 20, PerSecond: 1000, Left: 3, Lag: 7},
		"move 3  a -> b  done  4,000 rows, 3 KiB, in 2.5s; changes waited for 12 ms": {
			ID: 3, From: "a", To: "b", Phase: store.MoveDone, Rows: 4000, Bytes: 3000, Started: 1000, Ended: 3500, HeldFor: 12},
		"move 1  a -> b  verifying  5 of 9 rows compared, PAUSED: the disk is full": {
			ID: 1, From: "a", To: "b", Phase: store.MoveVerifying, Rows: 9, Compared: 5, Paused: true, Error: "the disk is full"},
	} {
		if got := describe(&s); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := short("0-1,3-4,6-7,9-10,12-13,15-16,18-19,21-22,24-25"); got != "0-1,3-4,6-7,9-10,12-13,15-16,18-19,…" {
		t.Error(got)
	}
}

func TestShardsOfNoNode(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		args, says string
		code       int
	}{
		{"shards --data-dir=" + dir, "is it running", 1},
		{"shards status --data-dir=" + dir, "is it running", 1},
		{"shards move --to b --yes --data-dir=" + dir, "what shall be moved", 2},
		{"shards move --slots 5000 --to b --yes --data-dir=" + dir, "0-99,200", 2},
		{"shards move --slots 5 --to b --yes --data-dir=" + dir, "is it running", 1},
		{"shards move --slots 5", "--to", 2},
		{"shards --url=nowhere", "--url must be like", 2},
		{"shards --url=http://127.0.0.1:1", "scope admin", 2},
		{"shards pause --url=http://127.0.0.1:1 --key=x", "does not answer", 1},
	} {
		_, stderr, code := roomtide(t, "", strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(stderr, c.says) {
			t.Errorf("%s: exit code %d, said %q", c.args, code, stderr)
		}
	}
	if _, stderr, code := roomtide(t, "n\n", "shards", "move", "--slots=5", "--to=b", "--data-dir="+dir); code != 2 || !strings.Contains(stderr, "nothing was done") {
		t.Errorf("the answer no: %d, %q", code, stderr)
	}
}
