package sqlite

import "syscall"

// freeSpace is how many bytes this process may still write below a directory.
func freeSpace(dir string) (bytes int64, ok bool) {
	var s syscall.Statfs_t
	if syscall.Statfs(dir, &s) != nil {
		return 0, false
	}
	return int64(s.Bavail) * s.Bsize, true
}
