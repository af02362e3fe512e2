package doctor

import (
	"math"
	"syscall"
)

// clock reports whether the system's clock is kept in step with others.
func clock() (synchronized, known bool) {
	const unsynchronized, timeError = 0x40, 5
	var t syscall.Timex
	state, err := syscall.Adjtimex(&t)
	if err != nil {
		return false, false // a container may not be allowed to ask
	}
	return state != timeError && t.Status&unsynchronized == 0, true
}

// space is what this process may still write below a directory.
func space(dir string) (bytes, inodes uint64, ok bool) {
	var s syscall.Statfs_t
	if syscall.Statfs(dir, &s) != nil {
		return 0, 0, false
	}
	inodes = s.Ffree
	if s.Files == 0 { // made as they are needed
		inodes = math.MaxUint64
	}
	return s.Bavail * uint64(s.Bsize), inodes, true
}
