//go:build !linux

package sqlite

// freeSpace is not known here: only a disk that is full is noticed.
func freeSpace(string) (bytes int64, ok bool) { return 0, false }
