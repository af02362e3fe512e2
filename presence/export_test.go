package presence

// Remembered is how much the tracker holds.
func (t *Tracker) Remembered() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.rooms) + len(t.pending) + len(t.leaving) + len(t.lastCount) + t.pendingCount
}
