package server

import (
	"context"
	"maps"
	"slices"

	"github.com/roomtide/roomtide/cluster"
)

// nodes returns the nodes that are alive or own lanes, by name.
func (s *Server) nodes(ctx context.Context) ([]cluster.Info, error) {
	alive, err := s.node.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	byName := map[string]*cluster.Info{}
	get := func(name string) *cluster.Info {
		if byName[name] == nil {
			byName[name] = &cluster.Info{Name: name, This: name == s.node.Name(), Lanes: []string{}}
		}
		return byName[name]
	}
	for _, name := range append(alive, s.node.Name()) {
		get(name).Alive = true
	}
	for _, shard := range s.store.Shards() {
		owner := s.node.Name()
		if s.peers != nil {
			lease, err := shard.Lease(ctx, 0, "", 0)
			if err != nil || lease.Left <= 0 {
				continue // without an owner, or not known: "roomtide shards" says why
			}
			owner = lease.Holder
		}
		n := get(owner)
		n.Lanes = append(n.Lanes, shard.Name())
	}
	get(s.node.Name()).Version = s.version
	for _, p := range s.knownPeers() {
		if n := byName[p.Node]; n != nil {
			n.Version = p.Version
		}
	}
	out := make([]cluster.Info, 0, len(byName))
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		out = append(out, *byName[name])
	}
	return out, nil
}
