package notify

import (
	"math/rand/v2"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/push"
	"github.com/roomtide/roomtide/store"
)

const (
	firstRetry = 5 * time.Second // doubled with each attempt
	lastRetry  = 15 * time.Minute
	deadLife   = 7 * 24 * time.Hour // of dead letters
)

// verdict is what follows from the outcome of an attempt.
func (s *Sender) verdict(j *store.PushJob, d *chat.Device, o *push.Outcome, now int64) []change.Change {
	switch {
	case o.Action == push.Delivered:
		s.metrics.count(d.Provider, "sent", "")
		return []change.Change{&change.Pushed{Outcome: change.PushSent}}
	case o.Action == push.Expired:
		return []change.Change{s.expired(j, now)}
	case o.Action == push.Dead:
		// A device that was registered again since is alive, and keeps its job.
		s.metrics.count(d.Provider, "gone", o.Reason)
		drop := &change.DropDevice{User: d.User, Device: d.ID, Digest: d.Digest()}
		if !o.Since.IsZero() {
			drop.Before = o.Since.UnixMilli()
		}
		return []change.Change{drop, s.retry(j, d.Provider, o, now)}
	case o.Action.Final(): // the service will never take it
		s.metrics.count(d.Provider, "dead", o.Reason)
		return []change.Change{dead(j.Attempts+1, o.Reason, now)}
	}
	return []change.Change{s.retry(j, d.Provider, o, now)}
}

// retry is the next attempt: when the service says, else after a pause that doubles. Part of
// it is left to chance, so that jobs do not come back together. There is none beyond the
// time to live.
func (s *Sender) retry(j *store.PushJob, provider string, o *push.Outcome, now int64) change.Change {
	pause := o.After
	if pause == 0 {
		pause = min(firstRetry<<min(j.Attempts, 20), lastRetry)
	}
	pause += rand.N(pause/4 + 1)
	attempts := j.Attempts + 1
	if o.Reason == "paused" || o.Reason == "silent" { // there was none
		attempts = j.Attempts
	}
	due := now + pause.Milliseconds()
	if due >= j.Expires {
		s.metrics.count(provider, "dead", o.Reason)
		return dead(attempts, o.Reason, now)
	}
	s.metrics.count(provider, "retried", o.Reason)
	return &change.Pushed{Outcome: change.PushLater, Due: due, Attempts: attempts, Reason: o.Reason}
}

// expired is the end of a job whose time is over: a dead letter if its service is why.
func (s *Sender) expired(j *store.PushJob, now int64) change.Change {
	if j.Reason == "" {
		s.metrics.count("", "expired", "")
		return &change.Pushed{Outcome: change.PushGone}
	}
	s.metrics.count("", "dead", "expired")
	return dead(j.Attempts, j.Reason, now)
}

func dead(attempts int, reason string, now int64) change.Change {
	return &change.Pushed{Outcome: change.PushFailed, Due: now + deadLife.Milliseconds(), Attempts: attempts, Reason: reason}
}
