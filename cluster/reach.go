package cluster

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roomtide/roomtide/chat"
)

// ReachConfig is how a Reach is made. All fields are required.
type ReachConfig struct {
	NATS   *nats.Conn
	Prefix string                                 // of all subjects
	Nodes  func() int                             // number of nodes alive, this one included
	Here   func(users []chat.UserID) []chat.Reach // hub.Hub.Reach
	Log    *slog.Logger
}

// Reach asks all nodes how users are connected, by one request over NATS that every node
// answers from its hub. There is no shared state, and no cost between questions. Safe for
// concurrent use.
type Reach struct {
	cfg  ReachConfig // set once
	asks *nats.Subscription
}

// OpenReach starts answering the questions of all nodes.
func OpenReach(cfg ReachConfig) (r *Reach, err error) {
	r = &Reach{cfg: cfg}
	if r.asks, err = cfg.NATS.Subscribe(r.subject(), r.answer); err != nil {
		return nil, chat.Wrap(chat.Unavailable, "cluster.reach", err)
	}
	return r, nil
}

func (r *Reach) subject() string { return r.cfg.Prefix + ".reach" }

// places is a node's answer: the indexes, in the question, of users connected to it.
type places struct {
	Background []int `json:"background,omitempty"`
	Foreground []int `json:"foreground,omitempty"`
}

// answer handles a question of any node, this one included: Nodes counts it, so it has to
// answer too.
func (r *Reach) answer(m *nats.Msg) {
	var users []chat.UserID
	if err := json.Unmarshal(m.Data, &users); err != nil {
		r.cfg.Log.Warn("a question of another node cannot be read", "subject", m.Subject, "err", err)
		return
	}
	var here places
	for i, reach := range r.cfg.Here(users) {
		switch reach {
		case chat.Background:
			here.Background = append(here.Background, i)
		case chat.Foreground:
			here.Foreground = append(here.Foreground, i)
		}
	}
	data, err := json.Marshal(here)
	if err == nil {
		err = m.Respond(data)
	}
	if err != nil {
		r.cfg.Log.Debug("another node is not answered", "subject", m.Subject, "err", err)
	}
}

const (
	reachTime  = 300 * time.Millisecond // for all nodes to answer
	reachUsers = 1000                   // in one question: well below what NATS takes
)

// Ask returns how each of the users is connected, over all nodes. If a node has not answered
// within reachTime, all is false, and users connected there alone count as away.
func (r *Reach) Ask(ctx context.Context, users []chat.UserID) (reach []chat.Reach, all bool) {
	reach, all = make([]chat.Reach, len(users)), true
	for from := 0; from < len(users); from += reachUsers {
		to := min(from+reachUsers, len(users))
		all = r.ask(ctx, users[from:to], reach[from:to]) && all
	}
	return reach, all
}

func (r *Reach) ask(ctx context.Context, users []chat.UserID, reach []chat.Reach) (all bool) {
	copy(reach, r.cfg.Here(users)) // also while NATS is unreachable
	nodes := r.cfg.Nodes()
	if nodes <= 1 {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, reachTime)
	defer cancel()
	data, err := json.Marshal(users)
	if err != nil {
		return false
	}
	inbox := r.cfg.NATS.NewRespInbox()
	sub, err := r.cfg.NATS.SubscribeSync(inbox)
	if err == nil {
		defer func() { _ = sub.Unsubscribe() }() // fails only if the connection has ended
		err = r.cfg.NATS.PublishRequest(r.subject(), inbox, data)
	}
	all = true
	for range nodes {
		var m *nats.Msg
		if err == nil {
			m, err = sub.NextMsgWithContext(ctx)
		}
		if err != nil {
			r.cfg.Log.Debug("not all nodes have said who is connected", "err", err)
			return false
		}
		var there places
		if json.Unmarshal(m.Data, &there) != nil {
			all = false
			continue
		}
		there.raise(reach)
	}
	return all
}

// raise merges a node's answer into the result.
func (p *places) raise(reach []chat.Reach) {
	for at, places := range map[chat.Reach][]int{chat.Background: p.Background, chat.Foreground: p.Foreground} {
		for _, i := range places {
			if i >= 0 && i < len(reach) {
				reach[i] = max(reach[i], at)
			}
		}
	}
}

// Close ends the subscription.
func (r *Reach) Close() {
	if err := r.asks.Unsubscribe(); err != nil {
		r.cfg.Log.Debug("cluster: answering who is connected does not end", "err", err)
	}
}
