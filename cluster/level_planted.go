//go:build planted

package cluster

import "github.com/roomtide/roomtide/internal/planted"

// Level is the level of this program, as tests of an upgrade want it.
var Level = level + planted.Levels
