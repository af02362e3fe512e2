package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func dial(t *testing.T, f *fake, change func(*Options)) *Client {
	t.Helper()
	o := Options{URL: f.http.URL, User: "user1", MinWait: time.Millisecond, MaxWait: 5 * time.Millisecond}
	if change != nil {
		change(&o)
	}
	c, err := Dial(testContext(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func join(t *testing.T, c *Client, room chat.RoomID, o JoinOptions) *Joined {
	t.Helper()
	j, err := c.Join(testContext(t), room, o)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// next returns the next event that is not about the connection.
func next(t *testing.T, c *Client) Event {
	t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		select {
		case ev, ok := <-c.Events():
			if !ok {
				t.Fatal("events ended")
			}
			if ev.News != Connected && ev.News != Disconnected {
				return ev
			}
		case <-timeout:
			t.Fatal("no event came")
		}
	}
}

// wantMessages reads events until the message last, and checks that messages
// come as first, first+1, … last.
func wantMessages(t *testing.T, c *Client, first, last chat.Seq) (others []Event) {
	t.Helper()
	for seq := first; seq <= last; {
		ev := next(t, c)
		if ev.Kind != chat.EventMessage {
			others = append(others, ev)
			continue
		}
		if ev.Message.Seq != seq || ev.At.Seq != seq {
			t.Fatalf("message %d at %+v, want %d", ev.Message.Seq, ev.At, seq)
		}
		seq++
	}
	return others
}

func TestDialRefused(t *testing.T) {
	f := newFake(t)
	f.hook = func(c *fakeConn, cmd *wire.Command) bool {
		if cmd.Token == "bad" {
			c.refuse(cmd, chat.E(chat.Unauthed, "the token is wrong"))
		}
		return cmd.Token == "bad"
	}
	bad := func(context.Context) (string, error) { return "bad", nil }
	none := func(context.Context) (string, error) { return "", errors.New("no such file") }
	tests := []struct {
		name string
		o    Options
		want string
	}{
		{"no URL", Options{}, "URL"},
		{"another scheme", Options{URL: "ftp://127.0.0.1/"}, "URL"},
		{"no server", Options{URL: "ws://127.0.0.1:1"}, "refused"},
		{"a wrong token", Options{URL: f.http.URL, Token: bad}, "the token is wrong"},
		{"no token to be had", Options{URL: f.http.URL, Token: none}, "no such file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Dial(testContext(t), tt.o)
			if err == nil {
				c.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("err = %v, want %q in it", err, tt.want)
			}
		})
	}
}

func TestSend(t *testing.T) {
	f := newFake(t)
	c := dial(t, f, nil)
	j := join(t, c, "room1", JoinOptions{})
	if j.At != (Position{}) || j.Role != chat.RoleMember {
		t.Errorf("joined = %+v", j)
	}
	s, err := c.Send(testContext(t), "room1", chat.Draft{Text: "Hello"})
	if err != nil || s.Seq != 1 || s.Rev != 1 {
		t.Fatalf("sent = %+v, %v", s, err)
	}
	if id, err := uuid.Parse(s.Key); err != nil || id.Version() != 7 {
		t.Errorf("key %q is not a UUIDv7", s.Key)
	}
	wantMessages(t, c, 1, 1)
	if s, err = c.Send(testContext(t), "room1", chat.Draft{Text: "Hello", Key: s.Key}); err != nil || s.Seq != 1 {
		t.Errorf("sent again with its key = %+v, %v", s, err)
	}
	f.with(func() {
		f.hook = func(c *fakeConn, cmd *wire.Command) bool {
			c.refuse(cmd, chat.E(chat.Conflict, ""))
			return true
		}
	})
	if _, err = c.Send(testContext(t), "room1", chat.Draft{Text: "Hello"}); chat.KindOf(err) != chat.Conflict {
		t.Errorf("err = %v, want conflict", err)
	}
}

// "Later" is obeyed, with the same key and in the old order.
func TestSendLater(t *testing.T) {
	f := newFake(t)
	c := dial(t, f, nil)
	var tried sync.Map // the first try of each is refused, however late it comes
	f.with(func() {
		f.hook = func(c *fakeConn, cmd *wire.Command) bool {
			if _, again := tried.LoadOrStore(cmd.Key, true); !again {
				c.refuse(cmd, &chat.Error{Kind: chat.ReadOnly, RetryAfter: 1})
				return true
			}
			return false
		}
	})
	got := make(chan string, 3)
	for _, text := range []string{"a", "b", "c"} {
		c.SendAsync("room1", chat.Draft{Text: text}, func(s Sent, err error) { got <- fmt.Sprint(text, s.Seq, err) })
	}
	for _, want := range []string{"a1 <nil>", "b2 <nil>", "c3 <nil>"} {
		if s := <-got; s != want {
			t.Errorf("sent %s, want %s", s, want)
		}
	}
}

// The connection breaks after the message was stored and before the ack.
func TestSendAckLost(t *testing.T) {
	f := newFake(t)
	c := dial(t, f, nil)
	var cuts atomic.Int32
	f.hook = func(fc *fakeConn, cmd *wire.Command) bool {
		if cmd.Type == wire.Message && cuts.Add(1) <= 2 {
			f.insert(cmd.Room, fc.user, cmd.Key, cmd.Text)
			fc.cut()
			return true
		}
		return false
	}
	s, err := c.Send(testContext(t), "room1", chat.Draft{Text: "Hello"})
	if err != nil || s.Seq != 1 {
		t.Fatalf("sent = %+v, %v", s, err)
	}
	f.with(func() {
		if n := len(f.room("room1").messages); n != 1 {
			t.Errorf("%d messages are stored", n)
		}
	})
}

// A send that is given up frees its place, and the message is not sent again.
func TestSendGivenUp(t *testing.T) {
	f := newFake(t)
	c := dial(t, f, func(o *Options) { o.Outbox = 1 })
	seen := make(chan struct{}, 10)
	f.with(func() {
		f.hook = func(fc *fakeConn, cmd *wire.Command) bool {
			if cmd.Type == wire.Message && cmd.Text == "lost" {
				seen <- struct{}{}
				return true
			}
			return false
		}
	})
	ctx, cancel := context.WithCancel(testContext(t))
	go func() { <-seen; cancel() }()
	if s, err := c.Send(ctx, "room1", chat.Draft{Text: "lost"}); !errors.Is(err, context.Canceled) || s.Key == "" {
		t.Fatalf("sent = %+v, %v", s, err)
	}
	var full error
	c.SendAsync("room1", chat.Draft{Text: "one more"}, func(_ Sent, err error) { full = err })
	if chat.KindOf(full) != chat.Busy {
		t.Errorf("outbox of one: %v", full) // the answer may still come
	}
	f.each((*fakeConn).cut)
	if s, err := c.Send(testContext(t), "room1", chat.Draft{Text: "next"}); err != nil || s.Seq != 1 {
		t.Errorf("sent = %+v, %v", s, err)
	}
	if len(seen) != 0 {
		t.Error("a message that was given up was sent again")
	}
}

// While Events is not read the socket is not read, and still a call works.
func TestBackPressure(t *testing.T) {
	f := newFake(t)
	c := dial(t, f, func(o *Options) { o.Events = 10 })
	join(t, c, "room1", JoinOptions{})
	f.write("room1", 20)
	reading := func() int {
		c.events.mu.Lock()
		defer c.events.mu.Unlock()
		return len(c.events.events)
	}
	c.events.mu.Lock()
	for len(c.events.events) < 10 {
		c.events.moved.Wait()
	}
	c.events.mu.Unlock()
	if n := reading(); n != 10 {
		t.Errorf("%d events wait, the bound is 10", n)
	}
	if _, err := c.Read(testContext(t), "room1", 20); err != nil {
		t.Error("a call while events wait:", err)
	}
	wantMessages(t, c, 1, 20)
	f.write("room1", 5)
	wantMessages(t, c, 21, 25)
}

func TestGoodbyes(t *testing.T) {
	tests := []struct {
		name  string
		bye   chat.Goodbye
		token bool
		ends  bool
	}{
		{"draining", chat.ByeDraining, false, false},
		{"flood", chat.ByeFlood, false, false},
		{"revoked", chat.ByeRevoked, true, true},
		{"expired", chat.ByeExpired, false, true},
		{"expired, with another token at hand", chat.ByeExpired, true, false},
	}
	for _, frame := range []bool{true, false} {
		for _, tt := range tests {
			t.Run(fmt.Sprintf("%s frame=%v", tt.name, frame), func(t *testing.T) {
				f := newFake(t)
				var tokens atomic.Int32
				c := dial(t, f, func(o *Options) {
					if tt.token {
						o.Token = func(context.Context) (string, error) { return fmt.Sprint("token", tokens.Add(1)), nil }
					}
				})
				f.each(func(fc *fakeConn) {
					if frame {
						fc.out <- wire.AppendGoodbye(nil, tt.bye)
					} else if err := fc.ws.WriteClose(tt.bye.Code, tt.bye.Reason); err != nil {
						t.Error(err)
					}
				})
				if ev := <-c.Events(); ev.News != Disconnected || ev.Err == nil {
					t.Fatalf("first: %+v", ev)
				}
				ev := <-c.Events()
				if tt.ends {
					if ev.News != Ended || ev.Err == nil || c.Err() == nil {
						t.Fatalf("then: %+v", ev)
					}
					if _, open := <-c.Events(); open {
						t.Error("events go on after Ended")
					}
					if _, err := c.Send(testContext(t), "room1", chat.Draft{Text: "x"}); err == nil {
						t.Error("sent after Ended")
					}
					return
				}
				if ev.News != Connected {
					t.Fatalf("then: %+v", ev)
				}
				if tt.token && tokens.Load() < 2 {
					t.Error("the new connection used the old token")
				}
				if _, err := c.Rooms(testContext(t)); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// Close ends what waits: a call without a connection, a send in the outbox.
func TestClose(t *testing.T) {
	f := newFake(t)
	c := dial(t, f, nil)
	arrived := make(chan struct{}, 2)
	f.with(func() {
		f.hook = func(*fakeConn, *wire.Command) bool { arrived <- struct{}{}; return true }
	})
	errs := make(chan error, 2)
	go func() { _, err := c.Send(context.Background(), "room1", chat.Draft{Text: "x"}); errs <- err }()
	go func() { _, err := c.Rooms(context.Background()); errs <- err }()
	<-arrived
	<-arrived
	c.Close()
	for range 2 {
		if err := <-errs; chat.KindOf(err) != chat.Unavailable {
			t.Errorf("err = %v", err)
		}
	}
	c.Close() // again
}

func TestHTTPAddress(t *testing.T) {
	for in, want := range map[string]string{
		"127.0.0.1:8080":          "http://127.0.0.1:8080",
		"localhost:8080":          "http://localhost:8080",
		"[::1]:8080":              "http://[::1]:8080",
		"chat.example.org":        "https://chat.example.org",
		"192.0.2.7:8080":          "https://192.0.2.7:8080",
		"http://192.0.2.7:8080/":  "http://192.0.2.7:8080",
		"wss://example.org/chat/": "https://example.org/chat",
		"ws://localhost?x=1":      "http://localhost",
		"ftp://example.org":       "",
		"http://":                 "",
		"http://:80":              "",
		"":                        "",
		"a b":                     "",
	} {
		got, err := HTTP(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q (%v), want %q", in, got, err, want)
		}
	}
}

// Users asks again for those that did not fit into an answer.
func TestUsersGoOn(t *testing.T) {
	f := newFake(t)
	var asked [][]chat.UserID
	f.hook = func(c *fakeConn, cmd *wire.Command) bool {
		if cmd.Type != wire.Users {
			return false
		}
		asked = append(asked, cmd.Of)
		r := wire.UsersReply{More: len(cmd.Of) > 2}
		for _, id := range cmd.Of[:min(len(cmd.Of), 2)] {
			if id != "unknown" {
				r.Users = append(r.Users, chat.User{ID: id})
			}
		}
		c.ack(cmd, r)
		return true
	}
	c := dial(t, f, nil)
	us, err := c.Users(t.Context(), "ann", "unknown", "bob", "cid")
	if err != nil || len(us) != 3 || us[0].ID != "ann" || us[2].ID != "cid" {
		t.Errorf("%+v, %v after %v", us, err, asked)
	}
}
