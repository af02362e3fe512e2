//go:build unix

package sqlite

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/roomtide/roomtide/store"
)

// A part is a change to what a commit of messages does.
type part struct {
	name     string
	keyless  bool // messages without a key
	strip    func(*store.Changes)
	load     bool   // look the keys up first, as a lane does
	pageSize int    // of the file, if not the usual one
	script   string // run on the writing connection
}

var parts = []part{
	{name: "whole"}, // the others are compared with it
	{name: "with-load", load: true},
	{name: "no-keys", keyless: true},
	{name: "no-key-index", script: "DROP INDEX messages_key"},
	{name: "no-room-rows", strip: func(ch *store.Changes) { ch.Rooms = nil }},
	{name: "no-outbox", strip: func(ch *store.Changes) { ch.Outbox = nil }},
	{name: "no-messages", strip: func(ch *store.Changes) { ch.Insert = nil }},
	{name: "no-sync", script: "PRAGMA synchronous = OFF"},
	{name: "checkpoint-1000", script: "PRAGMA wal_autocheckpoint = 1000"},
	{name: "cache-32M", script: "PRAGMA cache_size = -32000"},
	{name: "pages-2K", pageSize: 2048, script: "PRAGMA wal_autocheckpoint = 32000"},
	{name: "pages-4K", pageSize: 4096, script: "PRAGMA wal_autocheckpoint = 16000"},
	{name: "pages-16K", pageSize: 16384, script: "PRAGMA wal_autocheckpoint = 4000"},
}

// BenchmarkCommitParts measures the CPU time of a message in Commit, user and
// system together, and how much of it is left with a part of the work switched
// off or changed. All variants run in turns, in a new order each time, and the
// median of each is reported, since the machine's speed varies more than most
// parts cost. (decision 10)
func BenchmarkCommitParts(b *testing.B) {
	for _, size := range []int{16, 64, 256} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			writers := make([]*benchWriter, len(parts))
			for i := range parts {
				writers[i] = parts[i].writer(b)
			}
			spent := make([][]float64, len(parts)) // us a message, in order of time
			for b.Loop() {
				for _, i := range rand.Perm(len(parts)) {
					const messages = 1024
					start := processTime(b)
					for range messages / size {
						writers[i].commit(b, size)
					}
					spent[i] = append(spent[i], float64((processTime(b)-start).Nanoseconds())/1e3/messages)
				}
			}
			b.ReportMetric(0, "ns/op")
			whole := median(spent[0])
			b.ReportMetric(whole, "us/message")
			for i := range parts[1:] {
				b.ReportMetric(median(spent[i+1])/whole, parts[i+1].name)
			}
		})
	}
}

// writer opens a shard that holds some thousand messages.
func (p *part) writer(b *testing.B) *benchWriter {
	path := filepath.Join(b.TempDir(), p.name+".db")
	if p.pageSize != 0 {
		setPageSize(b, path, p.pageSize)
	}
	s := open(b, path)
	w := newBenchWriter(b, s, 50, !p.keyless)
	for range 20 {
		w.commit(b, 512)
	}
	if p.script != "" {
		must(b, s.db.inTurn(ctx, func(w *writer) error {
			_, err := w.exec(p.script)
			return err
		}))
	}
	w.strip, w.load = p.strip, p.load
	return w
}

// setPageSize makes a file of another page size, which it keeps.
func setPageSize(b *testing.B, path string, size int) {
	must(b, makePrivate(path))
	db, err := sql.Open("sqlite", path)
	must(b, err)
	_, err = db.Exec(fmt.Sprintf("PRAGMA page_size = %d; VACUUM", size))
	must(b, err)
	must(b, db.Close())
}

func median(xs []float64) float64 {
	xs = slices.Sorted(slices.Values(xs))
	return xs[len(xs)/2]
}

// processTime returns the CPU time that the process has used.
func processTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
