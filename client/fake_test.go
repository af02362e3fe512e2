package client

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/websocket"
	"github.com/roomtide/roomtide/wire"
)

// fake is a server with just enough behind its sockets: rooms with seq, rev and
// keys, in memory. hook may look at each command and do something else instead.
type fake struct {
	t    *testing.T
	http *httptest.Server

	mu    sync.Mutex
	page  int // changes in one answer to a join with after
	rooms map[chat.RoomID]*fakeRoom
	conns map[*fakeConn]bool
	hook  func(c *fakeConn, cmd *wire.Command) (handled bool)
}

type fakeRoom struct {
	chat.Room
	messages []chat.Message
}

type fakeConn struct {
	f      *fake
	ws     *websocket.Conn
	user   chat.UserID
	joined map[chat.RoomID]bool
	out    chan []byte
	once   sync.Once
	dead   bool // cut: what it still sends is not heard
}

func newFake(t *testing.T) *fake {
	f := &fake{t: t, page: 100, rooms: map[chat.RoomID]*fakeRoom{}, conns: map[*fakeConn]bool{}}
	f.http = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(func() {
		f.each(func(c *fakeConn) { c.cut() })
		f.http.Close()
	})
	return f
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	ws, err := websocket.Upgrade(w, r, websocket.UpgradeOptions{})
	if err != nil {
		return
	}
	c := &fakeConn{f: f, ws: ws, joined: map[chat.RoomID]bool{}, out: make(chan []byte, 100_000)}
	f.mu.Lock()
	f.conns[c] = true
	f.mu.Unlock()
	go c.write()
	go c.read()
}

func (c *fakeConn) read() {
	for {
		_, p, err := c.ws.ReadMessage(1 << 20)
		if err != nil {
			c.close()
			c.f.mu.Lock()
			delete(c.f.conns, c)
			close(c.out)
			c.f.mu.Unlock()
			return
		}
		var cmd wire.Command
		if err := wire.Decode(p, &cmd); err != nil {
			c.f.t.Errorf("the client sent %q: %v", p, err)
		}
		c.f.mu.Lock()
		if c.dead {
			c.f.mu.Unlock()
			continue // what came before the cut was read with it
		}
		if c.f.hook == nil || !c.f.hook(c, &cmd) {
			c.handle(&cmd)
		}
		c.f.mu.Unlock()
	}
}

func (c *fakeConn) write() {
	for p := range c.out {
		if p == nil || c.ws.WriteMessage(websocket.Text, p) != nil {
			c.close()
		}
	}
}

func (c *fakeConn) close() { c.once.Do(func() { c.ws.Close() }) }

// The methods below are called with f.mu held.

// cut ends the connection without a word.
func (c *fakeConn) cut() {
	c.dead = true
	c.close()
}

// hangUp ends the connection behind what it was told.
func (c *fakeConn) hangUp() {
	c.dead = true
	c.out <- nil
}

func (c *fakeConn) ack(cmd *wire.Command, r wire.Reply) {
	c.out <- wire.AppendAck(nil, cmd.ID, cmd.HasID, r)
}

func (c *fakeConn) refuse(cmd *wire.Command, e *chat.Error) {
	c.out <- wire.AppendError(nil, cmd, e)
}

