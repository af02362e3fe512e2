//go:build planted

package planted

import "os"

var mistake = os.Getenv("ROOMTIDE_PLANTED")

// The mistakes; off.go describes them.
var (
	AckBeforeCommit = mistake == "ack-before-commit"
	FenceUnchecked  = mistake == "fence-unchecked"
	PositionApart   = mistake == "position-apart"
	EventDropped    = mistake == "event-dropped"
	ResumeDoubled   = mistake == "resume-doubled"
	KickCached      = mistake == "kick-cached"
	KickUnheard     = mistake == "kick-unheard"
)
