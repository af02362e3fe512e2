package server

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/cluster"
	"github.com/roomtide/roomtide/internal/planted"
	"github.com/roomtide/roomtide/store"
)

const (
	meetLeast = 300 * time.Millisecond // for nodes of which nothing is known to say that they are there
	meetMost  = time.Second            // for those that should be there

	sharedAgo   = 10 * time.Minute // a node of the same databases has had a lease since then
	sharedLimit = 5 * time.Second  // for one that has just started to get its first
	sharedLook  = 250 * time.Millisecond
)

// meet looks at the nodes that run, before anything is done in the name of this one, and
// returns why this one may not join them.
func (p *peers) meet(ctx context.Context) (err error) {
	s := p.s
	p.hellos, err = cluster.OpenHellos(cluster.HellosConfig{
		NATS: p.link.NATS(), Prefix: p.prefix, Now: planted.Now, Log: s.log, Registerer: s.reg,
		Self: cluster.Hello{Node: s.cfg.Node, Version: s.version, Level: cluster.Level, TokenKey: keyDigest(s.secret), WebPush: s.vapid, Shards: len(s.store.Shards()), ShardNames: s.shardNames()},
		Map:  s.store.MapVersion,
	})
	if err != nil {
		return err
	}
	s.onClose(p.hellos.Close)
	alive, err := s.store.Control.Nodes(ctx, planted.Now().UnixMilli())
	if err != nil {
		return err
	}
	met, err := p.hellos.Ask(ctx, meetLeast, meetMost, alive)
	if err == nil {
		err = p.hellos.Admit(met)
	}
	if err == nil {
		err = p.sameDatabases(ctx, met)
	}
	if err != nil {
		return err
	}
	if names := cluster.OtherWebPush(&cluster.Hello{WebPush: s.vapid}, met); len(names) > 0 { // chat goes on without
		s.log.Error("the key of Web Push is another one than that of other nodes: browsers that subscribe here get nothing from there; let push.webpush_key_file name the same key on all nodes", "nodes", names)
	}
	return s.raiseLevel(ctx, p.hellos.Lowest(met))
}

// sameDatabases is an error if a node that runs is not one of those that have a lease in
// this node's control database: the two then use copies of it, and would mix them up.
func (p *peers) sameDatabases(ctx context.Context, met []cluster.Peer) error {
	for deadline := time.Now().Add(sharedLimit); ; {
		had, err := p.s.store.Control.Nodes(ctx, planted.Now().Add(-sharedAgo).UnixMilli())
		if err != nil {
			return err
		}
		i := slices.IndexFunc(met, func(m cluster.Peer) bool { return m.Serving && !slices.Contains(had, m.Node) })
		if i < 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return chat.E(chat.Invalid, "node "+met[i].Node+" answers on NATS as one of this deployment, and has another control database than this node: "+
				"one of the two is a copy. Give the nodes of a copy NATS servers or an account of their own, or correct control and [[shards]]")
		}
		select {
		case <-time.After(sharedLook):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// raiseLevel notes that data may be written in the form of a level from now on, which all
// nodes that run know.
func (s *Server) raiseLevel(ctx context.Context, level int) error {
	have, err := s.store.Control.Level(ctx)
	if err == nil {
		err = knowsLevel(have) // it was raised since the databases were opened
	}
	if err != nil || have.Number >= level {
		return err
	}
	return s.store.Control.RaiseLevel(ctx, store.Level{Number: level, Version: s.version})
}

// knowsLevel is an error if data of the level are beyond this program.
func knowsLevel(have store.Level) error {
	if have.Number <= cluster.Level {
		return nil
	}
	return chat.E(chat.Invalid, fmt.Sprintf("the data of this deployment were written by Roomtide %s (level %d), and this program knows level %d at most: use version %s or a newer one",
		have.Version, have.Number, cluster.Level, have.Version))
}

// knownPeers are the other nodes of the cluster, as this one has heard them lately.
func (s *Server) knownPeers() []cluster.Peer {
	if s.peers == nil {
		return nil
	}
	return s.peers.hellos.Known()
}

// shardNames are the names of the shards that this node has open, by their numbers.
func (s *Server) shardNames() (names []string) {
	for _, shard := range s.store.Shards() {
		names = append(names, shard.Name())
	}
	return names
}
