package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roomtide/roomtide/chat"
)

const (
	askTime   = 400 * time.Millisecond // for the other nodes to say whether they have something
	againTime = 20 * time.Millisecond  // before one asks again for what may be on its way
	askTimes  = 10
	askMute   = 2           // times, where a node does not answer
	keepTime  = time.Second // for another node to keep what is handed over
)

// Answers to a question for something.
var (
	answerNo    = []byte("n")
	answerAgain = []byte("a")
	answerYes   = byte('y') // and what it is behind it
)

// AwayConfig is how an Away is made. All fields are required.
type AwayConfig struct {
	NATS   *nats.Conn
	Prefix string     // of all subjects
	Nodes  func() int // how many are alive, this one included

	// Give gives away what this node has under a name; nil: it has nothing. again says
	// that the node stops, and what it had may be on its way. Keep keeps what another node
	// has handed over. Neither blocks.
	Give func(name string) (what []byte, again bool)
	Keep func(what []byte)

	Log *slog.Logger
}

// Away is what nodes keep for clients that are away, and pass to the node to which a
// client comes back. Each thing is in one place: what is given away, or handed over, is
// not there any more, also if it does not arrive. Safe for concurrent use.
type Away struct {
	// Set once.
	cfg  AwayConfig
	from string // this process
	asks *nats.Subscription
	keep *nats.Subscription

	leaving sync.Once
}

// OpenAway begins to answer other nodes.
func OpenAway(cfg AwayConfig) (a *Away, err error) {
	a = &Away{cfg: cfg, from: rand.Text()}
	if a.asks, err = cfg.NATS.Subscribe(a.askSubject(), a.answer); err != nil {
		return nil, chat.Wrap(chat.Unavailable, "cluster.away", err)
	}
	// One of the nodes gets each message.
	a.keep, err = cfg.NATS.QueueSubscribe(a.keepSubject(), "nodes", func(m *nats.Msg) {
		cfg.Keep(m.Data)
		a.respond(m, nil)
	})
	if err != nil {
		return nil, chat.Wrap(chat.Unavailable, "cluster.away", err)
	}
	return a, nil
}

func (a *Away) askSubject() string  { return a.cfg.Prefix + ".away.ask" }
func (a *Away) keepSubject() string { return a.cfg.Prefix + ".away.keep" }

func (a *Away) answer(m *nats.Msg) {
	from, name, _ := strings.Cut(string(m.Data), " ")
	if from == a.from { // what it asked for may be here by now, and stays
		return
	}
	switch what, again := a.cfg.Give(name); {
	case again:
		a.respond(m, answerAgain)
	case what == nil:
		a.respond(m, answerNo)
	default:
		a.respond(m, append([]byte{answerYes}, what...))
	}
}

func (a *Away) respond(m *nats.Msg, data []byte) {
	if err := m.Respond(data); err != nil {
		a.cfg.Log.Debug("another node is not answered", "subject", m.Subject, "err", err)
	}
}

// Ask returns what one of the other nodes has under the name, or has handed over to this
// one meanwhile; nil: none has it, or it cannot be had now.
func (a *Away) Ask(ctx context.Context, name string) []byte {
	mute := 0
	for range askTimes {
		what, again, all := a.ask(ctx, name)
		if !all {
			mute++
		}
		if what == nil {
			what, _ = a.cfg.Give(name)
		}
		if what != nil || mute == askMute || all && !again {
			return what
		}
		select {
		case <-time.After(againTime):
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// ask asks once. all reports that all nodes have answered.
func (a *Away) ask(ctx context.Context, name string) (what []byte, again, all bool) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	inbox := a.cfg.NATS.NewRespInbox()
	sub, err := a.cfg.NATS.SubscribeSync(inbox)
	if err == nil {
		defer func() { _ = sub.Unsubscribe() }() // fails only if the connection has ended
		err = a.cfg.NATS.PublishRequest(a.askSubject(), inbox, []byte(a.from+" "+name))
	}
	for range a.cfg.Nodes() - 1 {
		var m *nats.Msg
		if err == nil {
			m, err = sub.NextMsgWithContext(ctx)
		}
		switch {
		case err != nil:
			a.cfg.Log.Debug("not all nodes have said whether they have a session", "err", err)
			return nil, again, false
		case len(m.Data) > 1 && m.Data[0] == answerYes:
			return m.Data[1:], false, true
		case string(m.Data) == string(answerAgain):
			again = true
		}
	}
	return nil, again, true
}

// HandOver gives something to one of the other nodes: this one stops, and from the first
// call on keeps nothing more. mine reports that none has taken it, for certain.
func (a *Away) HandOver(what []byte) (mine bool) {
	a.leaving.Do(func() {
		err := a.keep.Unsubscribe()
		if err == nil {
			err = a.cfg.NATS.FlushTimeout(keepTime)
		}
		if err != nil {
			a.cfg.Log.Debug("this node may be handed something yet", "err", err)
		}
	})
	_, err := a.cfg.NATS.Request(a.keepSubject(), what, keepTime)
	if mine = stays(err); err != nil && !errors.Is(err, nats.ErrNoResponders) {
		a.cfg.Log.Warn("sessions may not be resumable on other nodes", "err", err, "kept", mine)
	}
	return mine
}

// stays reports whether a request that failed so has reached no node, for certain: there
// is none, or it has not left this process, as NATS was out of reach (natslink keeps
// nothing for later) or it was too large. ErrConnectionClosed is not among them: the
// connection may have ended while the answer was on its way.
func stays(err error) bool {
	return errors.Is(err, nats.ErrNoResponders) || errors.Is(err, nats.ErrReconnectBufExceeded) || errors.Is(err, nats.ErrMaxPayload)
}

// Close ends the answers. It may be called for nil.
func (a *Away) Close() {
	if a == nil {
		return
	}
	for _, sub := range []*nats.Subscription{a.asks, a.keep} {
		if err := sub.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrBadSubscription) {
			a.cfg.Log.Debug("what is kept for clients that are away", "err", err)
		}
	}
}
