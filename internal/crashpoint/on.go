//go:build crashpoints

package crashpoint

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// armed is the point that ends this process, "" for none; left is how many
// more times it may be passed.
var (
	armed string
	left  atomic.Int64
)

func init() {
	spec := os.Getenv("ROOMTIDE_CRASH")
	if spec == "" {
		return
	}
	point, times, ok := strings.Cut(spec, ":")
	n, err := strconv.ParseInt(times, 10, 64)
	if !ok || err != nil || n < 1 || point == "" {
		panic("ROOMTIDE_CRASH is not point:n: " + strconv.Quote(spec))
	}
	armed = point
	left.Store(n)
}

// Hit passes the named point. The process does not survive the last passage.
func Hit(point string) {
	if point != armed || left.Add(-1) != 0 {
		return
	}
	// The line tells the test that the process died here and not by chance.
	os.Stderr.WriteString("crashpoint: " + point + "\n")
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal is on its way
}
