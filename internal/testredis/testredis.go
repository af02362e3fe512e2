// Package testredis runs a Redis server, or Valkey, for a test: on a loopback address
// and a directory of its own, ended by its process id when the test ends.
package testredis

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/roomtide/roomtide/internal/testprocess"
)

// patience is how long a server may take to answer or to end.
const patience = 2 * time.Minute

// Server is a Redis server, which may be down.
type Server struct {
	Addr string

	t    testing.TB
	dir  string
	args []string

	pid   int
	ended chan struct{} // closed when the process has ended
}

// Start starts a server without persistence; args are further ones of its command line.
// A machine without Redis fails the test.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s := &Server{Addr: testprocess.FreeAddr(t), t: t, dir: t.TempDir(), args: args}
	t.Cleanup(func() { s.end(syscall.SIGKILL) })
	s.Start()
	return s
}

// URL is the address for the setting redis.
func (s *Server) URL() string { return "redis://" + s.Addr + "/0" }

// Start starts the server again, empty.
func (s *Server) Start() {
	s.t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		program, err = exec.LookPath("valkey-server")
	}
	if err != nil {
		s.t.Fatal("neither redis-server nor valkey-server is in PATH; install the package redis-server")
	}
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command(program, append([]string{"--bind", host, "--port", port, "--dir", s.dir, "--save", "", "--appendonly", "no"}, s.args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	started, ended := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread() // the signal at death is sent at the end of the thread
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
			close(ended)
		}
	}()
	if err := <-started; err != nil {
		s.t.Fatal(err)
	}
	s.pid, s.ended = cmd.Process.Pid, ended
	if err := s.answers(); err != nil {
		s.end(syscall.SIGKILL)
		s.t.Fatalf("redis does not answer: %v\n%s", err, out.String())
	}
}

// answers waits until the server answers anything.
func (s *Server) answers() error {
	deadline := time.Now().Add(patience)
	for {
		conn, err := net.DialTimeout("tcp", s.Addr, time.Second)
		if err == nil {
			conn.SetDeadline(deadline)
			_, err = io.WriteString(conn, "PING\r\n")
			if err == nil {
				_, err = conn.Read(make([]byte, 1))
			}
			conn.Close()
		}
		if err == nil || time.Now().After(deadline) {
			return err
		}
		select {
		case <-s.ended:
			return errors.New("it has ended")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Pid is the process of the server.
func (s *Server) Pid() int { return s.pid }

// Kill ends the server with SIGKILL.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

// Pause stops the server with SIGSTOP; Resume lets it go on.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume is the end of a Pause.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := syscall.Kill(s.pid, sig); err != nil {
		s.t.Fatal(err)
	}
}

func (s *Server) end(sig syscall.Signal) {
	if s.ended == nil {
		return
	}
	select {
	case <-s.ended:
		return
	default:
	}
	syscall.Kill(s.pid, sig)
	select {
	case <-s.ended:
	case <-time.After(patience):
		s.t.Errorf("redis (process %d) has not ended", s.pid)
	}
}

// Client returns a client, which is closed when the test ends.
func (s *Server) Client() rueidis.Client { return s.ClientWith("") }

// ClientWith is Client with the password of the default user, "" if it has none.
func (s *Server) ClientWith(password string) rueidis.Client {
	s.t.Helper()
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{s.Addr}, Password: password, ForceSingleClient: true, DisableCache: true})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(c.Close)
	return c
}

// Do runs a command, which must succeed, and returns its reply as text: nil is "",
// elements of a list are separated by a space.
func (s *Server) Do(c rueidis.Client, words ...string) string {
	s.t.Helper()
	r := c.Do(context.Background(), c.B().Arbitrary(words...).Build())
	if rueidis.IsRedisNil(r.Error()) {
		return ""
	}
	m, err := r.ToMessage()
	if err != nil {
		s.t.Fatalf("%v: %v", words, err)
	}
	if list, err := m.AsStrSlice(); err == nil {
		return strings.Join(list, " ")
	}
	if n, err := m.ToInt64(); err == nil {
		return strconv.FormatInt(n, 10)
	}
	text, err := m.ToString()
	if err != nil {
		s.t.Fatalf("%v: %v", words, err)
	}
	return text
}

// CPU is the processor time that the server has used.
func (s *Server) CPU() time.Duration {
	s.t.Helper()
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(s.pid) + "/stat")
	if err != nil {
		s.t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * time.Second / 100
}
