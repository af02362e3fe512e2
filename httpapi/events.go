package httpapi

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/hub"
	"github.com/roomtide/roomtide/identity"
)

// events streams the events of the room: first everything the client has missed,
// then live ones, with nothing left out or repeated between the two. The hub's
// subscription is opened before the room is read, and starts after the rev that was
// read, as on every transport.
func (c *call) events() (answer, error) {
	if c.r.Method != http.MethodGet {
		return answer{}, chat.E(chat.Invalid, "an event stream has to be read")
	}
	after, err := c.lastEvent()
	if err != nil {
		return answer{}, err
	}
	release, err := c.takeStream()
	if err != nil {
		return answer{}, err
	}
	defer release()
	c.cfg.OnStream(c.r)
	s := newStream(c.w)
	conn, ended, detach := c.attach(s)
	defer detach()
	rev, err := c.enter(conn)
	if err == nil {
		rev, err = c.begin(s, rev, after)
	}
	switch {
	case err == nil:
		conn.Resume(c.room, rev)
		c.watch(conn, ended)
	case s.abandon():
		return answer{}, err
	default:
		c.log.Debug("an event stream broke off", "err", err)
	}
	return answer{}, nil
}

// attach makes the stream a connection of the hub. ended is closed when the link
// has ended; detach ends it and waits for that, as the response must not be touched
// after the handler has returned.
func (c *call) attach(s *stream) (conn *hub.Conn, ended <-chan struct{}, detach func()) {
	link := hub.NewBufferedLink(s, 0, s.goodbye)
	conn = c.cfg.Hub.Attach(link, sse{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = link.Run() // fails when the client went away
	}()
	if c.id.Kind == identity.Guest {
		conn.SetGuest()
	}
	if c.id.Kind != identity.Server {
		conn.SetUser(c.id.User)
		if c.ended() {
			conn.Close(chat.ByeRevoked)
		}
	}
	return conn, done, func() {
		conn.Detach()
		link.Close(chat.ByeTimeout)
		<-done
	}
}

// lastEvent is the rev that the client has: Last-Event-ID, or ?after= for a new
// stream. nil: from now on.
func (c *call) lastEvent() (*chat.Rev, error) {
	s := c.r.Header.Get("Last-Event-ID")
	if s == "" {
		s = c.r.URL.Query().Get("after")
	}
	if s == "" {
		return nil, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return nil, chat.E(chat.Invalid, "Last-Event-ID or after is not a rev")
	}
	rev := chat.Rev(n)
	return &rev, nil
}

// enter opens the subscription, joins the room and returns its rev. A membership that
// ends meanwhile is not begun again.
func (c *call) enter(conn *hub.Conn) (chat.Rev, error) {
	if err := chat.CheckRef("room", string(c.room), c.cfg.Limits.IDBytes); err != nil {
		return 0, err
	}
	for again := false; ; again = true {
		if err := conn.Subscribe(c.room); err != nil {
			return 0, err
		}
		rev, err := c.admitted(again)
		if err != nil {
			return 0, err
		}
		if conn.Enter(c.room, rev, nil) {
			return rev, nil
		}
	}
}

// admitted makes the user a member, if need be and unless again, and returns the rev of
// the room. An API key reads every room and joins none, in whatever name.
func (c *call) admitted(again bool) (chat.Rev, error) {
	if c.actor.Server {
		r, err := c.cfg.Engine.GetRoom(c.ctx, c.actor, c.room)
		if err != nil {
			return 0, err
		}
		return r.Room.Rev, nil
	}
	joined, err := c.cfg.Engine.Join(c.ctx, c.actor, c.room, engine.JoinOptions{Limit: 1, Again: again})
	if err != nil {
		return 0, err
	}
	return joined.Rev, nil
}

// begin writes what the client missed and returns the rev after which live events
// follow. now is the rev of the room.
func (c *call) begin(s *stream, now chat.Rev, after *chat.Rev) (chat.Rev, error) {
	// Streams that ended at the same time should not reconnect at the same time.
	head := fmt.Appendf(nil, "retry: %d\n", 1000+rand.IntN(4000))
	if after != nil {
		return c.catchUp(s, append(appendEventID(head, *after), '\n'), *after)
	}
	_, err := s.Write(append(appendEventID(head, now), '\n'))
	return now, err
}

// catchUp writes head and what changed after a rev, in pages, and returns the
// rev it has come to.
func (c *call) catchUp(s *stream, head []byte, since chat.Rev) (chat.Rev, error) {
	rev := since
	for {
		d, err := c.changesAfter(rev)
		if err != nil {
			return 0, err
		}
		if d.Reset {
			head = appendEventID(head, d.Rev)
			head = append(head, "event: reset\n"...)
			head = appendData(head, func(dst []byte) []byte { return fmt.Appendf(dst, `{"type":"reset","rev":%d}`, d.Rev) })
			head = append(head, '\n')
		}
		for _, ev := range d.Events(since) {
			head = sse{}.AppendEvent(head, ev)
		}
		if err := c.writeHeld(s, head); err != nil {
			return 0, err
		}
		if rev, head = d.Rev, head[:0]; !d.More {
			return rev, nil
		}
	}
}

// writeHeld writes a page of a stream, which counts as held while its reader takes
// it.
func (c *call) writeHeld(s *stream, page []byte) error {
	if err := c.hold(len(page)); err != nil {
		return err
	}
	defer c.cfg.Hub.Release(len(page))
	_, err := s.Write(page)
	return err
}

func (c *call) changesAfter(rev chat.Rev) (*chat.Delta, error) {
	ctx, cancel := context.WithTimeout(c.r.Context(), requestTime)
	defer cancel()
	r, err := c.cfg.Engine.Changes(ctx, c.actor, c.room, rev, 0)
	if err != nil {
		return nil, err
	}
	return r.Delta, nil
}

// watch keeps the stream until it ends: by the client, its own age, the expiry of the
// token, the hub (revoked, too slow, draining), the end of the API key, or the loss of
// the subscription, which the next heartbeat detects.
func (c *call) watch(conn *hub.Conn, ended <-chan struct{}) {
	beat := time.NewTicker(c.heartbeat)
	defer beat.Stop()
	old := c.end()
	defer old.Stop()
	look, stop := c.looks()
	defer stop()
	var expired <-chan time.Time
	if !c.id.Expires.IsZero() {
		t := time.NewTimer(time.Until(c.id.Expires))
		defer t.Stop()
		expired = t.C
	}
	for {
		select {
		case <-c.r.Context().Done():
			return
		case <-ended:
			return
		case <-old.C:
			conn.Send([]byte(again))
			conn.Close(chat.Goodbye{})
		case <-expired:
			conn.Close(chat.ByeExpired)
		case <-look:
			if c.ended() {
				conn.Close(chat.ByeRevoked)
			}
		case <-beat.C:
			switch {
			case !conn.Subscribed(c.room):
				conn.Close(chat.ByeForbidden)
			default:
				conn.Send([]byte(":\n\n"))
			}
		}
	}
}

// looks is when to look at the API key of the stream; the credentials of users end
// through the hub. stop ends it.
func (c *call) looks() (look <-chan time.Time, stop func()) {
	if c.id.Kind != identity.Server {
		return nil, func() {}
	}
	t := time.NewTicker(keyTime)
	return t.C, t.Stop
}
