package presence

// Remembered is how much the tracker holds.
func (t *Tracker) Remembered() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(t.rooms) + len(t.pending) + len(t.leaving) + t.pendingCount
	for _, p := range t.publishers {
		n += len(p.waiting) + len(p.lastCount)
	}
	return n
}
