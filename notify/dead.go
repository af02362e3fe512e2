package notify

import (
	"context"
	"sync"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/outbox"
	"github.com/roomtide/roomtide/push"
	"github.com/roomtide/roomtide/store"
)

// Dead is a notification that was given up. It is kept for a week.
type Dead struct {
	User     chat.UserID `json:"user"`
	Room     chat.RoomID `json:"room,omitempty"` // "": it was the host's own
	Device   string      `json:"device"`
	Attempts int         `json:"attempts"`
	Reason   string      `json:"reason"`
	Made     int64       `json:"made"` // Unix milliseconds
}

// deadPage is how many dead letters are read, and changed, at a time.
const deadPage = 500

// Dead returns up to limit dead letters of all shards, those of one user unless it is
// empty; more says that there are others.
func (s *Sender) Dead(ctx context.Context, user chat.UserID, limit int) (dead []Dead, more bool, err error) {
	err = s.eachDead(ctx, user, func(page []store.PushJob) (bool, error) {
		for i := range page {
			if len(dead) == limit {
				more = true
				return false, nil
			}
			j := &page[i]
			dead = append(dead, Dead{j.User, j.Room(), j.Device, j.Attempts, j.Reason, j.Made})
		}
		return true, nil
	})
	return dead, more, err
}

// Retry has dead letters sent after all, those of one user unless it is empty, and returns
// how many. life is how long they are worth something from now on.
func (s *Sender) Retry(ctx context.Context, user chat.UserID, life time.Duration) (int, error) {
	now := s.cfg.Now()
	return s.changeDead(ctx, user, change.Pushed{
		Outcome: change.PushLater, Due: now.UnixMilli(), Expires: now.Add(life).UnixMilli(),
	})
}

// Drop deletes dead letters, those of one user unless it is empty, and returns how many.
func (s *Sender) Drop(ctx context.Context, user chat.UserID) (int, error) {
	return s.changeDead(ctx, user, change.Pushed{Outcome: change.PushGone})
}

func (s *Sender) changeDead(ctx context.Context, user chat.UserID, as change.Pushed) (n int, err error) {
	err = s.eachDead(ctx, user, func(page []store.PushJob) (bool, error) {
		changes := make([]change.Change, len(page))
		for i := range page {
			p := as
			of(&p, &page[i])
			changes[i] = &p
		}
		n += len(page)
		return true, outbox.Submit(ctx, s.cfg.Lanes, changes)
	})
	return n, err
}

// eachDead calls f with pages of dead letters until it returns false or an error.
func (s *Sender) eachDead(ctx context.Context, user chat.UserID, f func([]store.PushJob) (bool, error)) error {
	for _, shard := range s.cfg.Store.Shards() {
		if user != "" && shard != s.cfg.Store.Shards()[s.cfg.Store.ShardOf(user.Slot())] {
			continue
		}
		for after := (store.PushJobKey{}); ; {
			page, last, err := shard.DeadPushJobs(ctx, after, deadPage)
			if err != nil {
				return err
			}
			var mine []store.PushJob
			for _, j := range page {
				if user == "" || j.User == user {
					mine = append(mine, j)
				}
			}
			if len(mine) > 0 {
				if on, err := f(mine); err != nil || !on {
					return err
				}
			}
			if after = last; last == (store.PushJobKey{}) {
				break
			}
		}
	}
	return nil
}

// Trial is what came of a notification that was sent to see whether pushing works.
type Trial struct {
	Device   string `json:"device"`
	Provider string `json:"provider"`
	Language string `json:"language,omitempty"` // of the device; empty: it has not said
	Action   string `json:"action"`             // push.Action
	Reason   string `json:"reason"`             // of the service
	Error    string `json:"error,omitempty"`    // what went wrong, in more words
	ID       string `json:"id,omitempty"`       // the service's name for what it took
	Millis   int64  `json:"millis"`             // that the service took to answer
	Again    int64  `json:"again,omitempty"`    // milliseconds until the service is asked again
}

// trialLife is how long a service keeps a trial for a device that is off.
const trialLife = 10 * time.Minute

// Try sends a notification to each device of the user at once, beside all jobs, and
// returns what the services say. Nothing follows from it: a device that is gone stays.
func (s *Sender) Try(ctx context.Context, user chat.UserID, title, text string) ([]Trial, error) {
	devices, err := s.cfg.Store.User(user).Devices(ctx, user)
	if err != nil {
		return nil, err
	}
	trials := make([]Trial, len(devices))
	var sending sync.WaitGroup
	for i, d := range devices {
		sending.Go(func() { trials[i] = s.tryDevice(ctx, &d, title, text) })
	}
	sending.Wait()
	return trials, nil
}

func (s *Sender) tryDevice(ctx context.Context, d *chat.Device, title, text string) Trial {
	now := s.cfg.Now()
	w := &writer{s: s, user: d.User}
	j := &store.PushJob{User: d.User, Device: d.ID, Topic: "test", Made: now.UnixMilli()}
	began := time.Now()
	o := s.cfg.Gateway.Send(ctx, push.Target{Provider: d.Provider, Address: d.Address}, &push.Notification{
		ID: w.id(j), Title: title, Text: text, Collapse: w.digest("collapse", j.Topic), Expires: now.Add(trialLife),
	})
	t := Trial{
		Device: d.ID, Provider: d.Provider, Language: d.Language, Action: o.Action.String(), Reason: o.Reason, ID: o.ID,
		Millis: time.Since(began).Milliseconds(), Again: o.After.Milliseconds(),
	}
	if o.Err != nil {
		t.Error = o.Err.Error()
	}
	return t
}
