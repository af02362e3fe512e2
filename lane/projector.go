package lane

import (
	"context"
	"sync"
	"time"

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
	db    *store.Shard
	wake  chan struct{} // cap 1: a commit left an outbox entry

	// Owned by run.
	at    int64 // worked up to here
	saved int64 // the cursor as it was last submitted
}

func newProjector(ctx context.Context, ls *Lanes, l *lane, db *store.Shard) (*projector, error) {
	cursors, err := db.Cursors(ctx, 0)
	if err != nil {
		return nil, err
	}
	p := &projector{lanes: ls, lane: l, db: db, wake: make(chan struct{}, 1)}
	for _, c := range cursors {
		if c.Consumer == consumer {
			p.at, p.saved = c.Position, c.Position
		}
	}
	ls.Notify(l.shard, p.wake)
	return p, nil
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
		case <-p.wake:
		case <-retry.C:
			if ok && p.lane.trouble.Load() == nil {
				p.save(saveEvery)
			}
		}
	}
}

// catchUp works off the outbox and reports whether it got to its end.
func (p *projector) catchUp() bool {
	ctx := context.Background() // store bounds each call
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
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		first error
	)
	done := func(_ Reply, err error) {
		if err != nil {
			mu.Lock()
			first = err
			mu.Unlock()
		}
		wg.Done()
	}
	for i := range e.Rooms {
		for _, m := range e.Rooms[i].Members {
			wg.Add(1)
			p.lanes.Submit(&Project{Member: m, Seq: e.Rooms[i].Seq}, done)
		}
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
	p.lane.submit(saveCursors{{Consumer: consumer, Position: p.at}}, func(Reply, error) {})
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
			if _, err := ls.Do(ctx, &Project{Member: m, Seq: head.LastSeq}); err != nil {
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
