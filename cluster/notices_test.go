package cluster

import (
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roomtide/roomtide/internal/testnats"
)

// member is one node's part in the notices of a test.
type member struct {
	*Notices
	heard chan Notice
}

func openNotices(t *testing.T, servers *testnats.Servers, node string) *member {
	t.Helper()
	m := &member{heard: make(chan Notice, 16)}
	nc := servers.Connect(0)
	var err error
	m.Notices, err = OpenNotices(nc, "rt.test", node, func(n Notice) { m.heard <- n }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return m
}

func receive[V any](t *testing.T, what string, c <-chan V) (v V) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(10 * time.Second):
		t.Fatalf("no %s came", what)
	}
	return v
}

// Notices come to all other nodes.
func TestNotices(t *testing.T) {
	servers := testnats.Start(t, 1, nil)
	a, b := openNotices(t, servers, "a"), openNotices(t, servers, "b")
	if err := a.nc.Publish(a.subject, []byte("no notice")); err != nil {
		t.Fatal(err)
	}
	a.Send(Notice{Kind: NoticeUser, User: "ann"})
	a.Send(Notice{Kind: NoticeLane, Shard: 3})
	if n := receive(t, "notice", b.heard); n.Kind != NoticeUser || n.User != "ann" || n.Node != "a" {
		t.Errorf("%+v", n)
	}
	if n := receive(t, "notice", b.heard); n.Kind != NoticeLane || n.Shard != 3 {
		t.Errorf("%+v", n)
	}

	select {
	case n := <-a.heard:
		t.Errorf("a hears its own notices: %+v", n)
	default:
	}
	b.Close()
	a.Close()
	(*Notices)(nil).Send(Notice{})
	(*Notices)(nil).Close()
}

// What was said while a node was cut off, by it or by others, comes when it is back, as
// Late and without what is old by itself.
func TestNoticesComeLate(t *testing.T) {
	servers := testnats.Start(t, 1, nil)
	a, b := openNotices(t, servers, "a"), openNotices(t, servers, "b")
	cut := func(m *member, f func()) {
		t.Helper()
		if err := m.sub.Unsubscribe(); err != nil {
			t.Fatal(err)
		}
		if err := m.nc.Flush(); err != nil {
			t.Fatal(err)
		}
		f()
		var err error
		if m.sub, err = m.nc.Subscribe(m.subject, func(msg *nats.Msg) { m.receive(msg.Data) }); err != nil {
			t.Fatal(err)
		}
		if err := m.nc.Flush(); err != nil {
			t.Fatal(err)
		}
		m.Reconnected()
	}
	cut(b, func() {
		a.Send(Notice{Kind: NoticeRevoke, User: "ann"})
		a.Send(Notice{Kind: NoticeUser, User: "ann"})
		a.Send(Notice{Kind: NoticeClaim, User: "bob"})
		if err := a.nc.Flush(); err != nil {
			t.Fatal(err)
		}
	})
	if n := receive(t, "late notice", b.heard); n.Kind != NoticeRevoke || n.User != "ann" || !n.Late {
		t.Errorf("%+v", n)
	}
	if n := receive(t, "late notice", b.heard); n.Kind != NoticeClaim || n.User != "bob" || !n.Late {
		t.Errorf("%+v", n)
	}
	cut(b, func() { b.keep(Notice{Kind: NoticeRevoke, User: "carl"}) }) // as if it was sent and lost
	if n := receive(t, "late notice", a.heard); n.Kind != NoticeRevoke || n.User != "carl" || !n.Late {
		t.Errorf("%+v", n)
	}
}

// What is kept for nodes that are cut off has a bound.
func TestRecentNoticesHaveABound(t *testing.T) {
	n := &Notices{}
	for range maxRecent + 10 {
		n.keep(Notice{Kind: NoticeRevoke, User: "ann"})
	}
	if len(n.recent) != maxRecent {
		t.Errorf("%d are kept", len(n.recent))
	}
}
