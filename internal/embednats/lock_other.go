//go:build !unix || solaris || aix

package embednats

// dirLock does nothing where the operating system has no file locks of the usual kind.
type dirLock struct{}

func takeLock(string) (*dirLock, error) { return &dirLock{}, nil }

func (*dirLock) release() error { return nil }
