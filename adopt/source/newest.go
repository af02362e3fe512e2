package source

import (
	"context"
	"slices"
)

// Newest returns up to n messages with the largest keys, in their order.
func (s *Tables) Newest(ctx context.Context, n int) ([]Row, error) {
	m := &s.messages
	var keys []Key
	read := func(limit int) error {
		keys = keys[:0]
		return s.each(ctx, m.newest(limit), nil, 2, 0, func(key string, _ []value) bool {
			keys = append(keys, Key(key))
			return true
		})
	}
	// Rows of the kind skip are not known before they are read.
	for limit := n; ; limit *= 8 {
		if err := read(limit); err != nil {
			return nil, explained("message", err)
		}
		rows, err := s.ByKeys(ctx, keys)
		if err != nil || len(rows) >= n || len(keys) < limit || limit > 100*n {
			return last(rows, keys, n), err
		}
	}
}

// last puts rows into the order of keys, which is descending, and takes n of them.
func last(rows []Row, keys []Key, n int) []Row {
	byKey := make(map[Key]*Row, len(rows))
	for i := range rows {
		byKey[rows[i].Key] = &rows[i]
	}
	var sorted []Row
	for _, k := range keys {
		if r := byKey[k]; r != nil && len(sorted) < n {
			sorted = append(sorted, *r)
			delete(byKey, k)
		}
	}
	slices.Reverse(sorted)
	return sorted
}
