//go:build planted

package planted

import (
	"os"
	"strconv"
)

var mistake = os.Getenv("ROOMTIDE_PLANTED")

// Levels is by how many levels (package cluster) the program is newer than its source: it
// takes ROOMTIDE_PLANTED_LEVELS, and is no mistake.
var Levels = func() int {
	n, _ := strconv.Atoi(os.Getenv("ROOMTIDE_PLANTED_LEVELS")) // 0 without it
	return n
}()

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
