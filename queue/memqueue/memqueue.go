// Package memqueue is a queue in memory, for one process: entries are gone with it. It
// is what the suite of package queue is written against, and stands for the servers where
// a test needs none.
package memqueue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/queue"
)

// MaxEntry is how many bytes an entry can have.
const MaxEntry = 1 << 20

// overhead is what is counted of an entry besides its bytes.
const overhead = 64

var (
	errClosed = errors.New("the queue is closed")
	errDown   = errors.New("its servers are down")
)

// Servers is where the entries are. Several queues use it, as nodes use the same servers.
type Servers struct {
	maxBytes int64 // set once

	// Guarded by mu.
	mu      sync.Mutex
	number  uint64 // of the entry that was appended last
	bytes   int64
	lanes   map[int][]entry
	down    bool
	changed chan struct{} // closed, and another one made, when there may be more to read
}

type entry struct {
	number uint64
	data   []byte
}

// NewServers makes servers that hold maxBytes.
func NewServers(maxBytes int64) *Servers {
	return &Servers{maxBytes: maxBytes, lanes: map[int][]entry{}, changed: make(chan struct{})}
}

// Remake makes the queue anew: all entries are gone.
func (s *Servers) Remake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lanes, s.bytes = map[int][]entry{}, 0
	s.number += 1 << 20
	s.wake()
}

// SetDown makes the servers answer nothing while it is true.
func (s *Servers) SetDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
	s.wake()
}

// wake lets readers look again. s.mu is held.
func (s *Servers) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Queue is queue.Queue on Servers.
type Queue struct {
	s       *Servers
	closed  chan struct{}
	closing sync.Once
}

var _ queue.Queue = (*Queue)(nil)

// New returns the queue of one node.
func New(s *Servers) *Queue { return &Queue{s: s, closed: make(chan struct{})} }

// Append implements queue.Queue.
func (q *Queue) Append(ctx context.Context, lane int, data []byte) (uint64, error) {
	s := q.s
	s.mu.Lock()
	defer s.mu.Unlock()
	size := int64(len(data) + overhead)
	switch err := q.answers(ctx, "append"); {
	case err != nil:
		return 0, err
	case len(data) > MaxEntry:
		return 0, &chat.Error{Kind: chat.TooLarge, Op: "memqueue.append", Text: fmt.Sprintf("an entry of %d bytes", len(data))}
	case s.bytes+size > s.maxBytes:
		return 0, &chat.Error{Kind: chat.Busy, Op: "memqueue.append", Text: "the queue is full"}
	}
	s.number++
	s.bytes += size
	s.lanes[lane] = append(s.lanes[lane], entry{s.number, append([]byte(nil), data...)})
	s.wake()
	return s.number, nil
}

// answers is an error if there is no answer. s.mu is held.
func (q *Queue) answers(ctx context.Context, op string) error {
	err := ctx.Err()
	select {
	case <-q.closed:
		err = errClosed
	default:
	}
	if err == nil && q.s.down {
		err = errDown
	}
	if err == nil {
		return nil
	}
	return chat.Wrap(chat.Unavailable, "memqueue."+op, err)
}

// Read implements queue.Queue.
func (q *Queue) Read(ctx context.Context, lane int, after uint64, take func(uint64, []byte) error) error {
	for {
		e, changed, err := q.next(ctx, lane, after)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		case e == nil:
			select {
			case <-changed:
			case <-q.closed:
			case <-ctx.Done():
			}
			continue
		}
		if err := take(e.number, append([]byte(nil), e.data...)); err != nil {
			return err
		}
		after = e.number
	}
}

// next returns the entry behind one, or what is closed when there may be one.
func (q *Queue) next(ctx context.Context, lane int, after uint64) (*entry, <-chan struct{}, error) {
	s := q.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := q.answers(ctx, "read"); err != nil {
		if s.down && ctx.Err() == nil { // it is waited for
			return nil, s.changed, nil
		}
		return nil, nil, err
	}
	entries := s.lanes[lane]
	i, found := slices.BinarySearchFunc(entries, after, func(e entry, number uint64) int { return cmp.Compare(e.number, number) })
	if found {
		i++
	} else {
		found = after == 0
	}
	if found && i < len(entries) {
		return &entries[i], nil, nil
	}
	if !found {
		first := uint64(0)
		if len(entries) > 0 {
			first = entries[0].number
		}
		return nil, nil, &chat.Error{Kind: chat.Conflict, Op: "memqueue.read",
			Text: fmt.Sprintf("entry %d of lane %d is not there: the first that is there is %d, the last of all lanes was %d", after, lane, first, s.number)}
	}
	return nil, s.changed, nil
}

// Trim implements queue.Queue.
func (q *Queue) Trim(ctx context.Context, lane int, number uint64) error {
	s := q.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := q.answers(ctx, "trim"); err != nil {
		return err
	}
	entries := s.lanes[lane]
	if !slices.ContainsFunc(entries, func(e entry) bool { return e.number == number }) {
		return nil
	}
	for len(entries) > 0 && entries[0].number < number {
		s.bytes -= int64(len(entries[0].data) + overhead)
		entries = entries[1:]
	}
	s.lanes[lane] = entries
	return nil
}

// Last implements queue.Queue.
func (q *Queue) Last(ctx context.Context, lane int) (uint64, error) {
	s := q.s
	s.mu.Lock()
	defer s.mu.Unlock()
	entries := s.lanes[lane]
	if err := q.answers(ctx, "last"); err != nil || len(entries) == 0 {
		return 0, err
	}
	return entries[len(entries)-1].number, nil
}

// Err implements queue.Queue.
func (q *Queue) Err() error {
	q.s.mu.Lock()
	defer q.s.mu.Unlock()
	return q.answers(context.Background(), "health")
}

// Close implements queue.Queue.
func (q *Queue) Close() { q.closing.Do(func() { close(q.closed) }) }
