package bench

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tick is the unit of CPU time in /proc on every Linux there is.
const tick = 10 * time.Millisecond

// processUsage is what a process has used so far.
type processUsage struct {
	user, sys time.Duration
	rss       int64
}

func (u processUsage) cpu() time.Duration { return u.user + u.sys }

// usageOf reads the accounting of a process.
func usageOf(pid int) (u processUsage, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u, err
	}
	// The name in parentheses may contain anything, so count from its end.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 22 {
		return u, fmt.Errorf("/proc/%d/stat is too short", pid)
	}
	number := func(i int) int64 {
		n, perr := strconv.ParseInt(fields[i], 10, 64)
		if perr != nil {
			err = perr
		}
		return n
	}
	u.user, u.sys = time.Duration(number(11))*tick, time.Duration(number(12))*tick
	u.rss = number(21) * int64(os.Getpagesize())
	return u, err
}

// familyCPU is the CPU time of a process and its children, also of those that it has
// waited for.
func familyCPU(pid int) (sum time.Duration, err error) {
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	parent := strconv.Itoa(pid)
	for _, file := range all {
		stat, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended meanwhile
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		times := fields[11:13] // user and system
		if file == "/proc/"+parent+"/stat" {
			times = fields[11:15]
		} else if fields[1] != parent {
			continue
		}
		for _, t := range times {
			n, err := strconv.ParseInt(t, 10, 64)
			if err != nil {
				return 0, err
			}
			sum += time.Duration(n) * tick
		}
	}
	return sum, nil
}

// dieWithUs makes the child end when this process ends, in whichever way.
func dieWithUs(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// farAway makes a socket behave as one of an ordinary network: segments of 1400
// bytes, and a receive buffer that does not grow. A loopback socket, whose segments
// have 64 KB, takes megabytes before the other side notices that it is not read.
func farAway(_, _ string, c syscall.RawConn) error {
	const tcpMaxSegment = 2
	var set error
	err := c.Control(func(fd uintptr) {
		if set = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpMaxSegment, 1400); set == nil {
			set = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 64<<10)
		}
	})
	return errors.Join(err, set)
}
