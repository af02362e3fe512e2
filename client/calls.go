package client

import (
	"context"
	"slices"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/wire"
)

// do sends a command and waits for its reply. While there is no connection it waits
// for one, and it sends again when the connection is lost before the reply: every
// command but a message may be sent twice. begin, if not nil,
// runs in the reading goroutine, before anything that follows a good answer on
// the wire is handled.
func (c *Client) do(ctx context.Context, cmd wire.Command, begin func(*wire.ServerFrame)) (*wire.ServerFrame, error) {
	defer c.events.calling()()
	for {
		got := make(chan *wire.ServerFrame, 1)
		c.mu.Lock()
		if c.err != nil {
			defer c.mu.Unlock()
			return nil, c.err
		}
		there, changed := c.link != nil, c.changed
		if there {
			c.command(&cmd, &call{done: func(f *wire.ServerFrame) {
				got <- f
				if begin != nil && f != nil && f.Err == nil {
					begin(f)
				}
			}})
			changed = nil
		}
		c.mu.Unlock()
		select {
		case f := <-got:
			if f == nil {
				continue
			}
			if f.Err != nil {
				return nil, f.Err
			}
			return f, nil
		case <-changed:
		case <-ctx.Done():
			c.mu.Lock()
			delete(c.calls, cmd.ID)
			c.mu.Unlock()
			return nil, ctx.Err()
		}
	}
}

// JoinOptions say where the events of a room begin.
type JoinOptions struct {
	// After is where the consumer stands from an earlier time: everything since
	// arrives in Events. Without it the newest messages are in the answer and
	// Events goes on from there.
	After *Position
	Limit int // how many of the newest messages; 0: the server's default
	Around
}

// Joined is a room as it is when it is joined.
type Joined struct {
	At          Position
	Role        chat.Role
	Info        chat.Room      // title, rules, topic, avatar and data
	Messages    []chat.Message // the newest ones, ascending; none with After
	More        bool           // there are older ones
	Members     []chat.Member  // the first page; none with After
	MemberCount int
	Online      []chat.UserID // the first page
	OnlineCount int
	Degraded    bool             // Online and OnlineCount are as chat.Online says
	Read        chat.Seq         // the user's read mark
	Unread      wire.UnreadCount // behind it; From is the first
	Newer       bool             // with Around: there are messages between the last of Messages and At
}

// Around is a place in a room's messages. The zero value is none.
type Around struct {
	Seq  chat.Seq // the message with this number
	Read bool     // the first unread message, or the end of the room
}

// Join enters a room. Its events arrive until Leave, over every connection to
// come.
func (c *Client) Join(ctx context.Context, id chat.RoomID, o JoinOptions) (*Joined, error) {
	r := &room{id: id, joining: true}
	cmd := wire.Command{Type: wire.Join, Room: id, Limit: o.Limit, Around: o.Seq, AroundRead: o.Read}
	if o.After != nil {
		r.rev, r.at = o.After.Rev, *o.After
		cmd.After, cmd.HasAfter, cmd.Limit = int64(o.After.Rev), true, 0
	}
	c.mu.Lock()
	if c.rooms[id] != nil {
		c.mu.Unlock()
		return nil, chat.E(chat.Invalid, "this room is joined already")
	}
	c.rooms[id] = r
	c.mu.Unlock()
	f, err := c.do(ctx, cmd, func(f *wire.ServerFrame) { c.joined(r, f, o.After != nil) })
	if err != nil {
		c.mu.Lock()
		if c.rooms[id] == r {
			delete(c.rooms, id)
		}
		c.mu.Unlock()
		return nil, err
	}
	j := &Joined{
		At: Position{f.Rev, f.Seq}, Role: f.Role, More: f.More,
		MemberCount: f.MemberCount, Online: f.Online, OnlineCount: f.OnlineCount, Degraded: f.Degraded,
		Read: f.Read, Unread: f.Unread, Newer: f.Newer,
	}
	if f.Info != nil {
		j.Info = *f.Info
	}
	if o.After == nil {
		j.Messages, j.Members = f.Messages, f.Members
	} else {
		j.At, j.More = *o.After, false
	}
	return j, nil
}

