package cluster

import (
	"encoding/json"
	"log/slog"
	"math/rand/v2"

	"github.com/nats-io/nats.go"

	"github.com/roomtide/roomtide/chat"
)

// NoticeKind says what a notice is about.
type NoticeKind string

const (
	NoticeLane   NoticeKind = "lane"   // a node has given up a lane: Shard
	NoticeUser   NoticeKind = "user"   // what is kept of a user has changed: User
	NoticeRevoke NoticeKind = "revoke" // the connections of a user have ended: User

	noticeHere  NoticeKind = "here"  // a node has started
	noticeTaken NoticeKind = "taken" // the name of the node To is that of one which has started before
)

// Notice is what a node tells the others at once. Notices come at most once, in any
// order, and not to the node that sent them. A node that has missed one finds out by
// itself, later: by asking again for what is old.
type Notice struct {
	Kind  NoticeKind  `json:"kind"`
	Node  string      `json:"node"`
	From  uint64      `json:"from"` // the process
	To    uint64      `json:"to,omitempty"`
	Shard int         `json:"shard,omitempty"`
	User  chat.UserID `json:"user,omitempty"`
}

// Notices sends notices to other nodes and receives theirs. Safe for concurrent use.
type Notices struct {
	// Set once.
	nc      *nats.Conn
	sub     *nats.Subscription
	subject string
	node    string
	from    uint64 // random: nodes of one name differ in it
	handle  func(Notice)
	taken   func()
	log     *slog.Logger
}

// OpenNotices begins to receive notices, and says that the node is there. taken is called
// if another node that runs has its name. Neither function blocks.
func OpenNotices(nc *nats.Conn, prefix, node string, handle func(Notice), taken func(), log *slog.Logger) (_ *Notices, err error) {
	n := &Notices{nc: nc, subject: prefix + ".note", node: node, from: rand.Uint64(), handle: handle, taken: taken, log: log}
	n.sub, err = nc.Subscribe(n.subject, func(m *nats.Msg) { n.receive(m.Data) })
	if err != nil {
		return nil, chat.Wrap(chat.Unavailable, "cluster.notices", err)
	}
	n.Send(Notice{Kind: noticeHere})
	return n, nil
}

func (n *Notices) receive(data []byte) {
	var got Notice
	if err := json.Unmarshal(data, &got); err != nil {
		n.log.Warn("a notice of another node cannot be read", "err", err)
		return
	}
	switch {
	case got.From == n.from:
	case got.Node != n.node:
		n.handle(got)
	case got.Kind == noticeHere:
		n.log.Error("another node has started under the name of this one", "node", n.node)
		n.Send(Notice{Kind: noticeTaken, To: got.From})
	case got.Kind == noticeTaken && got.To == n.from:
		n.taken()
	}
}

// Send tells the other nodes; Node is filled in. A nil Notices tells nobody.
func (n *Notices) Send(notice Notice) {
	if n == nil {
		return
	}
	notice.Node, notice.From = n.node, n.from
	data, err := json.Marshal(notice)
	if err == nil {
		err = n.nc.Publish(n.subject, data)
	}
	if err != nil {
		n.log.Debug("a notice did not reach other nodes", "kind", notice.Kind, "err", err)
	}
}

// Close ends receiving. It may be called for nil.
func (n *Notices) Close() {
	if n == nil {
		return
	}
	if err := n.sub.Unsubscribe(); err != nil {
		n.log.Debug("notices of other nodes", "err", err)
	}
}
