package engine

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/wire"
)

// One call of DeleteMessages ends when it has looked at sweepRows messages or
// deleted sweepDeletes, whichever is first. It looks at sweepStep at a time, so that
// no more than these wait in the lanes.
const (
	sweepRows    = 50_000
	sweepDeletes = 1000
	sweepStep    = 250
)

// DeleteMessages makes tombstones of messages that a user has written, in all rooms,
// for the host's back end. One call does a bounded part of the work: as long as there
// is More, the call is repeated with after = Next. A call that failed is repeated as
// it was; so is the whole, which leaves alone what is deleted.
func (e *Engine) DeleteMessages(ctx context.Context, a Actor, user chat.UserID, after string) (*wire.RemovedReply, error) {
	if !a.Server {
		return nil, chat.E(chat.Forbidden, "only an API key may delete the messages of a user")
	}
	at, err := parseSweep(after)
	if err != nil || at.shard >= len(e.cfg.Store.Shards()) {
		return nil, chat.E(chat.Invalid, "after is not the next of an answer before")
	}
	reply := &wire.RemovedReply{}
	for rows := 0; rows < sweepRows && reply.Deleted < sweepDeletes; rows += sweepStep {
		found, last, err := e.cfg.Store.Shards()[at.shard].MessagesBy(ctx, user, at.ref, sweepStep)
		if err != nil {
			return nil, err
		}
		n, err := e.deleteAll(ctx, found)
		if err != nil {
			return nil, err
		}
		reply.Deleted += n
		if at.ref = last; last == (store.MessageRef{}) {
			at.shard++
		}
		if at.shard == len(e.cfg.Store.Shards()) {
			return reply, nil
		}
	}
	reply.More, reply.Next = true, at.String()
	return reply, nil
}

// deleteAll deletes messages at the same time and returns how many were not deleted
// yet. Those of rooms that are gone meanwhile are gone too.
func (e *Engine) deleteAll(ctx context.Context, refs []store.MessageRef) (deleted int, err error) {
	type outcome struct {
		changed bool
		err     error
	}
	outcomes := make(chan outcome, len(refs))
	for _, ref := range refs {
		e.cfg.Lanes.Submit(&change.Delete{Room: ref.Room, Seq: ref.Seq, Server: true}, func(r change.Reply, err error) {
			outcomes <- outcome{r.Changed, err}
		})
	}
	var errs []error
	for range refs {
		select {
		case o := <-outcomes:
			if o.err != nil && chat.KindOf(o.err) != chat.NotFound {
				errs = append(errs, o.err)
			}
			if o.changed {
				deleted++
			}
		case <-ctx.Done():
			return 0, &chat.Error{Kind: chat.Unavailable, Op: "engine.delete_messages", Err: ctx.Err()}
		}
	}
	if len(errs) > 0 {
		return 0, errors.Join(errs...)
	}
	return deleted, nil
}

// sweep is how far DeleteMessages has come: a shard, and the last message of it that
// was looked at.
type sweep struct {
	shard int
	ref   store.MessageRef
}

func (s sweep) String() string {
	return strconv.Itoa(s.shard) + " " + strconv.FormatInt(int64(s.ref.Seq), 10) + " " + string(s.ref.Room)
}

// parseSweep reads what String has written. The empty text is the start.
func parseSweep(text string) (s sweep, err error) {
	if text == "" {
		return s, nil
	}
	shard, rest, _ := strings.Cut(text, " ")
	seq, room, _ := strings.Cut(rest, " ")
	s.ref.Room = chat.RoomID(room)
	n, err := strconv.ParseInt(seq, 10, 64)
	if err != nil {
		return s, err
	}
	s.ref.Seq = chat.Seq(n)
	if s.shard, err = strconv.Atoi(shard); s.shard < 0 {
		err = strconv.ErrRange
	}
	return s, err
}
