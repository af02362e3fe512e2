package follow

import (
	"slices"
	"time"
)

// gap is a range of keys below the highest one that was seen, none of which was seen.
type gap struct {
	from, to int64
	found    time.Time // after the question whose answer showed it

	// owners are the transactions that were open when the gap was known; nil while they
	// were not asked for. One of them may own a key of the gap, a later one cannot.
	owners transactions
}

// gaps are the gaps of a table, in order, without overlaps.
type gaps struct{ list []gap }

// most is how many gaps are remembered. While there are as many, the table is not read
// any further: what is read is exact, and the lag shows it.
const mostGaps = 100_000

func (g *gaps) full() bool { return len(g.list) >= mostGaps }

// floor is the highest key without a gap below it, of keys up to high.
func (g *gaps) floor(high int64) int64 {
	if len(g.list) == 0 {
		return high
	}
	return g.list[0].from - 1
}

// add remembers the keys from..to, which are above all others.
func (g *gaps) add(from, to int64, now time.Time) {
	if from <= to {
		g.list = append(g.list, gap{from: from, to: to, found: now})
	}
}

// seen takes keys out, which are in order, and reports which of them were in a gap.
func (g *gaps) seen(keys []int64) (were []int64) {
	var kept []gap
	i := 0
	for _, at := range g.list {
		for i < len(keys) && keys[i] < at.from {
			i++
		}
		for ; i < len(keys) && keys[i] <= at.to; i++ {
			were = append(were, keys[i])
			if before := at; keys[i] > at.from {
				before.to = keys[i] - 1
				kept = append(kept, before)
			}
			at.from = keys[i] + 1
		}
		if at.from <= at.to {
			kept = append(kept, at)
		}
	}
	g.list = kept
	return were
}

// younger are the gaps that were found after a time.
func (g *gaps) younger(than time.Time) []gap {
	i, _ := slices.BinarySearchFunc(g.list, than, func(a gap, t time.Time) int { return a.found.Compare(t) })
	return g.list[i:]
}

// settle forgets the gaps that no transaction can fill any more. Keys that were in the
// table were taken out before, after open was asked for: what is still missing is
// missing for good. known tells whether open is known at all.
func (g *gaps) settle(open transactions, known bool, now time.Time, least, most time.Duration) {
	g.list = slices.DeleteFunc(g.list, func(a gap) bool {
		age := now.Sub(a.found)
		if !known {
			return age >= most
		}
		return age >= least && a.owners != nil && !a.owners.anyIn(open)
	})
}

// own tells the gaps without owners which transactions are open, if they are known for
// long enough: what the database says of its transactions may be a moment old.
func (g *gaps) own(open transactions, now time.Time, after time.Duration) {
	for i := range g.list {
		if a := &g.list[i]; a.owners == nil && now.Sub(a.found) >= after {
			a.owners = open
		}
	}
}
