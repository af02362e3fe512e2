package mover

import (
	"context"
	"fmt"
	"slices"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// Order asks for slots to move.
type Order struct {
	Slots *store.SlotSet // nil: all that From own
	From  []string       // nil: whichever shards own Slots
	To    []string       // the slots are spread evenly over these
	Rate  int            // rows a second; 0: as fast as it goes
	Keep  *int           // seconds for which the rows stay in the source behind the flip; nil: Config.Grace
}

// Start records the moves that an order makes: one for each source and target, which
// are done one after the other. Invalid, NotFound; Conflict while another is going on.
func (m *Mover) Start(ctx context.Context, o Order) ([]Status, error) {
	if c := m.cfg.Cluster; c != nil {
		if err := c.Behind(ctx); err != nil {
			return nil, err
		}
	}
	m.recording.Lock()
	defer m.recording.Unlock()
	if _, err := m.read(ctx); err != nil {
		return nil, err
	}
	defer func() { // also after an error: some may have been saved, now or by an order before
		m.wake()
		m.Look()
		m.tell()
	}()
	m.mu.Lock()
	busy, next := int64(0), int64(1)
	if mv := m.current(); mv != nil && mv.Phase != store.MoveCleaning {
		busy = mv.ID
	}
	if n := len(m.moves); n > 0 {
		next = m.moves[n-1].ID + 1
	}
	m.mu.Unlock()
	if busy != 0 {
		return nil, chat.E(chat.Conflict, fmt.Sprintf(`move %d is not over: wait for it ("roomtide shards status"), or end it with "roomtide shards abort"`, busy))
	}
	moves, err := m.plan(o)
	if err != nil {
		return nil, err
	}
	if err := m.overlaps(moves); err != nil {
		return nil, err
	}
	for i, mv := range moves {
		mv.ID = next + int64(i)
		row := mv.Encode()
		if err := m.cfg.Store.Control.SaveMove(ctx, row, nil); err != nil {
			return nil, err
		}
		m.saved[mv.ID] = row.Body
		m.take(mv)
	}
	return m.Moves(next), nil
}

// overlaps returns Conflict if slots are among the moves that are still being deleted
// where they were.
func (m *Mover) overlaps(moves []*store.Move) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, left := range m.moves {
		for _, mv := range moves {
			if !left.Phase.Over() && left.Slots.Meets(&mv.Slots) {
				return chat.E(chat.Conflict, fmt.Sprintf(`some of these slots have just come from %s, where they are still to be deleted: wait for move %d ("roomtide shards status")`, left.From, left.ID))
			}
		}
	}
	return nil
}

// plan makes the moves of an order.
func (m *Mover) plan(o Order) ([]*store.Move, error) {
	if len(o.To) == 0 || o.Slots == nil && len(o.From) == 0 {
		return nil, chat.E(chat.Invalid, "say which slots move and where to: slots and to, or from and to")
	}
	if o.Rate < 0 {
		return nil, chat.E(chat.Invalid, "the rate is a number of rows a second, or 0 for no limit")
	}
	keep := m.cfg.Grace.Milliseconds()
	if o.Keep != nil {
		if *o.Keep < 0 {
			return nil, chat.E(chat.Invalid, "keep is a number of seconds")
		}
		keep = int64(*o.Keep) * 1000
	}
	var numbers [2][]int // of the shards that are named
	for i, names := range [][]string{o.From, o.To} {
		for _, name := range names {
			n, err := m.shard(name)
			if err != nil {
				return nil, err
			}
			if slices.Contains(numbers[0], n) || slices.Contains(numbers[1], n) {
				return nil, chat.E(chat.Invalid, "the shard "+name+" is named twice")
			}
			numbers[i] = append(numbers[i], n)
		}
	}
	from, targets := numbers[0], numbers[1]
	sets := m.spread(o.Slots, from, targets)
	var moves []*store.Move
	shards := m.cfg.Store.Shards()
	for s := range shards {
		for _, t := range targets {
			if set := sets[[2]int{s, t}]; set != nil {
				moves = append(moves, &store.Move{Slots: *set, From: shards[s].Name(), To: shards[t].Name(),
					Phase: store.MoveWaiting, Rate: o.Rate, Keep: keep, Started: m.cfg.Now().UnixMilli()})
			}
		}
	}
	if len(moves) == 0 {
		return nil, chat.E(chat.Invalid, `nothing is to be moved: the slots are where they shall be ("roomtide shards" shows where)`)
	}
	return moves, nil
}

