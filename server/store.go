package server

import (
	"context"
	"log/slog"
	"strings"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

func (s *Server) openStore(ctx context.Context) error {
	dbs, err := newDatabases(s.cfg, s.log)
	if err != nil {
		return err
	}
	dbs.shared = s.cfg.Cluster() // verbs for stopped nodes have the databases for themselves
	s.store, err = store.Open(ctx, dbs, s.reg)
	if err != nil {
		return err
	}
	s.onClose(func() {
		if err := s.store.Close(); err != nil {
			s.log.Error("closing the databases", "err", err)
		}
	})
	logShards(s.log, s.store, dbs)
	return nil
}

// logShards says which shards there are, and what to do with those that are
// configured and own nothing.
func logShards(log *slog.Logger, st *store.Store, dbs *databases) {
	slots := make([]int, len(st.Shards()))
	for s := range chat.Slots {
		slots[st.ShardOf(chat.Slot(s))]++
	}
	var owners, empty []string
	for i, shard := range st.Shards() {
		log.Debug("shard", "name", shard.Name(), "slots", slots[i])
		if slots[i] > 0 {
			owners = append(owners, shard.Name())
		} else if _, ok := dbs.byName[shard.Name()]; ok {
			empty = append(empty, shard.Name())
		}
	}
	if len(empty) > 0 {
		log.Info("shards without rooms; rooms move to them, while the node runs, with: roomtide shards move --from " +
			strings.Join(owners, ",") + " --to " + strings.Join(empty, ","))
	}
}
