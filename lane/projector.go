package lane

import (
	"context"
	"sync"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

const (
	consumer = "user-rooms" // the projector's cursor
	// saveEvery is how many positions the projector works before it saves its
	// cursor. Work done twice after a crash is harmless.
	saveEvery    = 256
	projectBatch = 64 // outbox entries read at a time
	retryProject = time.Second
)

// projector keeps the users' side of memberships (user_rooms) in step with
// member rows: it reads a lane's outbox in order and has each change applied
// by the lane of the user it concerns.
type projector struct {
	lanes *Lanes
	lane  *lane
	db    store.Driver

	// Owned by run.
	at    int64 // worked up to here
	saved int64 // the cursor as it was last submitted
}

func newProjector(ctx context.Context, ls *Lanes, l *lane, db store.Driver) (*projector, error) {
	at, err := db.Cursor(ctx, 0, consumer)
	if err != nil {
		return nil, err
	}
	return &projector{lanes: ls, lane: l, db: db, at: at, saved: at}, nil
}

// run works until the lanes stop; then it works off what is there and saves
// its cursor.
func (p *projector) run() {
	retry := time.NewTicker(retryProject)
	defer retry.Stop()
	for {
		ok := p.catchUp()
		select {
		case <-p.lanes.stopping:
			p.catchUp()
			p.save(1)
			return
		case <-p.lane.outbox:
		case <-retry.C:
			if ok && p.lane.writeErr.Load() == nil {
				p.save(saveEvery)
			}
		}
	}
}

// catchUp works off the outbox and reports whether it got to its end.
func (p *projector) catchUp() bool {
	ctx, cancel := context.WithTimeout(context.Background(), ioTimeout)
	defer cancel()
	for {
		entries, err := p.db.Outbox(ctx, 0, p.at, projectBatch)
		if err != nil {
			p.lane.log.Warn("cannot read the outbox; trying again", "err", err)
			return false
		}
		for i := range entries {
			if err := p.project(&entries[i]); err != nil {
				p.lane.log.Warn("cannot bring rooms of users up to date; trying again", "err", err)
				return false
			}
			p.at = entries[i].Position
		}
		p.save(saveEvery)
		if len(entries) < projectBatch {
			return true
		}
	}
}

// project applies an entry's member changes, all at once, and waits for them.
func (p *projector) project(e *store.Entry) error {
	if len(e.Members) == 0 {
		return nil
	}
	seqs := make(map[chat.RoomID]chat.Seq, len(e.Rooms))
	for _, r := range e.Rooms {
		seqs[r.Room] = r.Seq
	}
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		first error
	)
	for _, m := range e.Members {
		wg.Add(1)
		p.lanes.Submit(&change.Project{Member: m, Seq: seqs[m.Room]}, func(_ change.Reply, err error) {
			if err != nil {
				mu.Lock()
				first = err
				mu.Unlock()
			}
			wg.Done()
		})
	}
	wg.Wait()
	return first
}

// save submits the cursor if it has moved by at least n positions.
func (p *projector) save(n int64) {
	if p.at-p.saved < n {
		return
	}
	p.saved = p.at
	p.lane.submit(&change.Cursor{Consumer: consumer, Position: p.at}, func(change.Reply, error) {})
}

// Rebuild brings the users' side of every membership up to the member rows,
// whatever the outbox says: rows that are missing are made, with everything
// read. progress is called now and then with the number of rows seen so far.
func (ls *Lanes) Rebuild(ctx context.Context, progress func(rows int)) error {
	rows := 0
	for _, d := range ls.store.Shards() {
		err := d.EachMember(ctx, func(m chat.Member) error {
			head, err := d.Room(ctx, m.Room)
			if err != nil {
				return err
			}
			if _, err := ls.Do(ctx, &change.Project{Member: m, Seq: head.LastSeq}); err != nil {
				return err
			}
			if rows++; rows%1000 == 0 {
				progress(rows)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	progress(rows)
	return nil
}
