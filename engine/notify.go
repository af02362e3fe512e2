package engine

import (
	"context"
	"encoding/json"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/outbox"
)

// noticeBytes is what a notice may have as JSON: every service takes it, with what is sent
// beside it.
const noticeBytes = 3072

// noticePage is how many users are told at the same time.
const noticePage = 500

// Notify tells users a notice of the host's on their devices, as their settings allow: all
// members of the room, or the user alone if there is one, for whom the room then only says
// whose settings count. It returns how many have a device that will be told. A notice
// without a name has that of its content: sent again, it takes its own place. What has
// become of a notice after an error is not known; it may be sent again.
// Errors: Invalid, TooLarge, NotFound, Forbidden, Busy.
func (e *Engine) Notify(ctx context.Context, a Actor, user chat.UserID, room chat.RoomID, n *chat.Notice, life time.Duration) (users int, err error) {
	if !a.Server {
		return 0, chat.E(chat.Forbidden, "only an API key may send notifications")
	}
	if e.cfg.Targets == nil {
		return 0, errNoPush
	}
	if err := checkNotice(n, life); err != nil {
		return 0, err
	}
	if user != "" {
		return e.notifyUsers(ctx, []chat.UserID{user}, room, n, life)
	}
	if _, err := e.cfg.Store.Room(room).Room(ctx, room); err != nil {
		return 0, err
	}
	for after := chat.UserID(""); ; {
		page, err := e.cfg.Store.Room(room).Members(ctx, room, chat.RoleNone, after, noticePage)
		if err != nil || len(page) == 0 {
			return users, err
		}
		ids := make([]chat.UserID, len(page))
		for i := range page {
			ids[i] = page[i].User
		}
		told, err := e.notifyUsers(ctx, ids, room, n, life)
		if users += told; err != nil {
			return users, err
		}
		after = ids[len(ids)-1]
	}
}

func checkNotice(n *chat.Notice, life time.Duration) error {
	if err := n.Check(); err != nil {
		return err
	}
	if life < time.Second || life > maxNoticeLife {
		return chat.E(chat.Invalid, "ttl of a notification is 1 to 2419200 seconds (28 days)")
	}
	raw, err := json.Marshal(n)
	if err != nil {
		return chat.Wrap(chat.Internal, "engine.notify", err)
	}
	if len(raw) > noticeBytes {
		return chat.E(chat.TooLarge, "the notification is larger than push services take: title, text and data have 3072 bytes together, as JSON")
	}
	if n.Name == "" {
		n.Name = chat.AddressDigest("notice", string(raw))
	}
	return nil
}

// maxNoticeLife is what push services keep at most.
const maxNoticeLife = 28 * 24 * time.Hour

// notifyUsers returns how many of the users will be told.
func (e *Engine) notifyUsers(ctx context.Context, users []chat.UserID, room chat.RoomID, n *chat.Notice, life time.Duration) (told int, err error) {
	changes := make([]change.Change, len(users))
	for i, u := range users {
		changes[i] = &change.Notify{User: u, Room: room, Notice: n, Life: life.Milliseconds()}
	}
	counted := &counter{Submitter: e.cfg.Lanes, n: make(chan int, len(users))}
	err = outbox.Submit(ctx, counted, changes)
	for len(counted.n) > 0 {
		told += <-counted.n
	}
	return told, later(err)
}

// counter counts the changes that had something to do.
type counter struct {
	outbox.Submitter
	n chan int // has space for all of them
}

func (c *counter) Submit(op change.Change, done change.Done) {
	c.Submitter.Submit(op, func(r change.Reply, err error) {
		if r.Changed {
			c.n <- 1
		}
		done(r, err)
	})
}
