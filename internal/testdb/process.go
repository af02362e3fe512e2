package testdb

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// process is a running program and the processes it has started.
type process struct {
	pid   int
	ended chan struct{} // closed after err was set
	err   error         // nil if it ended well
}

// spawn starts a program, as another user if credential is not nil. It gets the
// signal when this process ends, in whichever way.
func spawn(cmd *exec.Cmd, credential *syscall.Credential, atEnd os.Signal) (*process, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential, Pdeathsig: atEnd.(syscall.Signal), Setpgid: true}
	p := &process{ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The signal is sent at the end of the thread that has started the program.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			p.pid = cmd.Process.Pid
		}
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.ended)
		}
	}()
	return p, <-started
}

// end sends a signal that ends the program, and waits for it.
func (p *process) end(signal os.Signal) error {
	err := p.resume() // a halted process takes no other signal
	if err == nil {
		err = syscall.Kill(p.pid, signal.(syscall.Signal))
	}
	if err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	select {
	case <-p.ended:
		return nil
	case <-time.After(patience):
		return errors.Join(fmt.Errorf("process %d has not ended after %v", p.pid, patience), p.kill())
	}
}

// kill ends the program and all it has started with SIGKILL.
func (p *process) kill() error {
	err := p.signal(syscall.SIGSTOP) // it starts no more
	err = errors.Join(err, p.signal(syscall.SIGKILL))
	<-p.ended
	return err
}

func (p *process) pause() error { return p.signal(syscall.SIGSTOP) }

func (p *process) resume() error { return p.signal(syscall.SIGCONT) }

// signal sends a signal to the program, and then to the processes it has started. It
// is no error if there are none any more.
func (p *process) signal(signal syscall.Signal) error {
	children := func() []int { return nil }
	if runtime.GOOS == "linux" {
		children = func() []int { return childrenOf(p.pid) }
	}
	pids := []int{p.pid}
	if signal == syscall.SIGSTOP {
		if err := syscall.Kill(p.pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	for _, pid := range append(pids, children()...) {
		if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	return nil
}

// childrenOf are the processes whose parent is the given one.
func childrenOf(parent int) (pids []int) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue // it has ended
		}
		// Behind the name, which may hold anything: state, parent.
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(fields) > 1 && string(fields[1]) == strconv.Itoa(parent) {
			pids = append(pids, pid)
		}
	}
	return pids
}