// spread says which slots go from which shard to which, in runs. from is nil for every
// shard; set nil for all slots of from.
func (m *Mover) spread(set *store.SlotSet, from, targets []int) map[[2]int]*store.SlotSet {
	var move []chat.Slot
	for slot := range chat.Slot(chat.Slots) {
		owner := m.cfg.Store.ShardOf(slot)
		if (set == nil || set.Has(slot)) && (from == nil || slices.Contains(from, owner)) && (len(targets) > 1 || owner != targets[0]) {
			move = append(move, slot)
		}
	}
	sets := map[[2]int]*store.SlotSet{}
	for i, slot := range move {
		key := [2]int{m.cfg.Store.ShardOf(slot), targets[i*len(targets)/len(move)]}
		if key[0] == key[1] {
			continue
		}
		if sets[key] == nil {
			sets[key] = &store.SlotSet{}
		}
		sets[key].Add(slot)
	}
	return sets
}

// Pause stops the work until Resume. Changes are not affected. Conflict if no move is
// going on.
func (m *Mover) Pause(ctx context.Context) error {
	return m.order(ctx, func(mv *store.Move) { mv.Paused, mv.Error = true, "" })
}

// Resume goes on with a move that is paused.
func (m *Mover) Resume(ctx context.Context) error {
	return m.order(ctx, func(mv *store.Move) { mv.Paused, mv.Error = false, "" })
}

// SetRate sets how many rows a second are copied, compared and deleted; 0: as fast as
// it goes.
func (m *Mover) SetRate(ctx context.Context, rate int) error {
	if rate < 0 {
		return chat.E(chat.Invalid, "the rate is a number of rows a second, or 0 for no limit")
	}
	return m.order(ctx, func(mv *store.Move) { mv.Rate = rate })
}

// order changes all moves that are not over, and wakes run, whichever node it is on.
func (m *Mover) order(ctx context.Context, change func(*store.Move)) error {
	m.recording.Lock()
	defer m.recording.Unlock()
	if _, err := m.read(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	var ids []int64
	for _, mv := range m.moves {
		if !mv.Phase.Over() {
			ids = append(ids, mv.ID)
		}
	}
	m.mu.Unlock()
	if len(ids) == 0 {
		return chat.E(chat.Conflict, "no slots are moving")
	}
	for _, id := range ids {
		if err := m.orderOne(ctx, id, change); err != nil {
			return err
		}
	}
	m.wake()
	m.Look()
	m.tell()
	return nil
}

// orderOne changes a record, whichever node saves it meanwhile. m.recording is held.
func (m *Mover) orderOne(ctx context.Context, id int64, change func(*store.Move)) error {
	for {
		mv := m.byID(id)
		err := m.save(ctx, mv, change)
		if err == nil || chat.KindOf(err) != chat.Conflict {
			return err
		}
	}
}

func (m *Mover) byID(id int64) *store.Move {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, mv := range m.moves {
		if mv.ID == id {
			return mv
		}
	}
	return nil
}

// Abort gives up all moves that are not over: the copy is deleted and the source stays
// the owner. Conflict if nothing is moving, or if the target is the owner already.
func (m *Mover) Abort(ctx context.Context) error {
	if _, err := m.refresh(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	running := m.current()
	later := slices.ContainsFunc(m.moves, func(mv *store.Move) bool { return mv.Phase == store.MoveWaiting })
	if running != nil && !later && (running.Phase == store.MoveFlipped || running.Phase == store.MoveCleaning) {
		to := running.To
		m.mu.Unlock()
		return chat.E(chat.Conflict, fmt.Sprintf("the slots belong to %s already: wait until the move is done, then move them back with \"roomtide shards move\"", to))
	}
	m.mu.Unlock()
	return m.order(ctx, func(mv *store.Move) {
		if mv.Phase.Follows() || mv.Phase == store.MoveWaiting {
			mv.Unwanted = true
		}
	})
}
