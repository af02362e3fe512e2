package queuetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/queue"
)

// Entry is what was read.
type Entry struct {
	Number uint64
	Data   string
}

var errEnough = errors.New("enough")

// Read reads count entries of a lane behind one.
func Read(t testing.TB, q queue.Queue, lane int, after uint64, count int) []Entry {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var got []Entry
	if count == 0 {
		return nil
	}
	err := q.Read(ctx, lane, after, func(n uint64, data []byte) error {
		got = append(got, Entry{n, string(data)})
		if len(got) == count {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Fatalf("%d of %d entries of lane %d behind %d: %v", len(got), count, lane, after, err)
	}
	return got
}

// Append appends an entry, and tries again while the queue does not answer.
func Append(t testing.TB, q queue.Queue, lane int, data string) uint64 {
	t.Helper()
	var n uint64
	Eventually(t, "an entry is appended", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		var err error
		n, err = q.Append(ctx, lane, []byte(data))
		return err
	})
	return n
}

// Eventually calls try until it returns no error.
func Eventually(t testing.TB, what string, try func() error) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(patience); ; {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%s: %v", what, err)
		}
	}
}

func wantKind(t testing.TB, err error, kind chat.Kind) {
	t.Helper()
	var e *chat.Error
	if !errors.As(err, &e) || e.Kind != kind {
		t.Fatalf("error is %v, want kind %s", err, kind.Code())
	}
}

func sameEntries(t testing.TB, got, want []Entry) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("read %.300v, want %.300v", got, want)
	}
}

// fill appends count entries to each of two lanes by turns, and returns those of the
// lanes.
func fill(t *testing.T, q queue.Queue, count int) (lanes [2][]Entry) {
	t.Helper()
	for i := range count {
		for lane := range lanes {
			data := fmt.Sprintf("entry %d of lane %d", i, lane)
			lanes[lane] = append(lanes[lane], Entry{Append(t, q, lane, data), data})
		}
	}
	return lanes
}

// missing wants Read of lane 0 to say that an entry is not there, without taking another one.
func missing(t *testing.T, q queue.Queue, after uint64) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := q.Read(ctx, 0, after, func(n uint64, _ []byte) error {
		t.Errorf("entry %d was taken behind %d, which is not there", n, after)
		return errEnough
	})
	if chat.KindOf(err) != chat.Conflict {
		t.Fatalf("reading behind %d, which is not there: %v; want a conflict", after, err)
	}
	return err
}

// gone waits until Read says that an entry is not there. Until then it reads what follows
// without a hole.
func gone(t *testing.T, q queue.Queue, lane int, after uint64) {
	t.Helper()
	Eventually(t, "trimmed entries are gone", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		err := q.Read(ctx, lane, after, func(uint64, []byte) error { return errEnough })
		if errors.Is(err, errEnough) {
			return fmt.Errorf("entry %d is still there", after)
		}
		wantKind(t, err, chat.Conflict)
		return nil
	})
}
