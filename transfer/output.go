package transfer

import (
	"context"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/crashpoint"
	"github.com/roomtide/roomtide/store"
)

// output writes through the lanes of the shards, in large commits. What is put into
// one shard is durable in the order in which it is put.
type output struct {
	st     *store.Store
	shards []shardOutput
	rows   int64 // written or deleted
}

// shardOutput gathers the next commit of a shard.
type shardOutput struct {
	acquired bool
	at       store.Position
	put      store.Rows
	drop     []store.RowKey
	bytes    int
}

func newOutput(st *store.Store) *output {
	return &output{st: st, shards: make([]shardOutput, len(st.Shards()))}
}

// put writes rows that are filed under the slot.
func (o *output) put(ctx context.Context, slot chat.Slot, rows *store.Rows) error {
	n := o.st.ShardOf(slot)
	s := &o.shards[n]
	s.put.Add(rows)
	s.bytes += rows.Size()
	return o.flushFull(ctx, n)
}

// drop deletes the row with the key.
func (o *output) drop(ctx context.Context, k store.RowKey) error {
	n := o.st.ShardOf(k.Slot())
	o.shards[n].drop = append(o.shards[n].drop, k)
	return o.flushFull(ctx, n)
}

func (o *output) flushFull(ctx context.Context, shard int) error {
	if s := &o.shards[shard]; s.put.Len()+len(s.drop) < pageRows && s.bytes < pageBytes {
		return nil
	}
	return o.flushShard(ctx, shard)
}

// flush makes everything durable.
func (o *output) flush(ctx context.Context) error {
	for n := range o.shards {
		if err := o.flushShard(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

func (o *output) flushShard(ctx context.Context, n int) error {
	s, shard := &o.shards[n], o.st.Shards()[n]
	rows := s.put.Len() + len(s.drop)
	if rows == 0 {
		return nil
	}
	if !s.acquired {
		at, err := shard.Acquire(ctx, 0)
		if err != nil {
			return err
		}
		s.acquired, s.at = true, at
	}
	if err := shard.Commit(ctx, 0, s.at, &store.Changes{Drop: s.drop, Put: &s.put}); err != nil {
		return err
	}
	crashpoint.Hit("import-committed")
	o.rows += int64(rows)
	*s = shardOutput{acquired: true, at: s.at.Next()}
	return nil
}