// joined is the beginning of a room in the reading goroutine.
func (c *Client) joined(r *room, f *wire.ServerFrame, after bool) {
	c.mu.Lock()
	r.established = true
	c.mu.Unlock()
	r.joining = false
	switch {
	case !after:
		r.start(f)
	case f.Reset:
		c.resetRoom(r, f)
	default:
		if f.Info != nil {
			r.info = *f.Info
		}
		c.catchUp(r, f)
	}
}

// Leave ends the membership. The last event of the room is Left.
func (c *Client) Leave(ctx context.Context, room chat.RoomID) error {
	_, err := c.do(ctx, wire.Command{Type: wire.Leave, Room: room}, func(*wire.ServerFrame) {
		if r := c.room(room); r != nil {
			c.dropRoom(r, nil)
		}
	})
	return err
}

// Edit replaces the text of a message and returns the rev of the change.
func (c *Client) Edit(ctx context.Context, room chat.RoomID, seq chat.Seq, text string) (chat.Rev, error) {
	return c.change(ctx, wire.Command{Type: wire.Edit, Room: room, Seq: seq, Text: text, HasText: true})
}

// Delete makes a tombstone of a message.
func (c *Client) Delete(ctx context.Context, room chat.RoomID, seq chat.Seq) (chat.Rev, error) {
	return c.change(ctx, wire.Command{Type: wire.Delete, Room: room, Seq: seq})
}

// React puts an emoji under a message, or takes it away.
func (c *Client) React(ctx context.Context, room chat.RoomID, seq chat.Seq, emoji string, on bool) (chat.Rev, error) {
	return c.change(ctx, wire.Command{Type: wire.React, Room: room, Seq: seq, Emoji: emoji, On: &on})
}

func (c *Client) change(ctx context.Context, cmd wire.Command) (chat.Rev, error) {
	f, err := c.do(ctx, cmd, nil)
	if err != nil {
		return 0, err
	}
	return f.Rev, nil
}

// Read marks everything up to seq as read and returns what is unread after it.
func (c *Client) Read(ctx context.Context, room chat.RoomID, seq chat.Seq) (unread wire.UnreadCount, err error) {
	f, err := c.do(ctx, wire.Command{Type: wire.Read, Room: room, Seq: seq}, nil)
	if err != nil {
		return unread, err
	}
	return f.Unread, nil
}

// Typing publishes that the user is writing, or has stopped. It is not repeated and
// may be lost.
func (c *Client) Typing(room chat.RoomID, on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link != nil {
		c.link.queue(&wire.Command{Type: wire.Typing, Room: room, On: &on})
	}
}

// Foreground says whether what the client shows is looked at. Users who are in the
// foreground nowhere get push notifications. Each new connection is told again.
func (c *Client) Foreground(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.background = !on
	if c.link != nil {
		c.link.queue(&wire.Command{Type: wire.Foreground, On: &on})
	}
}

// Page asks for messages: at most one of Before, After and Around, with none of them
// the newest.
type Page struct {
	Before chat.Seq // older than this, the nearest ones
	After  chat.Seq // younger than this, the nearest ones
	Limit  int      // 0: the server's default
	Around
}

// History returns messages of a room, ascending; more says that there are
// others further in the direction asked, with Around older ones.
func (c *Client) History(ctx context.Context, room chat.RoomID, p Page) (ms []chat.Message, more bool, err error) {
	f, err := c.do(ctx, wire.Command{
		Type: wire.History, Room: room, Limit: p.Limit,
		Before: p.Before, HasBefore: p.Before > 0,
		After: int64(p.After), HasAfter: p.After > 0,
		Around: p.Seq, AroundRead: p.Read,
	}, nil)
	if err != nil {
		return nil, false, err
	}
	return f.Messages, f.More, nil
}

// Changes is a page of what changed in a room, complete up to Rev.
type Changes struct {
	Rev      chat.Rev
	Messages []chat.Message // each as it is now, ascending by Rev
	Members  []chat.Member
	More     bool // ask again after Rev
}

