package testprocess

import (
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Process is a running program other than a node. It ends with the test, and with the
// test binary, however that ends.
type Process struct {
	t     testing.TB
	cmd   *exec.Cmd
	out   log
	ended chan struct{} // closed when the process is gone
}

// Spawn starts a program.
func Spawn(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{t: t, cmd: cmd, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.out, &p.out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the signal at death is sent at the end of the thread
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is for the test to know
			close(p.ended)
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s wrote:\n%s", cmd.Path, p.Output())
		}
		p.Kill()
	})
	return p
}

// Pid is the id of the process.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Output is the end of what the process wrote so far.
func (p *Process) Output() string {
	out := p.out.String()
	const most = 8000
	return strings.ToValidUTF8(out[max(0, len(out)-most):], "")
}

// Ended is closed when the process is gone.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Kill ends the process with SIGKILL, also a paused one, and waits until it is gone.
func (p *Process) Kill() { p.t.Helper(); p.end(syscall.SIGKILL) }

// Terminate ends the process with SIGTERM and waits until it is gone.
func (p *Process) Terminate() { p.t.Helper(); p.end(syscall.SIGTERM) }

func (p *Process) end(sig syscall.Signal) {
	p.t.Helper()
	select {
	case <-p.ended:
		return
	default:
	}
	p.signal(sig)
	select {
	case <-p.ended:
	case <-time.After(time.Minute):
		p.t.Fatalf("%s (process %d) has not ended", p.cmd.Path, p.Pid())
	}
}

// Pause halts the process with SIGSTOP; Continue lets it go on.
func (p *Process) Pause() { p.t.Helper(); p.signal(syscall.SIGSTOP) }

// Continue undoes Pause.
func (p *Process) Continue() { p.t.Helper(); p.signal(syscall.SIGCONT) }

func (p *Process) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := syscall.Kill(p.Pid(), sig); err != nil {
		p.t.Fatalf("%s (process %d): %v", p.cmd.Path, p.Pid(), err)
	}
}
