package store

import "time"

// Lease says which node should own a lane. It does not say which one may write: that is
// the position in each commit.
type Lease struct {
	Holder string        // a node, also if the lease has run out; empty if it was given back, or there was none yet
	Left   time.Duration // until it runs out, by the clock of the database; 0 or less: it has run out
}