// Changes returns what changed in a room after a rev, without joining it.
func (c *Client) Changes(ctx context.Context, room chat.RoomID, after chat.Rev) (*Changes, error) {
	f, err := c.do(ctx, wire.Command{Type: wire.Changes, Room: room, After: int64(after), HasAfter: true}, nil)
	if err != nil {
		return nil, err
	}
	return &Changes{Rev: f.Rev, Messages: f.Messages, Members: f.Members, More: f.More}, nil
}

// Members returns members of a room in ascending user id after the given one
// ("" for the first), and how many there are in all.
func (c *Client) Members(ctx context.Context, room chat.RoomID, after chat.UserID) (ms []chat.Member, count int, more bool, err error) {
	f, err := c.do(ctx, wire.Command{Type: wire.Members, Room: room, AfterID: string(after)}, nil)
	if err != nil {
		return nil, 0, false, err
	}
	return f.Members, f.MemberCount, f.More, nil
}

// MembersWith returns those of the members that have the role; with RoleBanned, the
// ban list, which moderators see.
func (c *Client) MembersWith(ctx context.Context, room chat.RoomID, role chat.Role, after chat.UserID) (ms []chat.Member, more bool, err error) {
	f, err := c.do(ctx, wire.Command{Type: wire.Members, Room: room, Role: role, AfterID: string(after)}, nil)
	if err != nil {
		return nil, false, err
	}
	return f.Members, f.More, nil
}

// Users returns what is known of users: name, avatar, data. Those of which nothing was
// ever said are left out.
func (c *Client) Users(ctx context.Context, users ...chat.UserID) ([]chat.User, error) {
	var all []chat.User
	for {
		f, err := c.do(ctx, wire.Command{Type: wire.Users, Of: users}, nil)
		if err != nil {
			return nil, err
		}
		all = append(all, f.Users...)
		n := len(f.Users)
		if !f.More || n == 0 {
			return all, nil
		}
		users = users[slices.Index(users, f.Users[n-1].ID)+1:]
	}
}

// Online returns users online in a room, up to a page of the server, and the number
// of all.
func (c *Client) Online(ctx context.Context, room chat.RoomID) ([]chat.UserID, int, error) {
	f, err := c.do(ctx, wire.Command{Type: wire.Online, Room: room}, nil)
	if err != nil {
		return nil, 0, err
	}
	return f.Online, f.OnlineCount, nil
}

// Rooms returns all rooms of the user in ascending id, with what is unread.
// Archived ones are left out.
func (c *Client) Rooms(ctx context.Context) ([]wire.MyRoom, error) {
	var rooms []wire.MyRoom
	for after := ""; ; {
		page, next, err := c.RoomsPage(ctx, RoomsOptions{After: after})
		rooms = append(rooms, page...)
		if err != nil || next == "" {
			return rooms, err
		}
		after = next
	}
}

// RoomsOptions say which of the user's rooms to return.
type RoomsOptions struct {
	After      string // what the page before has returned as next
	Limit      int    // 0: the server's default
	ByActivity bool   // the room with the newest message first, instead of ascending id
	Archived   bool   // archived rooms as well
}

// RoomsPage returns some rooms of the user, and where the next page begins: "" if
// there are no more.
func (c *Client) RoomsPage(ctx context.Context, o RoomsOptions) (rooms []wire.MyRoom, next string, err error) {
	cmd := wire.Command{Type: wire.Rooms, AfterID: o.After, Limit: o.Limit, Archived: o.Archived}
	if o.ByActivity {
		cmd.Order = "activity"
	}
	f, err := c.do(ctx, cmd, nil)
	if err != nil {
		return nil, "", err
	}
	return f.Rooms, f.Next, nil
}

// Unread returns what is unread in all rooms together, and the rooms with something
// unread, of which Room.ID, Room.LastSeq, Read and Unread are set.
func (c *Client) Unread(ctx context.Context) (wire.UnreadCount, []wire.MyRoom, error) {
	f, err := c.do(ctx, wire.Command{Type: wire.Unread}, nil)
	if err != nil {
		return wire.UnreadCount{}, nil, err
	}
	return f.Unread, f.Rooms, nil
}
