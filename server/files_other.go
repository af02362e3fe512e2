//go:build !unix

package server

// maxFiles returns how many descriptors the process may have, 0 if that is unknown.
func maxFiles() int { return 0 }
