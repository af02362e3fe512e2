//go:build unix

package server

import "syscall"

// maxFiles returns how many descriptors the process may have, 0 if that is unknown.
func maxFiles() int {
	var r syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r) != nil || r.Cur > 1<<30 {
		return 0
	}
	return int(r.Cur)
}
