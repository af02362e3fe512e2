package notify

import (
	"context"
	"errors"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/crashpoint"
	"github.com/roomtide/roomtide/push"
	"github.com/roomtide/roomtide/store"
)

// work begins the work on a page of jobs.
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
	if len(users) > 0 {
		c.working.Go(func() { c.page(users, byUser) })
	}
}

// page sends the jobs of users.
func (c *crew) page(users []chat.UserID, jobs map[chat.UserID][]store.PushJob) {
	c.writing <- struct{}{}
	defer func() { <-c.writing }()
	looks := c.s.cfg.Foreground(c.ctx, users)
	rooms := &told{ctx: c.ctx, store: c.s.cfg.Store, rooms: map[toldKey]func() (*toldRoom, error){}}
	for from := 0; from < len(users); from += usersAtOnce {
		to := min(from+usersAtOnce, len(users))
		c.users(users[from:to], looks[from:to], rooms, jobs)
	}
}

// users sends the jobs of some users of a page. What they have, and what is unread, is read
// once for all of them.
func (c *crew) users(users []chat.UserID, looks []bool, rooms *told, jobs map[chat.UserID][]store.PushJob) {
	found, err := c.s.cfg.Store.Recipients(c.ctx, users, maxRooms)
	if err != nil {
		for _, user := range users {
			for i := range jobs[user] {
				c.later(&jobs[user][i], err)
			}
		}
		return
	}
	unread, failed := c.s.cfg.Store.Unread(c.ctx, found)
	for i, user := range users {
		w := newWriter(c.s, rooms, &found[i], unread[i], failed[i])
		c.user(w, jobs[user], looks[i])
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
		c.mu.Lock()
		c.whole = true
		c.mu.Unlock()
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

// outcome is what came of a job, as the changes that say so.
type outcome struct {
	job     store.PushJobKey
	changes []change.Change
}

// settle has the lane write down what came of a job, together with what else ends in these
// moments: a commit for each would take longer than sending. It fills in which job a Pushed is of.
func (c *crew) settle(j *store.PushJob, changes ...change.Change) {
	for _, ch := range changes {
		if p, ok := ch.(*change.Pushed); ok {
			of(p, j)
		}
	}
	c.mu.Lock()
	c.outcomes = append(c.outcomes, outcome{j.Key(), changes})
	first := len(c.outcomes) == 1
	c.mu.Unlock()
	if first {
		c.working.Go(c.writeDown)
	}
}

// writeDown hands the lane the outcomes that gather. It does not give up before the crew is cut
// off: without an outcome its job would be sent again.
func (c *crew) writeDown() {
	select {
	case <-time.After(gather):
	case <-c.stopping:
	}
	c.mu.Lock()
	left := c.outcomes
	c.outcomes = nil
	c.mu.Unlock()
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		var err error
		if left, err = c.submit(left); len(left) == 0 {
			return
		}
		c.log.Debug("push: outcomes were not taken, and are told again", "jobs", len(left), "err", err)
		if !sleep(c.ctx, pause) {
			for i := range left {
				c.landed(left[i].job)
			}
			return
		}
	}
}

// submit submits outcomes, all at once, and returns those that were not taken, with an error
// that one of them met.
func (c *crew) submit(all []outcome) (left []outcome, failed error) {
	errs := make([]chan error, len(all))
	lanes := lenient{c.s.cfg.Lanes}
	for i := range all {
		errs[i] = make(chan error, len(all[i].changes))
		for _, ch := range all[i].changes {
			lanes.Submit(ch, func(_ change.Reply, err error) { errs[i] <- err })
		}
	}
	var landed []store.PushJobKey
	for i := range all {
		var err error
		for range all[i].changes {
			select {
			case e := <-errs[i]:
				err = errors.Join(err, e)
			case <-c.ctx.Done():
				err = c.ctx.Err()
			}
		}
		if err != nil {
			left, failed = append(left, all[i]), err
			continue
		}
		crashpoint.Hit("push-after-outcome")
		landed = append(landed, all[i].job)
	}
	c.landed(landed...)
	return left, failed
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
