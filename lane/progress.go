package lane

import (
	"encoding/binary"
	"errors"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/store"
)

// maxSenders is how many senders a lane remembers, those that it has heard last. A node
// is a new sender each time it starts.
const maxSenders = 256

// sender is how far a lane has taken the changes of one sender.
type sender struct {
	id   uint64
	next uint64
}

// progress is how far a lane has taken what was handed to it. It is written with each batch
// of a cluster that has a queue, so that the next owner passes over what was decided.
// Values are not changed once they are made.
type progress struct {
	queue   uint64
	senders []sender // those heard last come last
}

// with returns what it is when the items are committed.
func (t progress) with(items []item) progress {
	next := progress{queue: t.queue}
	heard := map[uint64]uint64{}
	for i := range items {
		o := &items[i].origin
		if o.Queue != 0 { // smaller than before where the queue has lost its end
			next.queue = o.Queue
		}
		if o.Number != 0 {
			heard[o.Sender] = max(heard[o.Sender], o.Number+1)
		}
	}
	if len(heard) == 0 {
		next.senders = t.senders
		return next
	}
	next.senders = make([]sender, 0, len(t.senders)+len(heard))
	for _, s := range t.senders {
		if n, ok := heard[s.id]; ok {
			heard[s.id] = max(n, s.next)
		} else {
			next.senders = append(next.senders, s)
		}
	}
	for id, n := range heard {
		next.senders = append(next.senders, sender{id, n})
	}
	next.senders = next.senders[max(0, len(next.senders)-maxSenders):]
	return next
}

// row is t as it is stored: for each sender its id in 8 bytes and a uvarint.
func (t progress) row() *store.Taken {
	b := make([]byte, 0, len(t.senders)*12)
	for _, s := range t.senders {
		b = binary.BigEndian.AppendUint64(b, s.id)
		b = binary.AppendUvarint(b, s.next)
	}
	return &store.Taken{Queue: t.queue, Senders: b}
}

func decodeProgress(row store.Taken) (progress, error) {
	t := progress{queue: row.Queue}
	for b := row.Senders; len(b) > 0; {
		if len(b) < 9 {
			return progress{}, errors.New("lane: the senders of the lane cannot be read")
		}
		id := binary.BigEndian.Uint64(b)
		next, n := binary.Uvarint(b[8:])
		if n <= 0 {
			return progress{}, errors.New("lane: the senders of the lane cannot be read")
		}
		t.senders = append(t.senders, sender{id, next})
		b = b[8+n:]
	}
	return t, nil
}

// known is t for those that hand changes to the lane.
func (t progress) known() *change.Progress {
	p := &change.Progress{Queue: t.queue, Next: make(map[uint64]uint64, len(t.senders))}
	for _, s := range t.senders {
		p.Next[s.id] = s.next
	}
	return p
}

// note adds to the rows of a batch how far the lane has taken what was handed to it. A
// batch without rows stays nil, so that it is not committed, unless it ends an entry of
// the queue: then its refusals have to be final.
func (l *lane) note(ch *store.Changes, items []item) (*store.Changes, progress) {
	if l.cfg.Cluster == nil || !l.cfg.Cluster.Queue {
		return ch, l.progress
	}
	next := l.progress.with(items)
	if ch == nil && next.queue != l.progress.queue {
		ch = &store.Changes{}
	}
	if ch != nil {
		ch.Taken = next.row()
	}
	return ch, next
}
