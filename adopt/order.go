package adopt

import (
	"context"
	"strconv"

	"github.com/roomtide/roomtide/adopt/source"
)

// Rows that are new come into a room in the order of their keys, whichever of them is named
// first: a follower that begins looks at the newest rows at once, and a sweep at any, while
// those that were written before them wait to be named. A row that was not committed yet as a later
// one was imported comes behind it. Keys without an order are imported as they are named.

// toppedFact is the key up to which all rows were imported that could be seen.
const toppedFact = "topped"

// top is the key up to which all rows have been imported, "" for none.
func (m *Move) top(ctx context.Context) (source.Key, error) {
	at, err := m.cfg.State.fact(ctx, toppedFact)
	if err == nil && at == "" {
		at, err = m.cfg.State.fact(ctx, "scanned")
	}
	return source.Key(at), err
}

// applyNew applies all rows up to the highest of the keys which follow those that were
// imported, and returns the keys that were not among them.
func (m *Move) applyNew(ctx context.Context, keys []source.Key) ([]source.Key, error) {
	top, err := m.top(ctx)
	if err != nil {
		return nil, err
	}
	last, ok := highest(keys)
	if !ok || top != "" && !below(top, last) {
		return keys, nil
	}
	done := map[source.Key]bool{}
	for more := true; more; {
		rows, err := m.cfg.Source.Rows(ctx, top, applyKeys)
		if err != nil {
			return nil, err
		}
		var page []source.Key
		top, more = last, len(rows) > 0
		for i := range rows {
			if below(last, rows[i].Key) {
				top, more = last, false
				break
			}
			page = append(page, rows[i].Key)
			top = rows[i].Key
			done[top] = true
		}
		if err := m.applySome(ctx, page); err != nil {
			return nil, err
		}
	}
	var rest []source.Key
	for _, k := range keys {
		if !done[k] {
			rest = append(rest, k)
		}
	}
	return rest, m.cfg.State.setFact(ctx, toppedFact, string(last))
}

// highest is the highest of keys that are whole numbers; it is not ok if one is none.
func highest(keys []source.Key) (top source.Key, ok bool) {
	for _, k := range keys {
		if _, number := stateKey(k).(int64); !number {
			return "", false
		}
		if top == "" || below(top, k) {
			top = k
		}
	}
	return top, top != ""
}

// below compares keys that are whole numbers.
func below(a, b source.Key) bool {
	x, errX := strconv.ParseInt(string(a), 10, 64)
	y, errY := strconv.ParseInt(string(b), 10, 64)
	return errX == nil && errY == nil && x < y
}