func (c *fakeConn) handle(cmd *wire.Command) {
	limits := chat.DefaultLimits()
	switch cmd.Type {
	case wire.Hello:
		c.user = cmd.User
		c.ack(cmd, &wire.HelloReply{User: cmd.User, Session: "s", Limits: &limits})
	case wire.Join:
		c.join(cmd)
	case wire.Leave:
		delete(c.joined, cmd.Room)
		c.ack(cmd, &wire.DoneReply{Room: cmd.Room})
	case wire.Message:
		m := c.f.insert(cmd.Room, c.user, cmd.Key, cmd.Text)
		c.ack(cmd, &wire.ChangeReply{Room: cmd.Room, Seq: m.Seq, Rev: m.Created, Time: m.Time})
	case wire.Edit:
		c.ack(cmd, &wire.ChangeReply{Room: cmd.Room, Rev: c.f.edit(cmd.Room, cmd.Seq, cmd.Text)})
	case wire.History:
		r := c.f.room(cmd.Room)
		from := max(0, len(r.messages)-10)
		c.ack(cmd, &wire.HistoryReply{Room: cmd.Room, Messages: r.messages[from:], More: from > 0})
	case wire.Read:
		c.ack(cmd, &wire.ReadReply{Room: cmd.Room, Seq: cmd.Seq, Unread: wire.UnreadCount{Count: int64(c.f.room(cmd.Room).LastSeq - cmd.Seq)}})
	case wire.Typing:
		c.f.tell(&chat.Event{Kind: chat.EventTyping, Room: cmd.Room, User: c.user, On: *cmd.On})
	default:
		c.ack(cmd, &wire.DoneReply{Room: cmd.Room})
	}
}

func (c *fakeConn) join(cmd *wire.Command) {
	r := c.f.room(cmd.Room)
	reply := &wire.JoinReply{Room: &r.Room, Rev: r.Rev, Seq: r.LastSeq, Role: chat.RoleMember}
	switch after := chat.Rev(cmd.After); {
	case !cmd.HasAfter || after > r.Rev:
		reply.Reset = cmd.HasAfter
		from := max(0, len(r.messages)-10)
		reply.Messages, reply.More = r.messages[from:], from > 0
	default:
		for rev := after + 1; rev <= r.Rev && !reply.More; rev++ {
			for _, m := range r.messages {
				if m.Rev == rev {
					reply.Messages = append(reply.Messages, m)
				}
			}
			reply.Rev = rev
			reply.More = len(reply.Messages) >= c.f.page && rev < r.Rev
		}
		if after == r.Rev {
			reply.Rev = after
		}
		if reply.More {
			delete(c.joined, cmd.Room)
			c.ack(cmd, reply)
			return
		}
	}
	c.joined[cmd.Room] = true
	c.ack(cmd, reply)
}

func (f *fake) room(id chat.RoomID) *fakeRoom {
	if f.rooms[id] == nil {
		f.rooms[id] = &fakeRoom{Room: chat.Room{ID: id, Open: true}}
	}
	return f.rooms[id]
}

func (f *fake) insert(room chat.RoomID, user chat.UserID, key, text string) *chat.Message {
	r := f.room(room)
	for i := range r.messages {
		if m := &r.messages[i]; key != "" && m.User == user && m.Key == key {
			return m
		}
	}
	r.Rev++
	r.LastSeq++
	m := chat.Message{Room: room, Seq: r.LastSeq, Rev: r.Rev, Created: r.Rev, User: user, Key: key, Text: text, Time: 1}
	r.messages = append(r.messages, m)
	f.tell(&chat.Event{Kind: chat.EventMessage, Room: room, Rev: m.Rev, Message: &m})
	return &m
}

func (f *fake) edit(room chat.RoomID, seq chat.Seq, text string) chat.Rev {
	r := f.room(room)
	r.Rev++
	m := &r.messages[seq-1]
	m.Rev, m.Text, m.Edited = r.Rev, text, 2
	copied := *m
	f.tell(&chat.Event{Kind: chat.EventEdited, Room: room, Rev: m.Rev, Message: &copied})
	return r.Rev
}

func (f *fake) tell(ev *chat.Event) {
	for c := range f.conns {
		if c.joined[ev.Room] {
			c.out <- wire.AppendEvent(nil, ev)
		}
	}
}

// with runs do with f.mu held.
func (f *fake) with(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

// each runs do for every connection.
func (f *fake) each(do func(*fakeConn)) {
	f.with(func() {
		for c := range f.conns {
			do(c)
		}
	})
}

// write adds n messages to the room.
func (f *fake) write(room chat.RoomID, n int) {
	f.with(func() {
		for range n {
			k := strconv.Itoa(int(f.room(room).LastSeq) + 1)
			f.insert(room, "writer", "k"+k, "text "+k)
		}
	})
}
