package memqueue

import (
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/queue"
	"github.com/roomtide/roomtide/queue/queuetest"
)

func TestSuite(t *testing.T) {
	queuetest.Run(t, func(t *testing.T) *queuetest.Servers {
		const size = 4 << 20
		s := NewServers(size)
		return &queuetest.Servers{MaxBytes: size, MaxEntry: MaxEntry, Remake: s.Remake, Open: func() queue.Queue {
			q := New(s)
			t.Cleanup(q.Close)
			return q
		}}
	})
}

// While the servers are down nothing is appended, and readers wait.
func TestDown(t *testing.T) {
	s := NewServers(1 << 20)
	q := New(s)
	defer q.Close()
	n := queuetest.Append(t, q, 0, "one")
	s.SetDown(true)
	if _, err := q.Append(t.Context(), 0, nil); chat.KindOf(err) != chat.Unavailable || q.Err() == nil {
		t.Errorf("appended to servers that are down: %v, %v", err, q.Err())
	}
	up := make(chan struct{})
	go func() { s.SetDown(false); close(up) }()
	if got := queuetest.Read(t, q, 0, 0, 1); got[0].Number != n {
		t.Errorf("read %v", got)
	}
	<-up
}
