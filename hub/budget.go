package hub

import (
	"cmp"
	"slices"
	"sync/atomic"

	"github.com/roomtide/roomtide/chat"
)

// budget counts bytes of the whole node against a bound.
type budget struct {
	// Set once.
	limit int64
	over  func() // called when bytes were added beyond limit, by any goroutine; does not block

	// Safe for any goroutine.
	used  atomic.Int64
	asked atomic.Bool // over was called, and done not since
}

func (b *budget) add(n int64) {
	if b.used.Add(n) > b.limit && n > 0 && b.asked.CompareAndSwap(false, true) {
		b.over()
	}
}

// excess is how much has to be released so that an eighth of the budget is free
// again: then the search for it does not begin anew at once.
func (b *budget) excess() int64 { return b.used.Load() - b.limit/8*7 }

// done says that what over asked for was done.
func (b *budget) done() { b.asked.Store(false) }

// Hold counts bytes that wait for a slow reader outside of the queues of
// connections, such as the body of an answer over HTTP, until they are given to
// Release. They have half as much space as private frames, of their own: what cannot
// be closed here must not be paid for by connections. It is false, and nothing is
// counted, when that is full.
func (h *Hub) Hold(bytes int) bool {
	if h.held.Add(int64(bytes)) > int64(h.cfg.PrivateTotal)/2 {
		h.held.Add(-int64(bytes))
		return false
	}
	return true
}

// Release counts bytes that were held.
func (h *Hub) Release(bytes int) { h.held.Add(-int64(bytes)) }

// debtor is a connection that shed may close.
type debtor struct {
	conn    *Conn
	waiting int32
	lags    bool // its link did not take everything
}

// shed closes connections as slow until fewer bytes wait in private queues: first
// those whose links lag, of these the ones with the most waiting. A worker calls it.
func (h *Hub) shed() {
	defer h.waiting.done()
	excess := h.waiting.excess()
	all, going := h.debtors()
	excess -= going
	slices.SortFunc(all, func(a, b debtor) int {
		switch {
		case a.lags && !b.lags:
			return -1
		case b.lags && !a.lags:
			return 1
		}
		return cmp.Compare(b.waiting, a.waiting)
	})
	for _, d := range all {
		if excess <= 0 {
			return
		}
		excess -= int64(d.waiting)
		h.metrics.shed.Inc()
		d.conn.Close(chat.ByeSlow)
	}
}

// debtors are the connections with something waiting. going is what waits for those
// that are being closed already.
func (h *Hub) debtors() (all []debtor, going int64) {
	for _, w := range h.workers {
		for _, c := range w.conns.all() {
			c.mu.Lock()
			d := debtor{c, c.small + c.large, c.backlog != nil}
			closing := c.bye != nil
			c.mu.Unlock()
			switch {
			case closing:
				going += int64(d.waiting)
			case d.waiting > 0:
				all = append(all, d)
			}
		}
	}
	return all, going
}

// shedLogs makes room logs smaller until they fit into their budget, the largest
// ones first: connections that have not got what is given up are told of a gap
// before their time. A worker calls it.
func (h *Hub) shedLogs() {
	defer h.logBytes.done()
	const least = 1 << 10 // smaller logs are not what takes the memory
	for most := h.cfg.RoomLogBytes / 2; most >= least && h.logBytes.excess() > 0; most /= 2 {
		for _, r := range h.rooms.all() {
			r.giveUp(most)
		}
	}
}
