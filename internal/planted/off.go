//go:build !planted

package planted

import "time"

// The mistakes.
const (
	AckBeforeCommit = false // changes have their outcome before the transaction
	FenceUnchecked  = false // a lane commits wherever the shard stands (store/sqlite)
	PositionApart   = false // the position moves in a transaction behind that of the rows (store/sqlite)
	EventDropped    = false // now and then a room's log is without an event
	ResumeDoubled   = false // a resume brings the last change once more
	KickCached      = false // a lane remembers members as they were before it changed them
	KickUnheard     = false // connections stay in a room that their user was put out of
)

// Now is the time by the clock that the parts of a node go by.
func Now() time.Time { return time.Now() }
