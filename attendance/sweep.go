package attendance

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

const (
	sweepTime = 30 * time.Second // for one shard
	pageRows  = 256
)

// watch is what sweeps go by, as of the last look.
type watch struct {
	alive []string
	owned []bool      // by shard: whether this node owned the lane
	due   []time.Time // by shard: when it is to be swept; zero: not
	last  time.Time   // when the nodes that are alive were last read
}

// look reads which nodes are alive, makes shards due when that has changed, and sweeps those
// that are.
func (b *Book) look(ctx context.Context, now time.Time) {
	w := &b.watch
	if !b.cfg.Wanted() {
		w.alive, w.last = nil, time.Time{}
		clear(w.due)
		return
	}
	alive, err := b.cfg.Nodes(ctx)
	if err != nil {
		b.cfg.Log.Debug("attendance: the nodes that are alive are not known", "err", err)
		return
	}
	late := !w.last.IsZero() && now.Sub(w.last) > 3*lookEvery // the process stood still
	if late || !slices.Contains(alive, b.cfg.Node) {
		b.tellAgain()
	}
	slices.Sort(alive)
	changed := late || !slices.Equal(alive, w.alive)
	w.alive, w.last = alive, now
	for shard := range w.due {
		owns := b.cfg.Owns(shard)
		if changed || owns && !w.owned[shard] {
			w.due[shard] = now.Add(b.cfg.Grace)
		}
		w.owned[shard] = owns
		if at := w.due[shard]; at.IsZero() || now.Before(at) {
			continue
		}
		if err := b.sweep(ctx, shard); err != nil {
			b.cfg.Log.Debug("attendance: a shard is not swept, and is tried again", "shard", shard, "err", err)
			continue
		}
		w.due[shard] = time.Time{}
	}
}

// sweep removes rows of the shard whose node does not do so itself any more.
func (b *Book) sweep(ctx context.Context, shard int) error {
	ctx, cancel := context.WithTimeout(ctx, sweepTime)
	defer cancel()
	here := map[chat.UserID]bool{}
	for _, user := range b.cfg.Users() {
		here[user] = true
	}
	for slot := range chat.Slot(chat.Slots) {
		if b.cfg.Store.ShardOf(slot) != shard {
			continue
		}
		for at := (store.RowKey{Table: store.TableUserNodes}); at.Table == store.TableUserNodes; {
			rows, next, err := b.cfg.Store.Shards()[shard].SlotRows(ctx, slot, at, pageRows, 0)
			if err == nil {
				err = b.remove(ctx, rows.UserNodes, here, b.watch.owned[shard])
			}
			if err != nil {
				return err
			}
			at = next
		}
	}
	return nil
}

// remove removes what is stale of some rows. The nodes that are alive are read anew: of a user
// who came back with a node since the last look, the row is what it was. A node that has ended
// since then is left for the Grace.
func (b *Book) remove(ctx context.Context, rows []store.UserNodes, here map[chat.UserID]bool, owns bool) error {
	if len(b.stale(rows, here, owns, b.watch.alive, false)) == 0 {
		return nil
	}
	alive, err := b.cfg.Nodes(ctx)
	if err != nil {
		return err
	}
	return b.settle(ctx, b.stale(rows, here, owns, slices.Concat(b.watch.alive, alive), true))
}

// stale returns the changes that remove what no longer holds: users of this node's previous
// process who have not come back, and where this node owns the lane those of nodes that are
// not alive. Those of this node are in its entries from here on if the changes are to be
// submitted: a user who connects meanwhile is told to the lane behind them.
func (b *Book) stale(rows []store.UserNodes, here map[chat.UserID]bool, owns bool, alive []string, submit bool) (out []*change.Connected) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, row := range rows {
		for node := range strings.SplitSeq(row.Nodes, "\n") {
			own, gone := node == b.cfg.Node, owns && !slices.Contains(alive, node)
			if own {
				e := b.users[row.User]
				gone = !here[row.User] && (e == nil || e.ending > 0)
			}
			if !gone {
				continue
			}
			out = append(out, &change.Connected{User: row.User, Node: node})
			if own && submit {
				b.begin(row.User)
			}
		}
	}
	return out
}

// begin notes that a change of a sweep is about to be submitted. b.mu is held.
func (b *Book) begin(user chat.UserID) {
	e := b.users[user]
	if e == nil {
		e = &entry{busy: true}
		b.users[user] = e
	}
	e.ending++
}

// ended notes the outcome of a change of a sweep. Of one that failed the row is found again.
func (b *Book) ended(c *change.Connected) {
	if c.Node != b.cfg.Node {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.users[c.User]
	if e.ending--; e.ending == 0 {
		delete(b.users, c.User)
	}
}

// settle submits changes and waits for their outcomes.
func (b *Book) settle(ctx context.Context, changes []*change.Connected) (err error) {
	done := make(chan error, len(changes))
	for _, c := range changes {
		b.cfg.Submit(c, func(_ change.Reply, err error) {
			b.ended(c)
			done <- err
		})
	}
	for range changes {
		select {
		case failed := <-done:
			if failed != nil {
				err = failed
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}
