//go:build !planted

package cluster

// Level is the level of this program.
const Level = level
