// Package ingesttest is the conformance suite of ingest.Source.
package ingesttest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/roomtide/roomtide/ingest"
)

// Queue is a fresh queue, as a program of the host, a node and an operator see it.
type Queue struct {
	Put    func(data string)                     // puts an entry in
	Open   func(node string) ingest.Source       // a node's source, which the suite closes
	Die    func(ingest.Source)                   // ends a source as the death of its process does
	Left   func() int                            // entries that are in the queue
	Failed func() (entries, codes, why []string) // entries that are kept with a failure, oldest first
	Takes  time.Duration                         // after which another node reads, at the latest, when the reader died
}

// Run checks a driver. open makes a fresh queue.
func Run(t *testing.T, open func(t *testing.T) Queue) {
	for _, tc := range []struct {
		name string
		test func(*queue)
	}{
		{"returns entries once, in order", inOrder},
		{"waits for an entry", waits},
		{"keeps what is not done for the next process", keeps},
		{"has one reader, and another one when it ends", oneReader},
		{"keeps failed entries with the reason", fails},
		{"ids are never given again", ids},
		{"returns when its context ends", ends},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.test(&queue{T: t, Queue: open(t)}) })
	}
}

type queue struct {
	*testing.T
	Queue
}

// patience is how long anything may take on a machine with much else to do.
const patience = 60 * time.Second

// open opens a source that is closed with the test.
func (q *queue) open(node string) ingest.Source {
	q.Helper()
	s := q.Open(node)
	q.Cleanup(func() {
		if err := s.Close(); err != nil {
			q.Logf("Close: %v", err)
		}
	})
	return s
}

// read reads until there are so many entries.
func (q *queue) read(s ingest.Source, count int) (got []ingest.Entry) {
	q.Helper()
	for end := time.Now().Add(patience); len(got) < count; {
		some, err := s.Read(q.Context(), count-len(got))
		if err != nil && !errors.Is(err, ingest.ErrElsewhere) {
			q.Fatalf("Read: %v", err)
		}
		if len(some) > count-len(got) {
			q.Fatalf("Read returns %d entries, %d were asked for", len(some), count-len(got))
		}
		if got = append(got, some...); time.Now().After(end) {
			q.Fatalf("there are %d entries, want %d", len(got), count)
		}
	}
	return got
}

func (q *queue) want(got []ingest.Entry, want ...string) {
	q.Helper()
	have := make([]string, len(got))
	for i, e := range got {
		have[i] = string(e.Data)
		if e.ID == "" || e.Size != len(e.Data) {
			q.Errorf("entry %d: id %q, size %d", i, e.ID, e.Size)
		}
	}
	if !slices.Equal(have, want) {
		q.Errorf("entries are %q, want %q", have, want)
	}
}

func (q *queue) done(s ingest.Source, entries ...ingest.Entry) {
	q.Helper()
	var ids []string
	for _, e := range entries {
		ids = append(ids, e.ID)
	}
	if err := s.Done(q.Context(), ids); err != nil {
		q.Errorf("Done: %v", err)
	}
}

// left waits until so many entries are in the queue: a server may say so late.
func (q *queue) left(want int) {
	q.Helper()
	for end := time.Now().Add(patience); q.Left() != want; <-time.After(10 * time.Millisecond) {
		if time.Now().After(end) {
			q.Fatalf("%d entries are left, want %d", q.Left(), want)
		}
	}
}

func inOrder(q *queue) {
	s := q.open("a")
	for i := range 7 {
		q.Put(fmt.Sprint(i))
	}
	first := q.read(s, 3)
	q.want(first, "0", "1", "2")
	second := q.read(s, 4)
	q.want(second, "3", "4", "5", "6")
	if none, err := s.Read(q.Context(), 0); err != nil || len(none) > 0 {
		q.Errorf("Read of none: %v, %v", none, err)
	}
	q.left(7)
	q.done(s, second...)
	q.done(s, first...)
	q.done(s, first...)
	q.left(0)
}

func waits(q *queue) {
	s := q.open("a")
	if none, err := s.Read(q.Context(), 5); err != nil || len(none) > 0 {
		q.Fatalf("an empty queue has %v, %v", none, err)
	}
	read := make(chan []ingest.Entry)
	go func() { read <- q.read(s, 1) }()
	q.Put("late")
	q.want(<-read, "late")
}

func keeps(q *queue) {
	s := q.Open("a")
	for _, data := range []string{"1", "2", "3"} {
		q.Put(data)
	}
	had := q.read(s, 3)
	q.done(s, had[1])
	q.left(2)
	q.Die(s)
	next := q.open("a")
	got := q.read(next, 2)
	q.want(got, "1", "3")
	if len(got) == 2 && (got[0].ID != had[0].ID || got[1].ID != had[2].ID) {
		q.Errorf("the ids were %q and %q, and are %q and %q", had[0].ID, had[2].ID, got[0].ID, got[1].ID)
	}
	q.done(next, got...)
	q.left(0)
}

func oneReader(q *queue) {
	a, b := q.Open("a"), q.Open("b")
	q.Put("1")
	q.Put("2")
	got := q.read(a, 2)
	for range 3 {
		other, err := b.Read(q.Context(), 2)
		if len(other) > 0 || err != nil && !errors.Is(err, ingest.ErrElsewhere) {
			q.Fatalf("the other node has %v, %v", other, err)
		}
		if _, err := a.Read(q.Context(), 0); err != nil {
			q.Fatalf("the reader: %v", err)
		}
	}
	q.done(a, got[0])
	if err := a.Close(); err != nil {
		q.Errorf("Close: %v", err)
	}
	got = q.read(b, 1)
	q.want(got, "2")
	q.Die(b)
	start, c := time.Now(), q.open("c")
	again := q.read(c, 1)
	q.want(again, "2")
	if took := time.Since(start); took > q.Takes+patience/2 {
		q.Errorf("another node reads after %v", took)
	}
	q.done(c, again...)
	q.left(0)
}

func fails(q *queue) {
	s := q.open("a")
	texts := []string{`{"room":"none"}`, "no JSON", "\xff\xfe"}
	for _, data := range texts {
		q.Put(data)
	}
	for _, e := range q.read(s, 3) {
		for range 2 { // the second one finds no entry
			if err := s.Fail(q.Context(), e, ingest.Failure{Code: "invalid", Reason: "as a test"}); err != nil {
				q.Fatalf("Fail: %v", err)
			}
		}
	}
	q.left(0)
	entries, codes, why := q.Failed()
	if !slices.Equal(entries, texts) || !slices.Equal(codes, slices.Repeat([]string{"invalid"}, 3)) || !slices.Equal(why, slices.Repeat([]string{"as a test"}, 3)) {
		q.Errorf("failed: %q, %q, %q", entries, codes, why)
	}
}

func ids(q *queue) {
	s := q.open("a")
	seen := map[string]bool{}
	for i := range 20 {
		q.Put(fmt.Sprint(i))
		got := q.read(s, 1)
		if seen[got[0].ID] {
			q.Fatalf("%q is the id of two entries", got[0].ID)
		}
		seen[got[0].ID] = true
		q.done(s, got...)
	}
}

func ends(q *queue) {
	s := q.open("a")
	ctx, cancel := context.WithCancel(q.Context())
	read := make(chan struct{})
	go func() {
		s.Read(ctx, 1) // whatever it returns
		close(read)
	}()
	cancel()
	select {
	case <-read:
	case <-time.After(patience):
		q.Error("Read does not return")
	}
}
