package cluster

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roomtide/roomtide/chat"
)

// ForegroundConfig is how a Foreground is made. All fields are required.
type ForegroundConfig struct {
	NATS   *nats.Conn
	Prefix string                           // of all subjects
	Nodes  func() int                       // how many are alive, this one included
	Here   func(users []chat.UserID) []bool // hub.Hub.Foreground
	Log    *slog.Logger
}

// Foreground asks all nodes which users have a connection in the foreground. Nodes keep
// nothing for it: a question goes to all others, and costs nothing between questions. Safe
// for concurrent use.
type Foreground struct {
	cfg  ForegroundConfig // set once
	asks *nats.Subscription
}

// OpenForeground begins to answer other nodes.
func OpenForeground(cfg ForegroundConfig) (f *Foreground, err error) {
	f = &Foreground{cfg: cfg}
	if f.asks, err = cfg.NATS.Subscribe(f.subject(), f.answer); err != nil {
		return nil, chat.Wrap(chat.Unavailable, "cluster.foreground", err)
	}
	return f, nil
}

func (f *Foreground) subject() string { return f.cfg.Prefix + ".foreground" }

// answer names the places of those users in the question who are here; a node also hears
// its own questions, and has to be one of those that are counted.
func (f *Foreground) answer(m *nats.Msg) {
	var users []chat.UserID
	if err := json.Unmarshal(m.Data, &users); err != nil {
		f.cfg.Log.Warn("a question of another node cannot be read", "subject", m.Subject, "err", err)
		return
	}
	here := []int{}
	for i, on := range f.cfg.Here(users) {
		if on {
			here = append(here, i)
		}
	}
	data, err := json.Marshal(here)
	if err == nil {
		err = m.Respond(data)
	}
	if err != nil {
		f.cfg.Log.Debug("another node is not answered", "subject", m.Subject, "err", err)
	}
}

const (
	foregroundTime  = 300 * time.Millisecond // for all nodes to answer
	foregroundUsers = 1000                   // in one question: well below what NATS takes
)

// Ask reports of each of the users whether a connection of any node is in the foreground.
// What a node does not say in time does not count: its users are taken for away.
func (f *Foreground) Ask(ctx context.Context, users []chat.UserID) []bool {
	on := make([]bool, len(users))
	for from := 0; from < len(users); from += foregroundUsers {
		to := min(from+foregroundUsers, len(users))
		f.ask(ctx, users[from:to], on[from:to])
	}
	return on
}

func (f *Foreground) ask(ctx context.Context, users []chat.UserID, on []bool) {
	nodes := f.cfg.Nodes()
	if nodes <= 1 {
		copy(on, f.cfg.Here(users))
		return
	}
	ctx, cancel := context.WithTimeout(ctx, foregroundTime)
	defer cancel()
	data, err := json.Marshal(users)
	if err != nil {
		return
	}
	inbox := f.cfg.NATS.NewRespInbox()
	sub, err := f.cfg.NATS.SubscribeSync(inbox)
	if err == nil {
		defer func() { _ = sub.Unsubscribe() }() // fails only if the connection has ended
		err = f.cfg.NATS.PublishRequest(f.subject(), inbox, data)
	}
	copy(on, f.cfg.Here(users)) // also where the connection is away
	for range nodes {
		var m *nats.Msg
		if err == nil {
			m, err = sub.NextMsgWithContext(ctx)
		}
		if err != nil {
			f.cfg.Log.Debug("not all nodes have said who is in the foreground", "err", err)
			return
		}
		var there []int
		if json.Unmarshal(m.Data, &there) != nil {
			continue
		}
		for _, i := range there {
			if i >= 0 && i < len(on) {
				on[i] = true
			}
		}
	}
}

// Close ends the answers.
func (f *Foreground) Close() {
	if err := f.asks.Unsubscribe(); err != nil {
		f.cfg.Log.Debug("cluster: foreground does not end", "err", err)
	}
}
