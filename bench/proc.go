package bench

import "time"

// processes are the ids of the processes of a server: one, or those of all nodes.
type processes []int

// usage is what all of them have used so far.
func (ps processes) usage() (sum processUsage, err error) {
	for _, pid := range ps {
		u, err := usageOf(pid)
		if err != nil {
			return sum, err
		}
		sum.user, sum.sys, sum.rss = sum.user+u.user, sum.sys+u.sys, sum.rss+u.rss
	}
	return sum, nil
}

// familyCPU is the CPU time of all of them and of their children, also of those that they
// have waited for.
func (ps processes) familyCPU() (sum time.Duration, err error) {
	for _, pid := range ps {
		cpu, err := familyCPU(pid)
		if err != nil {
			return sum, err
		}
		sum += cpu
	}
	return sum, nil
}
