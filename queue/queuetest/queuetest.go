// Package queuetest is the suite that every driver of package queue passes: the comments
// of queue.Queue, as checks. A driver's own tests add what only its servers can break.
package queuetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/queue"
)

// Servers is one queue and what a test does to it.
type Servers struct {
	Open   func() queue.Queue // of one more node, on the same entries; it is closed with the test
	Remake func()             // makes the queue anew, without its entries; queues that are open go on with it

	MaxBytes int // what it holds, about
	MaxEntry int // bytes of the largest entry
}

// Lanes is how many lanes the queues have.
const Lanes = 4

// patience is how long a queue may take for anything.
const patience = 60 * time.Second

// Run holds a driver to the contract. start makes a queue without entries that holds 2 to
// 32 MiB.
func Run(t *testing.T, start func(t *testing.T) *Servers) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, *Servers)
	}{
		{"Order", checkOrder},
		{"Waits", checkWaits},
		{"GoesOn", checkGoesOn},
		{"Ends", checkEnds},
		{"Sizes", checkSizes},
		{"Trim", checkTrim},
		{"TrimmedBeyond", checkTrimmedBeyond},
		{"TrimAtANumberThatIsLost", checkTrimLost},
		{"Full", checkFull},
		{"BeyondTheEnd", checkBeyond},
		{"MadeAnew", checkAnew},
		{"ManyNodes", checkManyNodes},
		{"Closed", checkClosed},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, start(t)) })
	}
}

func checkOrder(t *testing.T, s *Servers) {
	q, other := s.Open(), s.Open()
	if n, err := q.Last(t.Context(), 0); n != 0 || err != nil {
		t.Errorf("the last entry of an empty lane is %d, %v", n, err)
	}
	lanes := fill(t, q, 20)
	for lane, want := range lanes {
		for i := range want[1:] {
			if want[i+1].Number <= want[i].Number {
				t.Fatalf("number %d follows %d", want[i+1].Number, want[i].Number)
			}
		}
		sameEntries(t, Read(t, other, lane, 0, 20), want)
		sameEntries(t, Read(t, other, lane, want[7].Number, 12), want[8:])
		if n, err := other.Last(t.Context(), lane); n != want[19].Number || err != nil {
			t.Errorf("the last entry of lane %d is %d, %v; want %d", lane, n, err, want[19].Number)
		}
	}
	if err := q.Err(); err != nil {
		t.Errorf("Err is %v", err)
	}
}

