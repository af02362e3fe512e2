package embednats

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	natsd "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/roomtide/roomtide/chat"
)

const (
	// A server that is in no list any more may be about to get a new one, or to be started
	// with it: that takes a restart.
	leftAfter = time.Minute

	leftLook = 2 * time.Second // how often it is looked for servers that have left
	askTime  = 2 * time.Second // for one answer
)

// left looks for servers that belonged to the cluster and have gone for good. JetStream
// counts them for its majority and keeps places for their copies until it is told. They
// are those that have been away for Config.leftAfter while all servers of Config.Routes are
// there, and have none of their names. Only the leader of JetStream looks.
type left struct {
	s     *Server
	since map[string]time.Time // since when peers have been seen to be away, by id
}

// look tells JetStream of servers that have left.
func (l *left) look(now time.Time) {
	away := map[string]string{}
	if info, err := l.s.natsd.Jsz(nil); err == nil && info.Meta != nil {
		l.s.members.Store(int64(info.Meta.Size))
		away = l.away(info.Meta)
	}
	for id := range l.since {
		if _, still := away[id]; !still {
			delete(l.since, id)
		}
	}
	for id, name := range away {
		if l.since[id].IsZero() {
			l.since[id] = now
		}
		if now.Sub(l.since[id]) < l.s.cfg.leftAfter || !l.unlisted(name) {
			continue
		}
		if err := l.s.remove(id); err != nil {
			l.s.log.Warn("a server that nats.routes does not list any more stays in JetStream, which counts it for its majority; it is tried again", "name", name, "err", err)
			continue
		}
		l.s.log.Info("a server that nats.routes does not list any more has left JetStream", "name", name)
	}
}

// away are the names of the servers that JetStream waits for, by id; none unless this
// server leads and reaches all others of its list.
func (l *left) away(all *natsd.MetaClusterInfo) map[string]string {
	s, names := l.s, map[string]string{}
	if s.Missing() > 0 || !s.natsd.JetStreamIsLeader() {
		return names
	}
	for _, p := range all.Replicas {
		if p.Offline {
			names[p.Peer] = p.Name
		}
	}
	return names
}

// unlisted reports that all servers of the list answer, and none of them has the name.
// The addresses are asked: servers that are reached may be others, of a list of which this
// server does not know yet.
func (l *left) unlisted(name string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	var names []string
	for _, address := range l.s.cfg.Routes {
		told, err := Ask(ctx, l.s.cfg, address)
		if err != nil {
			return false
		}
		names = append(names, told.Name)
	}
	reached := append(l.s.Reached(), l.s.cfg.Name)
	for _, n := range names {
		if !slices.Contains(reached, n) {
			return false
		}
	}
	return !slices.Contains(names, name)
}

// remove takes a server out of JetStream. Its copies are made on others.
func (s *Server) remove(id string) error {
	failed := func(err error) error {
		return &chat.Error{Kind: chat.Unavailable, Op: "embednats.remove", Text: "JetStream does not let a server go", Err: err}
	}
	nc, err := nats.Connect("", nats.InProcessServer(s), nats.UserInfo(systemName, s.password), nats.Timeout(askTime))
	if err != nil {
		return failed(err)
	}
	defer nc.Close()
	body, err := json.Marshal(natsd.JSApiMetaServerRemoveRequest{Peer: id})
	if err != nil {
		return failed(err)
	}
	msg, err := nc.Request(natsd.JSApiRemoveServer, body, askTime)
	if err != nil {
		return failed(err)
	}
	var answer natsd.JSApiMetaServerRemoveResponse
	if err := json.Unmarshal(msg.Data, &answer); err != nil {
		return failed(err)
	}
	if answer.Error != nil {
		return failed(errors.New(answer.Error.Description))
	}
	return nil
}
