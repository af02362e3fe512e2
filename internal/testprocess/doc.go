// Package testprocess runs the real program for tests: it builds it once, starts
// nodes on a data directory, and ends them in every way a node can end.
package testprocess
