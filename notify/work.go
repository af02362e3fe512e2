package notify

import (
	"context"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/crashpoint"
	"github.com/roomtide/roomtide/outbox"
	"github.com/roomtide/roomtide/push"
	"github.com/roomtide/roomtide/store"
)

// work begins the work on jobs, a goroutine for each user: what a user has, and what is
// unread, is read once for all of them.
func (c *crew) work(jobs []store.PushJob) {
	now := c.s.cfg.Now().UnixMilli()
	byUser := map[chat.UserID][]store.PushJob{}
	var users []chat.UserID
	for i := range jobs {
		j := &jobs[i]
		switch {
		case j.State != store.PushWaiting: // its time as a note is over
			c.settle(j, &change.Pushed{Outcome: change.PushGone})
		case now >= j.Expires:
			c.settle(j, c.s.expired(j, now))
		default:
			if byUser[j.User] == nil {
				users = append(users, j.User)
			}
			byUser[j.User] = append(byUser[j.User], *j)
		}
	}
	if len(users) == 0 {
		return
	}
	rooms := &told{ctx: c.ctx, store: c.s.cfg.Store, rooms: map[toldKey]func() (*toldRoom, error){}}
	for i, on := range c.s.cfg.Foreground(c.ctx, users) {
		w := &writer{s: c.s, user: users[i], told: rooms, texts: map[textKey]*text{}}
		c.working.Go(func() {
			c.writing <- struct{}{}
			c.user(w, byUser[w.user], on)
			<-c.writing
		})
	}
}

// user sends the jobs of the writer's user, who is in the foreground by now, or not. A user
// who looks is told nothing; what a device shows already is still brought up to date.
func (c *crew) user(w *writer, jobs []store.PushJob, foreground bool) {
	for i := range jobs {
		j := &jobs[i]
		if foreground && !j.Shown && j.Room() != "" {
			c.s.metrics.count("", "foreground", "")
			c.settle(j, &change.Pushed{Outcome: change.PushGone})
			continue
		}
		d, n, written, err := w.write(c.ctx, j)
		switch {
		case err != nil:
			c.later(j, err)
		case n == nil:
			c.s.metrics.count(d.Provider, "cancelled", "")
			c.settle(j, &change.Pushed{Outcome: change.PushGone})
		default:
			c.working.Go(func() { c.send(j, &d, n, written) })
		}
	}
}

// later leaves a job for a moment as it is, as something that it needs could not be read.
func (c *crew) later(j *store.PushJob, err error) {
	if c.ctx.Err() == nil {
		c.log.Warn("push: a notification cannot be written, and is tried again", "user", j.User, "err", err)
	}
	c.working.Go(func() {
		select {
		case <-time.After(failPause):
		case <-c.stopping:
		}
		c.landed(j.Key())
	})
}

// send makes one attempt. written is when the newest message that it tells of was, 0 if it
// tells of none.
func (c *crew) send(j *store.PushJob, d *chat.Device, n *push.Notification, written int64) {
	crashpoint.Hit("push-before-send")
	o := c.s.cfg.Gateway.Send(c.ctx, push.Target{Provider: d.Provider, Address: d.Address}, n)
	crashpoint.Hit("push-after-send")
	if c.ctx.Err() != nil && !o.Action.Final() { // cut off: nothing was learned
		c.landed(j.Key())
		return
	}
	now := c.s.cfg.Now().UnixMilli()
	if o.Action == push.Delivered && written > 0 && j.Attempts == 0 {
		c.s.metrics.seconds.WithLabelValues(d.Provider).Observe(float64(now-written) / 1000)
	}
	c.settle(j, c.s.verdict(j, d, &o, now)...)
}

// settle has the lane write down what came of a job. It does not give up before the crew is
// cut off: without it the job would be sent again. It fills in which job a Pushed is of.
func (c *crew) settle(j *store.PushJob, changes ...change.Change) {
	for _, ch := range changes {
		if p, ok := ch.(*change.Pushed); ok {
			of(p, j)
		}
	}
	c.working.Go(func() {
		defer c.landed(j.Key())
		for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
			err := outbox.Submit(c.ctx, lenient{c.s.cfg.Lanes}, changes)
			if err == nil {
				crashpoint.Hit("push-after-outcome")
			}
			if err == nil || c.ctx.Err() != nil {
				return
			}
			c.log.Debug("push: an outcome was not taken, and is told again", "err", err)
			if !sleep(c.ctx, pause) {
				return
			}
		}
	})
}

// of says which job an outcome is of.
func of(p *change.Pushed, j *store.PushJob) {
	p.User, p.Topic, p.Device, p.Made = j.User, j.Topic, j.Device, j.Made
}

// sleep waits, and reports whether ctx has not ended.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
