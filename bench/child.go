package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// child is a server process that the bench starts.
type child struct {
	addr    string
	dir     string
	cmd     *exec.Cmd
	errs    tail
	started time.Time
	exited  chan struct{} // closed once Wait has returned
}

// startChild starts a server, a roomtide if name is empty, on a free port and with
// a temporary directory. It does not wait until the server answers.
func startChild(o *options, name string) (c *child, err error) {
	c = &child{exited: make(chan struct{})}
	if c.addr, err = freeAddr(); err != nil {
		return nil, err
	}
	if c.dir, err = os.MkdirTemp("", "roomtide-bench-"); err != nil {
		return nil, err
	}
	if c.cmd, err = o.command(name, c.addr, c.dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(c.dir))
	}
	c.cmd.Stderr = &c.errs
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "ROOMTIDE_") { // settings of another server
			c.cmd.Env = append(c.cmd.Env, kv)
		}
	}
	dieWithUs(c.cmd)
	c.started = time.Now()
	if err := c.cmd.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(c.dir))
	}
	go func() {
		_ = c.cmd.Wait() // its end is noticed by what needs it alive
		close(c.exited)
	}()
	return c, nil
}

// freeAddr finds a port that is free now. If another process takes it first, the
// child ends with an error.
func freeAddr() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}

// ready waits until a WebSocket can be opened.
func (c *child) ready(ctx context.Context, p proto) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		ws := newConn(p, c.addr, 0)
		err := ws.open(ctx)
		if err == nil {
			return ws, nil
		}
		select {
		case <-c.exited:
			return nil, fmt.Errorf("the server ended at once: %s", c.errs.String())
		case <-ctx.Done():
			return nil, fmt.Errorf("the server does not answer (%w): %s", err, c.errs.String())
		case <-time.After(time.Millisecond):
		}
	}
}

// stop ends the child and removes what it left.
func (c *child) stop() error {
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // an error means that it has ended
	select {
	case <-c.exited:
	case <-time.After(15 * time.Second):
		_ = c.cmd.Process.Kill()
		<-c.exited
	}
	return os.RemoveAll(c.dir)
}

// tail keeps the end of what a child writes to stderr.
type tail struct {
	mu sync.Mutex
	b  []byte
}

const tailBytes = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if len(t.b) > 2*tailBytes {
		t.b = bytes.Clone(t.b[len(t.b)-tailBytes:])
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}
