package pushbench

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// tick is the unit of CPU time in /proc.
const tick = 10 * time.Millisecond

// cpuOf is what a process has used.
func cpuOf(t testing.TB, pid int) time.Duration {
	t.Helper()
	f := stat(t, pid)
	user, err := strconv.Atoi(f[11])
	must(t, err)
	system, err := strconv.Atoi(f[12])
	must(t, err)
	return time.Duration(user+system) * tick
}

// resident is the memory of the node, in megabytes.
func (w *world) resident() int {
	w.t.Helper()
	pages, err := strconv.Atoi(stat(w.t, w.node.Pid())[21])
	must(w.t, err)
	return pages * os.Getpagesize() >> 20
}

// stat is the accounting of a process, behind its name.
func stat(t testing.TB, pid int) (fields []string) {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	must(t, err)
	for _, f := range bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:]) {
		fields = append(fields, string(f))
	}
	return fields
}

// ownCPU is what this process has used: the load, and the services.
func ownCPU(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	must(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
