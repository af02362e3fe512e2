package mover

import (
	"context"
	"time"

	"github.com/roomtide/roomtide/store"
)

// A move shares processors, disks and the lane of the target with the chat. It works in
// pieces, one after the other, each so small that what waits behind it is late by little,
// and rests for half as long as the last one took: when a piece takes longer because
// others have work to do, the pause is longer too (decision 34).
const (
	pieceFor = 2 * time.Millisecond // less work than this needs no pause yet
	restPart = 2                    // a pause is one part of so many of the time worked
	longest  = time.Second          // what took longer, or was no work, counts as this
)

// pacer is how much a job has worked since it rested. Owned by run.
type pacer struct {
	rested time.Time // when the last pause was to end
	rows   int       // since then
}

// due returns for how long to rest when n more rows are done. rate is how many a second
// are allowed, 0 for any number. The next piece counts from the end of the pause: a
// timer that is late shortens the pause behind it, so that the rate is kept.
func (p *pacer) due(now time.Time, n, rate int) (pause time.Duration) {
	p.rows += n
	took := max(now.Sub(p.rested), 0) // 0: an order has ended the last pause
	if took > longest {
		took = longest
	}
	if took >= pieceFor {
		pause = took / restPart
	}
	if rate > 0 {
		pause = max(pause, time.Duration(float64(p.rows)/float64(rate)*float64(time.Second))-took)
	}
	if pause > 0 {
		p.rested, p.rows = now.Add(pause), 0
	}
	return pause
}

// pace is called behind n rows of work. It waits until the next ones may be done, of
// which rate are allowed a second; 0: any number. A rate that is changed meanwhile ends
// ctx.
func (j *job) pace(ctx context.Context, n, rate int) error {
	now := time.Now()
	j.mu.Lock()
	if n > 0 {
		j.progress.count(n, now)
	}
	j.progress.followed = j.followed
	hurried := j.hurry || j.mv.Phase == store.MoveHolding // changes wait for what is being done
	j.mu.Unlock()
	if hurried {
		return ctx.Err()
	}
	if pause := j.pacer.due(now, n, rate); pause > 0 {
		wait(ctx, pause)
	}
	return ctx.Err()
}

// rate is how many rows a second may be copied, compared or deleted. What is followed
// has no limit: it must be faster than the source is written.
func (j *job) rate() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.mv.Rate
}
