package store

import "time"

// Bounds are how long calls to a database take at most: what has no answer by then is
// Unavailable. A call ends by its bound whatever happens within it: a wait for a
// connection of the pool, the making of one (connect_timeout of the shard, where that is
// shorter), and a second attempt after a connection that had failed count into it. So
// does the deadline of the caller, where that is earlier.
//
// What is made of several calls adds up. A lane whose database has fallen silent loads,
// commits and then asks where it stands, and knows what has happened after
// 2*Call + Settle; from then on it refuses at once. What is asked of the engine does not
// wait for that: it is answered within engine.Config.Patience.
type Bounds struct {
	Call   time.Duration // of a question, a load or a commit; 0: 10 s
	Settle time.Duration // of Acquire, Lease and Unlease, which are one row; 0: 5 s
}

// Defaults of Bounds.
const (
	defaultCall   = 10 * time.Second
	defaultSettle = 5 * time.Second
)

// Bound sets the bounds of all calls. It comes before the first one.
func (s *Store) Bound(b Bounds) {
	if b.Call > 0 {
		s.bounds.Call = b.Call
	}
	if b.Settle > 0 {
		s.bounds.Settle = b.Settle
	}
}

// of returns the bound of a call.
func (b *Bounds) of(op string) time.Duration {
	switch op {
	case "acquire", "lease", "unlease":
		return b.Settle
	}
	return b.Call
}
