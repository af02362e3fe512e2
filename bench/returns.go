package bench

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/wire"
)

// returns counts reconnections of members.
type returns struct {
	attempts atomic.Int64 // to connect
	failed   counts       // failed attempts, by reason
	busy     atomic.Int64 // joins that the server refused with busy
	resumed  atomic.Int64 // members that have everything again, after a reconnection or a gap
	caughtUp atomic.Int64 // messages that came with a join
	ends     counts       // connections that the server ended, by reason
	took     histogram    // from the cut to the reply that brought the member up to date
}

// comeBack connects until it works, with the pauses of the stock client, and
// resumes. It is false when the load is over.
func (m *member) comeBack(ctx context.Context) bool {
	b := backoff{random: rand.Float64}
	begin := time.Now()
	r := &m.load.returns
	for {
		select {
		case <-time.After(b.next()):
		case <-m.load.done:
			return false
		}
		r.attempts.Add(1)
		err := m.again(ctx)
		if err == nil {
			r.took.add(time.Since(begin))
			m.away.Store(false)
			return true
		}
		if m.load.stopped() {
			return false
		}
		m.conn.cut()
		r.failed.add(reason(err), 1)
	}
}

// again is one attempt.
func (m *member) again(ctx context.Context) error {
	if err := m.conn.open(ctx); err != nil {
		return err
	}
	if err := m.conn.proto.hello(m.conn, m.name); err != nil {
		return err
	}
	if err := m.conn.nc.SetDeadline(time.Time{}); err != nil {
		return err
	}
	return m.resume()
}

// resume joins the room again after what was seen, page by page. When the server
// is busy it waits for retry_after.
func (m *member) resume() error {
	for {
		f, err := m.conn.join(m.load.roomName(m.room), m.rev)
		var refused *chat.Error
		switch {
		case errors.As(err, &refused) && refused.RetryAfter > 0:
			m.load.returns.busy.Add(1)
			select {
			case <-time.After(time.Duration(refused.RetryAfter) * time.Millisecond):
			case <-m.load.done:
				return err
			}
			continue
		case err != nil:
			return err
		case f.Reset:
			return errors.New("the room is not the one it was")
		}
		m.catchUp(f)
		if !f.More {
			m.load.returns.resumed.Add(1)
			return nil
		}
	}
}

// catchUp counts what came with a join. Nothing but messages is new in the rooms
// of a load, so each of them must be the next rev, and the last the one the
// answer stands at.
func (m *member) catchUp(f *wire.ServerFrame) {
	for i := range f.Messages {
		m.take(int64(f.Messages[i].Seq), int64(f.Messages[i].Rev))
	}
	m.load.returns.caughtUp.Add(int64(len(f.Messages)))
	if rev := int64(f.Rev); rev != m.rev {
		m.load.revs.Add(1)
		m.rev = rev
	}
	m.at.Store(m.load.clock())
}

// reason is the last part of an error, without addresses.
func reason(err error) string {
	var refused *chat.Error
	if errors.As(err, &refused) {
		return refused.Kind.Code()
	}
	s := err.Error()
	return s[strings.LastIndex(s, ": ")+1:]
}
