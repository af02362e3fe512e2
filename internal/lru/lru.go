// Package lru has a map of bounded size that keeps what is used.
package lru

import "maps"

// Map holds at most 2*max entries: those put or got lately are in a young
// generation; when it is full it becomes the old one, and what was in the
// former old generation and not used since is dropped. The zero value is not
// usable. Not safe for concurrent use.
type Map[K comparable, V any] struct {
	max        int
	young, old map[K]V
}

// New returns an empty Map that holds the max most recent entries for sure.
func New[K comparable, V any](max int) *Map[K, V] { return &Map[K, V]{max: max} }

// Get returns the entry of k, if it is still there.
func (m *Map[K, V]) Get(k K) (V, bool) {
	if v, ok := m.young[k]; ok {
		return v, true
	}
	v, ok := m.old[k]
	if ok {
		delete(m.old, k)
		m.Put(k, v)
	}
	return v, ok
}

// Put sets the entry of k.
func (m *Map[K, V]) Put(k K, v V) {
	if _, ok := m.young[k]; !ok && len(m.young) >= m.max {
		m.old, m.young = m.young, nil
	}
	if m.young == nil {
		m.young = map[K]V{}
	}
	delete(m.old, k)
	m.young[k] = v
}

// Delete forgets the entry of k.
func (m *Map[K, V]) Delete(k K) {
	delete(m.young, k)
	delete(m.old, k)
}

// DeleteFunc forgets the entries whose keys drop reports true for.
func (m *Map[K, V]) DeleteFunc(drop func(K) bool) {
	for _, g := range []map[K]V{m.young, m.old} {
		maps.DeleteFunc(g, func(k K, _ V) bool { return drop(k) })
	}
}

// Clear forgets everything.
func (m *Map[K, V]) Clear() { m.young, m.old = nil, nil }

// Len is how many entries there are.
func (m *Map[K, V]) Len() int { return len(m.young) + len(m.old) }
