// Package notify tells members who are away of what was written: by way of jobs, which lie
// in the shard of the user they are for.
//
//	outbox ──> Jobs: who is away? ── change.Notify ──> lane of the user: the jobs
//	job that is due ──> Sender: text, badge ──> push.Gateway ── change.Pushed ──> lane of the user
//
// What a user wants to be told, and has read, lies beside the jobs: the lane of the user
// decides it. Everything may happen again after a crash. A job that was made twice is one
// job; a notification that was sent twice has the same id and the same collapse key, and
// takes its own place on the screen.
package notify

import (
	"context"
	"slices"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/crashpoint"
	"github.com/roomtide/roomtide/outbox"
	"github.com/roomtide/roomtide/store"
)

// Foreground reports of each of the users whether a connection of theirs is looked at,
// on any node. It takes little time, and what is not known is false.
type Foreground func(ctx context.Context, users []chat.UserID) []bool

// JobsConfig configures Jobs. Store, Lanes and Foreground are required.
type JobsConfig struct {
	Store      *store.Store
	Lanes      outbox.Submitter
	Foreground Foreground

	Off     bool             // no push service is used: no job is made
	Delay   time.Duration    // until a job is due
	TTL     time.Duration    // after which it is not told any more; default a day
	Members int              // in rooms with more than these only those who are mentioned are told; default 200
	Now     func() time.Time // default time.Now
}

