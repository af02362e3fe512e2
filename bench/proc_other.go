//go:build !linux

package bench

import (
	"os/exec"
	"syscall"
	"time"
)

type processUsage struct {
	user, sys time.Duration
	rss       int64
}

func (u processUsage) cpu() time.Duration { return u.user + u.sys }

// usageOf returns zeros outside Linux: CPU and memory are left out of results.
func usageOf(int) (processUsage, error) { return processUsage{}, nil }

func familyCPU(int) (time.Duration, error) { return 0, nil }

func dieWithUs(*exec.Cmd) {}

// farAway changes nothing outside Linux: a reader that stops is noticed later.
func farAway(string, string, syscall.RawConn) error { return nil }
