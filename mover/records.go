package mover

import (
	"bytes"
	"context"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// A record is shared by all nodes. One of them works on the move and saves how far it is,
// any of them takes orders and saves these; a record is only ever put in the place of the
// one that was read (store.MoveLog).

// update saves a change of a record, then it is in force: what a later step relies on is
// never in memory alone. Conflict if another node works on the move by now.
func (m *Mover) update(mv *store.Move, change func(*store.Move)) error {
	m.recording.Lock()
	defer m.recording.Unlock()
	return m.save(m.ctx, mv, change)
}

// save is update with m.recording held.
func (m *Mover) save(ctx context.Context, mv *store.Move, change func(*store.Move)) error {
	for {
		m.mu.Lock()
		next := *mv
		m.mu.Unlock()
		change(&next)
		next.Rev++
		row := next.Encode()
		err := m.cfg.Store.Control.SaveMove(ctx, row, m.saved[mv.ID])
		switch {
		case err == nil:
			m.saved[mv.ID] = row.Body
			m.mu.Lock()
			change(mv) // and no more of it: run changes other fields meanwhile
			mv.Rev = next.Rev
			m.mu.Unlock()
			return nil
		case chat.KindOf(err) != chat.Conflict:
			return err
		}
		if _, err := m.read(ctx); err != nil {
			return err
		}
		if !m.has(mv) {
			return err
		}
	}
}

// has reports whether the record is still the one that this node goes by.
func (m *Mover) has(mv *store.Move) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, known := range m.moves {
		if known == mv {
			return true
		}
	}
	return false
}

// refresh reads the records, and reports whether there is something new.
func (m *Mover) refresh(ctx context.Context) (changed bool, err error) {
	m.recording.Lock()
	defer m.recording.Unlock()
	return m.read(ctx)
}

// read is refresh with m.recording held.
func (m *Mover) read(ctx context.Context) (changed bool, err error) {
	if m.cfg.Store.Control == nil {
		return false, nil
	}
	rows, err := m.cfg.Store.Control.Moves(ctx)
	if err != nil {
		return false, err
	}
	for _, row := range rows {
		if bytes.Equal(row.Body, m.saved[row.ID]) {
			continue
		}
		stored, err := row.Decode()
		if err != nil {
			return changed, chat.Wrap(chat.Internal, "mover.read", err)
		}
		changed = true
		m.saved[row.ID] = row.Body
		m.take(stored)
	}
	return changed, nil
}

// take puts a record that was read in force. Of the move that this node works on, another
// node has only given orders.
func (m *Mover) take(stored *store.Move) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, mv := range m.moves {
		if mv.ID != stored.ID {
			continue
		}
		if mv == m.working && stored.Node == m.node() {
			mv.Rev, mv.Paused, mv.Unwanted, mv.Rate = stored.Rev, stored.Paused, stored.Unwanted, stored.Rate
			return
		}
		m.moves[i] = stored // and not into the old one, which a step may be using
		return
	}
	m.moves = append(m.moves, stored)
}

// node is the name of this node, "" of a single one.
func (m *Mover) node() string {
	if m.cfg.Cluster == nil {
		return ""
	}
	return m.cfg.Cluster.Node
}

// Look has the mover look at what another node has changed. It does not block.
func (m *Mover) Look() {
	select {
	case m.told <- struct{}{}:
	default:
	}
}

// tell has other nodes look.
func (m *Mover) tell() {
	if m.cfg.Cluster != nil {
		m.cfg.Cluster.Tell()
	}
}

// watch looks at what other nodes do, and has the lanes of a move meet on one node. A node
// that knows of a move looks often: whichever works on it may be gone.
func (m *Mover) watch() {
	timer := time.NewTimer(m.cfg.Cluster.Every)
	defer timer.Stop()
	for failed, late := false, false; ; {
		changed, err := m.refresh(m.ctx)
		switch {
		case m.ctx.Err() != nil:
			return
		case err != nil && !failed:
			m.log.Warn("moving slots: the records cannot be read", "err", err)
		}
		failed = err != nil
		if changed || late || m.next() != nil {
			late = m.cfg.Cluster.ReadMap() != nil
		}
		m.pair()
		if changed {
			m.wake()
		} else {
			m.nudge()
		}
		timer.Reset(m.untilLook(failed || late))
		select {
		case <-m.ctx.Done():
			return
		case <-m.told:
		case <-timer.C:
		}
	}
}

// untilLook is the time to the next look at the records.
func (m *Mover) untilLook(failed bool) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if failed || m.current() != nil {
		return m.cfg.Cluster.Every
	}
	return m.cfg.Cluster.Rest
}

// pair has one node own both lanes of the move that is going on. While rows are kept in the
// source, there is nothing to do.
func (m *Mover) pair() {
	mv := m.next()
	if mv == nil || m.keeps(mv) {
		m.cfg.Lanes.Unpair()
		return
	}
	from, to, err := m.shards(mv)
	if err != nil {
		m.log.Error("moving slots: this node does not know the shards of a move", "move", mv.ID, "err", err)
		return
	}
	m.cfg.Lanes.Pair(from, to)
}

// keeps reports whether a move waits until what is left in the source may be deleted.
func (m *Mover) keeps(mv *store.Move) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return mv.Phase == store.MoveCleaning && m.cfg.Now().UnixMilli() < mv.Flipped+mv.Keep
}
