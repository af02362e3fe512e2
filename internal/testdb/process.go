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

// kill ends the program and all it has started with SIGKILL, and returns when they
// are gone.
func (p *process) kill() error {
	err := p.pause() // it starts no more
	children := childrenOf(p.pid)
	err = errors.Join(err, send(syscall.SIGKILL, append(children, p.pid)...))
	<-p.ended
	for _, pid := range children {
		for alive(pid) {
			time.Sleep(time.Millisecond)
		}
	}
	return err
}

func (p *process) pause() error {
	if err := send(syscall.SIGSTOP, p.pid); err != nil {
		return err
	}
	return send(syscall.SIGSTOP, childrenOf(p.pid)...)
}

func (p *process) resume() error { return send(syscall.SIGCONT, append(childrenOf(p.pid), p.pid)...) }

// send sends a signal to processes, some of which may have ended.
func send(signal syscall.Signal, pids ...int) error {
	for _, pid := range pids {
		if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	return nil
}

// alive reports whether the process has not ended. A process that waits for its parent
// to hear of its end has ended.
func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !bytes.Contains(stat, []byte(") Z "))
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
