package session

import (
	"context"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/hub"
	"github.com/roomtide/roomtide/wire"
)

// Recover takes a client that comes back into the rooms that are pending on its
// connection (hub.Conn.SetPending), if any, and sends it what it has missed there,
// as the events of each room in order, before anything that happens now. It returns
// when everything was queued. After an error the connection has to be closed; what
// the client has by then is in hub.Conn.Delivered, so it can come back again.
//
// For a room that the user may not be in any more the client gets an event member,
// for a room whose history is another one by now (a restored backup) a gap.
func (s *Session) Recover(ctx context.Context) error {
	for _, p := range s.conn.Pending() {
		if err := s.resume(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// resume continues in one room, page by page, as fast as the client reads.
func (s *Session) resume(ctx context.Context, have hub.Position) error {
	for rev := have.Rev; ; {
		reply, err := s.resubscribe(ctx, have.Room, rev)
		switch kind := chat.KindOf(err); {
		case err != nil && (kind == chat.Internal || kind.Retryable()):
			return err
		case err != nil:
			s.conn.SendEnd(&chat.Event{
				Kind: chat.EventMember, Room: have.Room, Rev: have.Rev,
				Member: &chat.Member{User: s.actor.User, Rev: have.Rev},
			})
			return nil
		case reply.Reset:
			s.unsubscribe(have.Room)
			s.conn.SendGap(have.Room, have.Rev)
			return nil
		}
		// Where the membership has ended meanwhile the next round says so.
		if s.conn.Replay(have.Room, rev, reply.Rev, missed(reply, have.Rev)) {
			rev = reply.Rev
		}
		live := !reply.Partial && s.goLive(have.Room, reply, nil)
		if err := s.conn.Flush(ctx); err != nil {
			return err
		}
		if live {
			return nil
		}
	}
}

// missed is the events that a reply holds for a client that had since.
func missed(reply *wire.JoinReply, since chat.Rev) []*chat.Event {
	d := chat.Delta{
		Room: *reply.Room, Rev: reply.Rev, Messages: reply.Messages, Members: reply.Members,
		Info: reply.Room.InfoRev > since,
	}
	events := d.Events(since)
	if reply.Partial {
		return events
	}
	return append(events, &chat.Event{Kind: chat.EventPresence, Room: d.Room.ID, Presence: &chat.Presence{Online: reply.Count, Degraded: reply.Degraded}})
}

// resubscribe subscribes and returns what happened after rev. The client has sent no
// command, so there is none to answer with retry_after: resubscribe waits instead,
// up to most times.
func (s *Session) resubscribe(ctx context.Context, room chat.RoomID, rev chat.Rev) (*wire.JoinReply, error) {
	const most = 8
	for n := 1; ; n++ {
		reply, err := s.subscribe(ctx, room, engine.JoinOptions{After: &rev, Again: true})
		if err == nil {
			return reply, nil
		}
		wait := chat.Public(err).RetryAfter
		if wait == 0 || n == most {
			return nil, err
		}
		later := time.NewTimer(time.Duration(wait) * time.Millisecond)
		select {
		case <-later.C:
		case <-ctx.Done():
			later.Stop()
			return nil, chat.Wrap(chat.Unavailable, "session.recover", ctx.Err())
		}
	}
}
