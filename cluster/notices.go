package cluster

import (
	"encoding/json"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roomtide/roomtide/chat"
)

// NoticeKind says what a notice is about.
type NoticeKind string

const (
	NoticeLane   NoticeKind = "lane"   // a node has given up a lane: Shard
	NoticeLeft   NoticeKind = "left"   // the node stops, and gives up its lanes next
	NoticeWant   NoticeKind = "want"   // the sender is to own a lane: Shard
	NoticeMoves  NoticeKind = "moves"  // slots move, or have: the records and the map are new
	NoticeUser   NoticeKind = "user"   // what is kept of a user has changed: User
	NoticeClaim  NoticeKind = "claim"  // the same, and no guest may have the name any more: User
	NoticeRevoke NoticeKind = "revoke" // the connections of a user have ended: User

	noticeBack NoticeKind = "back" // a node was cut off, and asks for what it may have missed
)

// Notice is what a node tells the others at once. Notices come at most once while NATS
// answers, in any order, and not to the node that sent them. NoticeClaim and
// NoticeRevoke come again, as Late, when a node was cut off meanwhile.
type Notice struct {
	Kind  NoticeKind  `json:"kind"`
	Node  string      `json:"node"`
	From  uint64      `json:"from"`         // the process
	To    uint64      `json:"to,omitempty"` // the only process that it is for
	Shard int         `json:"shard,omitempty"`
	User  chat.UserID `json:"user,omitempty"`
	Late  bool        `json:"late,omitempty"` // it was sent before, up to recentAge ago
}

// What a node that was cut off is told when it is back.
const (
	maxRecent = 16 << 10
	recentAge = 10 * time.Minute
)

// Notices sends notices to other nodes and receives theirs. Safe for concurrent use.
type Notices struct {
	// Set once.
	nc      *nats.Conn
	sub     *nats.Subscription
	subject string
	node    string
	from    uint64 // random: nodes of one name differ in it
	handle  func(Notice)
	log     *slog.Logger

	mu     sync.Mutex
	recent []recent // guarded by mu: NoticeClaim and NoticeRevoke, oldest first
}

// recent is a notice that was sent.
type recent struct {
	notice Notice
	at     time.Time
}

// OpenNotices begins to receive notices. handle does not block.
func OpenNotices(nc *nats.Conn, prefix, node string, handle func(Notice), log *slog.Logger) (_ *Notices, err error) {
	n := &Notices{nc: nc, subject: prefix + ".note", node: node, from: rand.Uint64(), handle: handle, log: log}
	n.sub, err = nc.Subscribe(n.subject, func(m *nats.Msg) { n.receive(m.Data) })
	if err != nil {
		return nil, chat.Wrap(chat.Unavailable, "cluster.notices", err)
	}
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
	case got.To != 0 && got.To != n.from:
	case got.Node == n.node:
	case got.Kind == noticeBack:
		n.again(got.From)
	default:
		n.handle(got)
	}
}

// Send tells the other nodes; Node is filled in. A nil Notices sends nothing.
func (n *Notices) Send(notice Notice) {
	if n == nil {
		return
	}
	switch notice.Kind {
	case NoticeClaim, NoticeRevoke:
		n.keep(notice)
	}
	n.publish(notice)
}

func (n *Notices) publish(notice Notice) {
	notice.Node, notice.From = n.node, n.from
	data, err := json.Marshal(notice)
	if err == nil {
		err = n.nc.Publish(n.subject, data)
	}
	if err != nil {
		n.log.Debug("a notice did not reach other nodes", "kind", notice.Kind, "err", err)
	}
}

// keep remembers a notice for nodes that are cut off now.
func (n *Notices) keep(notice Notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	for len(n.recent) > 0 && (len(n.recent) >= maxRecent || now.Sub(n.recent[0].at) > recentAge) {
		n.recent = n.recent[1:]
	}
	notice.Late = true
	n.recent = append(n.recent, recent{notice, now})
}

// again sends what was kept lately, to one process or, with 0, to all.
func (n *Notices) again(to uint64) {
	n.mu.Lock()
	var all []Notice
	for _, r := range n.recent {
		if time.Since(r.at) <= recentAge {
			all = append(all, r.notice)
		}
	}
	n.mu.Unlock()
	for _, notice := range all {
		notice.To = to
		n.publish(notice)
	}
}

// Reconnected is called when the connection to NATS has been made again: what was said
// meanwhile, here and by others, is said once more.
func (n *Notices) Reconnected() {
	n.again(0)
	n.publish(Notice{Kind: noticeBack})
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
