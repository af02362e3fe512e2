package server

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/cluster"
	"github.com/roomtide/roomtide/mover"
)

const mapLimit = 5 * time.Second // for reading the slot map

// moverCluster is what the mover needs on one of several nodes; nil on a single one.
func (s *Server) moverCluster() *mover.Cluster {
	p := s.peers
	if p == nil {
		return nil
	}
	return &mover.Cluster{
		Node: s.cfg.Node, HoldQueue: p.relay.HoldQueue, Behind: p.behind, ReadMap: p.readMap,
		Tell: func() { p.notices.Send(cluster.Notice{Kind: cluster.NoticeMoves}) },
	}
}

// behind is an error that names the nodes that are alive and do not have the slot map of
// this one, or not its shards.
func (p *peers) behind(ctx context.Context) error {
	s := p.s
	alive, err := s.store.Control.Nodes(ctx, time.Now().UnixMilli())
	if err != nil {
		return err
	}
	met, err := p.hellos.Ask(ctx, 0, meetMost, alive)
	if err != nil {
		return err
	}
	current := map[string]bool{s.cfg.Node: true}
	for i := range met {
		current[met[i].Node] = met[i].Map >= s.store.MapVersion() && met[i].Shards >= len(s.store.Shards())
	}
	var names []string
	for _, name := range alive {
		if !current[name] {
			names = append(names, name)
		}
	}
	if names == nil {
		return nil
	}
	return chat.E(chat.Unavailable, fmt.Sprintf("node %s does not know the slot map of this node, or not all shards: does it run, with the same [[shards]] and the same version of the program?", strings.Join(names, ", node ")))
}

// readMap puts the stored slot map in force if it is newer than this node's.
func (p *peers) readMap() error { return p.follow(p.s.store.MapVersion() + 1) }

// stale is follow for the relay, which goes on whether or not there was an error: the mover
// calls readMap until there is none.
func (p *peers) stale(version int64) { _ = p.follow(version) }

// follow puts the stored slot map in force if there is one of this version and this node's is
// older, and has the hub follow. After an error it is to be called again.
func (p *peers) follow(version int64) error {
	var unread error
	if p.s.store.MapVersion() < version {
		ctx, cancel := context.WithTimeout(context.Background(), mapLimit)
		defer cancel()
		if unread = p.s.store.Reload(ctx); unread != nil {
			p.s.log.Warn("cannot read the slot map", "err", unread)
		}
	}
	now := p.s.store.MapVersion() // which a lane that was taken over may have read too
	if p.routed.Load() == now {
		return unread
	}
	p.s.log.Info("there is a new slot map", "version", now)
	if err := p.s.hub.RerouteLate(); err != nil {
		p.s.log.Warn("rooms that have changed to another lane", "err", err)
		return err
	}
	// Behind RerouteLate: until it has succeeded, the hub goes by an older version. Another
	// goroutine may do the same at once, which does no harm.
	p.routed.Store(now)
	return unread
}