// checkWaits reads what comes later, behind the end and in an empty lane.
func checkWaits(t *testing.T, s *Servers) {
	q, other := s.Open(), s.Open()
	first := Append(t, q, 0, "first")
	for lane, after := range []uint64{first, 0} {
		got := make(chan Entry)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		ended := make(chan error, 1)
		go func() {
			ended <- other.Read(ctx, lane, after, func(n uint64, data []byte) error {
				select {
				case got <- Entry{n, string(data)}:
				case <-ctx.Done():
				}
				return nil
			})
		}()
		for _, data := range []string{"one", "two", "three"} {
			n := Append(t, q, lane, data)
			select {
			case e := <-got:
				sameEntries(t, []Entry{e}, []Entry{{n, data}})
			case <-ctx.Done():
				t.Fatalf("lane %d: %q was not read", lane, data)
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("a Read whose context has ended: %v", err)
		}
	}
}

// checkGoesOn reads in pieces, as owners that follow each other.
func checkGoesOn(t *testing.T, s *Servers) {
	q := s.Open()
	want := fill(t, q, 30)[1]
	at := uint64(0)
	for from := 0; from < 30; from += 6 {
		got := Read(t, s.Open(), 1, at, 6)
		sameEntries(t, got, want[from:from+6])
		at = got[5].Number
	}
}

func checkEnds(t *testing.T, s *Servers) {
	q := s.Open()
	Append(t, q, 0, "one")
	Append(t, q, 0, "two")
	stop := fmt.Errorf("the taker's own")
	calls := 0
	err := q.Read(t.Context(), 0, 0, func(uint64, []byte) error { calls++; return stop })
	if !errors.Is(err, stop) || calls != 1 {
		t.Errorf("Read returns %v after %d calls", err, calls)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := q.Read(ctx, 0, 0, func(uint64, []byte) error { cancel(); return nil }); err != nil {
		t.Errorf("Read returns %v when its context ends", err)
	}
	if err := q.Read(ctx, 0, 0, func(uint64, []byte) error { t.Error("taken"); return nil }); err != nil {
		t.Errorf("Read returns %v when its context has ended", err)
	}
	if _, err := q.Append(ctx, 0, []byte("x")); err == nil {
		t.Error("appended with a context that has ended")
	} else {
		wantKind(t, err, chat.Unavailable)
	}
}

func checkSizes(t *testing.T, s *Servers) {
	q, other := s.Open(), s.Open()
	var want []Entry
	for _, size := range []int{0, 1, 100, 256 << 10, s.MaxEntry} {
		data := bytes.Repeat([]byte{byte(size), 0, 0xff, '\n'}, size/4+1)[:size]
		n, err := q.Append(t.Context(), 2, data)
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		want = append(want, Entry{n, string(data)})
		for i := range data {
			data[i] = 'X' // it is the caller's again
		}
	}
	for i, e := range Read(t, other, 2, 0, len(want)) {
		if e != want[i] {
			t.Errorf("entry %d of %d bytes came as number %d of %d bytes", want[i].Number, len(want[i].Data), e.Number, len(e.Data))
		}
	}
	_, err := q.Append(t.Context(), 2, make([]byte, s.MaxEntry+1))
	wantKind(t, err, chat.TooLarge)
	n := Append(t, q, 2, "behind it")
	sameEntries(t, Read(t, other, 2, want[len(want)-1].Number, 1), []Entry{{n, "behind it"}})
}

// checkTrim trims one lane; readers of what is not trimmed go on, in both.
func checkTrim(t *testing.T, s *Servers) {
	q, other := s.Open(), s.Open()
	lanes := fill(t, q, 20)
	at := lanes[0][11].Number
	for _, e := range lanes[0][:12] {
		if err := q.Trim(t.Context(), 0, e.Number); err != nil {
			t.Fatal(err)
		}
	}
	gone(t, other, 0, lanes[0][2].Number)
	sameEntries(t, Read(t, other, 0, at, 8), lanes[0][12:])
	sameEntries(t, Read(t, other, 1, 0, 20), lanes[1])
	sameEntries(t, Read(t, other, 1, lanes[1][2].Number, 17), lanes[1][3:])

	// Trimmed to its end, a lane goes on.
	end := lanes[0][19].Number
	if err := q.Trim(t.Context(), 0, end); err != nil {
		t.Fatal(err)
	}
	gone(t, other, 0, at)
	if n, err := other.Last(t.Context(), 0); n != end || err != nil {
		t.Errorf("the last entry is %d, %v; want %d", n, err, end)
	}
	n := Append(t, q, 0, "after")
	sameEntries(t, Read(t, other, 0, end, 1), []Entry{{n, "after"}})
}

// checkTrimmedBeyond is an owner whose database was put back to an earlier state.
func checkTrimmedBeyond(t *testing.T, s *Servers) {
	q := s.Open()
	want := fill(t, q, 10)[0]
	if err := q.Trim(t.Context(), 0, want[6].Number); err != nil {
		t.Fatal(err)
	}
	gone(t, q, 0, want[3].Number)
	err := missing(t, q, want[3].Number)
	if !strings.Contains(err.Error(), fmt.Sprint(want[3].Number)) {
		t.Errorf("the error does not name the entry: %v", err)
	}
	got := Read(t, q, 0, 0, 4) // what is there: the last that was trimmed, and all others
	if got[3] != want[9] {
		t.Errorf("read %v from the first entry, want up to %v", got, want[9])
	}
}

// checkTrimLost trims a lane whose servers have lost its end since the entry was taken: what they
// have was accepted behind that.
func checkTrimLost(t *testing.T, s *Servers) {
	q := s.Open()
	lanes := fill(t, q, 10)
	if err := q.Trim(t.Context(), 0, lanes[1][9].Number+100); err != nil {
		t.Fatal(err)
	}
	for i := range 2 { // lanes are trimmed in any order, and both have been when another one was twice
		if err := q.Trim(t.Context(), 1, lanes[1][5+i].Number); err != nil {
			t.Fatal(err)
		}
		gone(t, q, 1, lanes[1][4+i].Number)
	}
	sameEntries(t, Read(t, q, 0, 0, 10), lanes[0])
	if err := q.Trim(t.Context(), 0, lanes[0][3].Number); err != nil {
		t.Fatal(err)
	}
	gone(t, q, 0, lanes[0][2].Number)
	sameEntries(t, Read(t, q, 0, lanes[0][3].Number, 6), lanes[0][4:])
}

// checkFull fills the queue until it refuses, and makes room by trimming.
func checkFull(t *testing.T, s *Servers) {
	q := s.Open()
	data := make([]byte, 200<<10)
	var numbers []uint64
	for {
		n, err := q.Append(t.Context(), len(numbers)%2, data)
		if err != nil {
			wantKind(t, err, chat.Busy)
			break
		}
		if numbers = append(numbers, n); len(numbers)*len(data) > 2*s.MaxBytes {
			t.Fatalf("%d entries of %d bytes in a queue of %d", len(numbers), len(data), s.MaxBytes)
		}
	}
	if len(numbers)*len(data) < s.MaxBytes/2 {
		t.Errorf("full with %d entries of %d bytes, it should hold %d", len(numbers), len(data), s.MaxBytes)
	}
	for lane := range 2 { // what was taken is there, from the oldest on
		for i, e := range Read(t, q, lane, 0, (len(numbers)+1-lane)/2) {
			if e.Number != numbers[2*i+lane] {
				t.Fatalf("entry %d of lane %d is %d, want %d", i, lane, e.Number, numbers[2*i+lane])
			}
		}
	}
	if err := q.Trim(t.Context(), 0, numbers[len(numbers)/2/2*2]); err != nil {
		t.Fatal(err)
	}
	n := Append(t, q, 1, string(data))
	if last := numbers[len(numbers)/2*2-1]; n <= last {
		t.Errorf("number %d follows %d in lane 1", n, last)
	}
}

func checkBeyond(t *testing.T, s *Servers) {
	q := s.Open()
	last := Append(t, q, 0, "one")
	for _, after := range []uint64{last + 1, last + 1_000_000} {
		missing(t, q, after)
	}
}

// checkAnew makes the queue anew: an owner that stands in the old one is told, and what
// comes then has larger numbers.
func checkAnew(t *testing.T, s *Servers) {
	q := s.Open()
	old := fill(t, q, 5)[0]
	s.Remake()
	n := Append(t, q, 0, "new")
	if n <= old[4].Number {
		t.Errorf("number %d in a queue that was made after %d", n, old[4].Number)
	}
	for _, at := range []int{0, 4} {
		missing(t, q, old[at].Number)
	}
	sameEntries(t, Read(t, q, 0, 0, 1), []Entry{{n, "new"}})
}

// checkManyNodes has several nodes append to all lanes at the same time while others read.
func checkManyNodes(t *testing.T, s *Servers) {
	const nodes, each = 3, 40
	var work sync.WaitGroup
	for node := range nodes {
		q := s.Open()
		for lane := range Lanes {
			work.Go(func() {
				for i := range each {
					if _, err := q.Append(t.Context(), lane, fmt.Appendf(nil, "%d %d", node, i)); err != nil {
						t.Errorf("node %d: %v", node, err)
						return
					}
				}
			})
		}
	}
	for lane := range Lanes {
		q := s.Open()
		work.Go(func() { checkEach(t, q, lane, nodes, each) })
	}
	work.Wait()
}

// checkEach reads a lane to which nodes append: each entry once, those of a node in its
// order.
func checkEach(t *testing.T, q queue.Queue, lane, nodes, each int) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	next, last, count := make([]int, nodes), uint64(0), 0
	err := q.Read(ctx, lane, 0, func(n uint64, data []byte) error {
		var node, i int
		if _, err := fmt.Sscan(string(data), &node, &i); err != nil || n <= last || i != next[node] {
			return fmt.Errorf("%q as number %d behind %d, want %d of it", data, n, last, next[node])
		}
		next[node], last = i+1, n
		if count++; count == nodes*each {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Errorf("lane %d, %d entries: %v", lane, count, err)
	}
}

func checkClosed(t *testing.T, s *Servers) {
	q := s.Open()
	n := Append(t, q, 0, "one")
	taken := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- q.Read(t.Context(), 0, 0, func(uint64, []byte) error { close(taken); return nil })
	}()
	<-taken
	q.Close()
	wantKind(t, <-ended, chat.Unavailable)
	_, err := q.Append(t.Context(), 0, []byte("two"))
	wantKind(t, err, chat.Unavailable)
	wantKind(t, q.Read(t.Context(), 0, 0, func(uint64, []byte) error { return nil }), chat.Unavailable)
	_, err = q.Last(t.Context(), 0)
	wantKind(t, err, chat.Unavailable)
	wantKind(t, q.Err(), chat.Unavailable)
	q.Close()
	sameEntries(t, Read(t, s.Open(), 0, 0, 1), []Entry{{n, "one"}}) // the entries stay
}
