package cluster

import (
	"encoding/json"
	"log/slog"
	"sync"

	"github.com/roomtide/roomtide/chat"
)

// NoticeKind says what a notice is about.
type NoticeKind string

const (
	NoticeLane   NoticeKind = "lane"   // a node has given up a lane: Shard
	NoticeMap    NoticeKind = "map"    // there is a newer slot map
	NoticeUser   NoticeKind = "user"   // what is kept of a user has changed: User
	NoticeRevoke NoticeKind = "revoke" // the connections of a user have ended: User
)

// Notice is what a node tells the others at once. Notices come at most once, in any
// order, and not to the node that sent them. A node that has missed one finds out by
// itself, later: by asking again for what is old.
type Notice struct {
	Kind  NoticeKind  `json:"kind"`
	Node  string      `json:"node"`
	Shard int         `json:"shard,omitempty"`
	User  chat.UserID `json:"user,omitempty"`
}

// Messenger carries bytes to every node, the sender included (natslink.Conn).
type Messenger interface {
	// Publish hands data to all that subscribe to the subject. It does not block.
	Publish(subject string, data []byte) error
	// Subscribe has f called with what is published on the subject, one call at a time.
	// It returns when that is so, and what ends it.
	Subscribe(subject string, f func(data []byte)) (end func(), err error)
}

// Notices sends notices to other nodes and receives theirs. Safe for concurrent use.
type Notices struct {
	// Set once.
	m       Messenger
	subject string
	node    string
	handle  func(Notice)
	log     *slog.Logger
	end     func()

	ending sync.Once
}

// OpenNotices begins to receive notices. handle does not block.
func OpenNotices(m Messenger, prefix, node string, handle func(Notice), log *slog.Logger) (*Notices, error) {
	n := &Notices{m: m, subject: prefix + ".note", node: node, handle: handle, log: log}
	end, err := m.Subscribe(n.subject, n.receive)
	if err != nil {
		return nil, err
	}
	n.end = end
	return n, nil
}

func (n *Notices) receive(data []byte) {
	var got Notice
	if err := json.Unmarshal(data, &got); err != nil {
		n.log.Warn("a notice of another node cannot be read", "err", err)
		return
	}
	if got.Node != n.node {
		n.handle(got)
	}
}

// Send tells the other nodes; Node is filled in. A nil Notices tells nobody.
func (n *Notices) Send(notice Notice) {
	if n == nil {
		return
	}
	notice.Node = n.node
	data, err := json.Marshal(notice)
	if err == nil {
		err = n.m.Publish(n.subject, data)
	}
	if err != nil {
		n.log.Debug("a notice did not reach other nodes", "kind", notice.Kind, "err", err)
	}
}

// Close ends receiving. It may be called again, and for nil.
func (n *Notices) Close() {
	if n != nil {
		n.ending.Do(n.end)
	}
}
