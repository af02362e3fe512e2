package change

import "sync/atomic"

// Joined returns a function to be called n times, which calls done at the last one, with an
// error if there was one.
func Joined(n int, done Done) Done {
	var left atomic.Int64
	var failed atomic.Pointer[error]
	left.Store(int64(n))
	return func(r Reply, err error) {
		if err != nil {
			failed.Store(&err)
		}
		if left.Add(-1) > 0 {
			return
		}
		if p := failed.Load(); p != nil {
			r, err = Reply{}, *p
		}
		done(r, err)
	}
}