// Jobs returns the consumer that makes jobs of new messages, for members who are not in the
// foreground. It starts with the first commit after it was registered.
func Jobs(cfg JobsConfig) outbox.Consumer {
	if cfg.TTL == 0 {
		cfg.TTL = 24 * time.Hour
	}
	if cfg.Members == 0 {
		cfg.Members = 200
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	j := &jobs{cfg: cfg}
	for range cfg.Store.Shards() {
		j.rosters = append(j.rosters, newRoster(cfg.Members, cfg.Now))
	}
	return outbox.Consumer{Name: "push-jobs", Start: outbox.FromNow, Parts: j.parts}
}

type jobs struct {
	cfg     JobsConfig // set once
	rosters []*roster  // by shard; each is used by the worker of the shard alone
}

// news is the new messages of a room.
type news struct {
	room     chat.RoomID
	large    bool // those who are mentioned alone are told
	first    chat.Seq
	last     chat.Seq
	users    []chat.UserID  // who may be told
	edited   bool           // first is a message that was edited: those whom it mentions are told
	messages []chat.Message // nil: not read yet
}

// parts divides the jobs of an entry by the shards of their users.
func (j *jobs) parts(ctx context.Context, shard int, e *store.Entry) ([]outbox.Part, error) {
	if j.cfg.Off {
		return nil, nil
	}
	all, err := j.newsOf(ctx, shard, e)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	away := j.away(ctx, all)
	by := outbox.Targets[change.Change]{}
	for i := range all {
		if err := j.notify(ctx, shard, &all[i], away, by); err != nil {
			return nil, err
		}
	}
	return by.Parts(j.submit), nil
}

// mostRead is how many new messages of a room are looked at in one entry, the newest.
const mostRead = 256

// newsOf returns the rooms of an entry that have new messages, and whom these may concern.
func (j *jobs) newsOf(ctx context.Context, shard int, e *store.Entry) (all []news, err error) {
	reader, roster := &j.cfg.Store.Shards()[shard].Reader, j.rosters[shard]
	roster.begin(j.cfg.Store.MapVersion())
	for i := range e.Rooms {
		span := &e.Rooms[i]
		if len(span.Members) > 0 {
			roster.forget(span.Room)
		}
		if all, err = j.edits(ctx, reader, span, all); err != nil {
			return nil, err
		}
		n := news{room: span.Room}
		for c := range span.Changes() {
			if c.Kind == chat.EventMessage && !c.History {
				if n.first == 0 {
					n.first = c.Seq
				}
				n.last = c.Seq
			}
		}
		if n.last == 0 {
			continue
		}
		n.first = max(n.first, n.last-mostRead+1)
		users, large, err := roster.of(ctx, reader, n.room)
		if err != nil {
			return nil, err
		}
		if n.users, n.large = users, large; large {
			if err := j.read(ctx, reader, &n); err != nil {
				return nil, err
			}
			n.users = mentioned(n.messages)
		}
		if len(n.users) > 0 {
			all = append(all, n)
		}
	}
	return all, nil
}

// edits adds news of each message that was edited, for those whom it mentions now: the lane
// of each of them knows whether they were told so before.
func (j *jobs) edits(ctx context.Context, reader *store.Reader, span *store.RoomSpan, all []news) ([]news, error) {
	var seen []chat.Seq
	for c := range span.Changes() {
		if c.Kind != chat.EventEdited || c.History || slices.Contains(seen, c.Seq) || len(seen) == mostRead {
			continue
		}
		seen = append(seen, c.Seq)
		n := news{room: span.Room, edited: true, first: c.Seq, last: c.Seq}
		if err := j.read(ctx, reader, &n); err != nil {
			return nil, err
		}
		if n.users = mentioned(n.messages); len(n.users) > 0 {
			all = append(all, n)
		}
	}
	return all, nil
}

// read reads the messages of news.
func (j *jobs) read(ctx context.Context, reader *store.Reader, n *news) (err error) {
	page := store.Page{After: n.first - 1, Limit: int(n.last - n.first + 1)}
	if page.After == 0 {
		page.After = store.FromStart
	}
	n.messages, _, err = reader.Messages(ctx, n.room, page)
	if n.messages == nil {
		n.messages = []chat.Message{}
	}
	return err
}

// away returns the users whom some news may concern and who are not in the foreground.
func (j *jobs) away(ctx context.Context, all []news) map[chat.UserID]bool {
	away := map[chat.UserID]bool{}
	var users []chat.UserID
	for i := range all {
		for _, u := range all[i].users {
			if _, known := away[u]; !known {
				away[u] = false
				users = append(users, u)
			}
		}
	}
	for i, on := range j.cfg.Foreground(ctx, users) {
		away[users[i]] = !on
	}
	return away
}

// notify adds what follows from news of a room for those who are away. The messages are
// read only if there is one.
func (j *jobs) notify(ctx context.Context, shard int, n *news, away map[chat.UserID]bool, by outbox.Targets[change.Change]) error {
	for _, user := range n.users {
		if !away[user] {
			continue
		}
		if n.messages == nil {
			if err := j.read(ctx, &j.cfg.Store.Shards()[shard].Reader, n); err != nil {
				return err
			}
		}
		if c := j.about(n, user); c != nil {
			by.Add(j.cfg.Store.ShardOf(user.Slot()), c, c.Size())
		}
	}
	return nil
}

// about is what a user is told of news: the newest message of another that is not too old;
// nil: nothing.
func (j *jobs) about(n *news, user chat.UserID) change.Change {
	c := &change.Notify{User: user, Room: n.room, Edited: n.edited, Delay: j.cfg.Delay.Milliseconds(), Life: j.cfg.TTL.Milliseconds()}
	oldest := j.cfg.Now().Add(-j.cfg.TTL).UnixMilli()
	for i := range n.messages {
		m := &n.messages[i]
		mention := slices.Contains(m.Mentions, user)
		if m.User == user || (n.large || n.edited) && !mention || m.Deleted || m.Time < oldest || m.Seq < n.first || m.Seq > n.last {
			continue
		}
		c.Seq = max(c.Seq, m.Seq)
		c.Mention = c.Mention || mention
	}
	if c.Seq == 0 {
		return nil
	}
	return c
}

// submit hands changes to the lanes of their users.
func (j *jobs) submit(ctx context.Context, changes []change.Change) error {
	crashpoint.Hit("push-before-jobs")
	err := outbox.Submit(ctx, lenient{j.cfg.Lanes}, changes)
	crashpoint.Hit("push-after-jobs")
	return err
}

// lenient takes a change that the lane will never take for done: another attempt would end
// in the same way.
type lenient struct{ outbox.Submitter }

func (l lenient) Submit(c change.Change, done change.Done) {
	l.Submitter.Submit(c, func(r change.Reply, err error) {
		switch chat.KindOf(err) {
		case chat.Invalid, chat.TooLarge, chat.NotMember, chat.NotFound, chat.Forbidden:
			err = nil
		}
		done(r, err)
	})
}
