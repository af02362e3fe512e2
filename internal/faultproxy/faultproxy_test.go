package faultproxy

import (
	"bufio"
	"net"
	"strings"
	"testing"
	"time"
)

// server answers each line with "did " and the line, and notes it.
func server(t *testing.T) (addr string, did chan string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	did = make(chan string, 100)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				lines := bufio.NewReader(c)
				for {
					line, err := lines.ReadString('\n')
					if err != nil {
						return // what came of a line that was cut is not done
					}
					did <- strings.TrimSuffix(line, "\n")
					if _, err := c.Write([]byte("did " + line)); err != nil {
						return
					}
				}
			}()
		}
	}()
	return ln.Addr().String(), did
}

type client struct {
	t *testing.T
	net.Conn
	lines *bufio.Reader
}

func dial(t *testing.T, p *Proxy) *client {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &client{t, c, bufio.NewReader(c)}
}

func (c *client) send(text string) {
	c.t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// answer is the next line, empty if the connection was reset.
func (c *client) answer() string {
	line, err := c.lines.ReadString('\n')
	if err != nil {
		return ""
	}
	return strings.TrimSpace(line)
}

func (c *client) want(answer string) {
	c.t.Helper()
	if got := c.answer(); got != answer {
		c.t.Fatalf("the answer is %q, want %q", got, answer)
	}
}

func TestPasses(t *testing.T) {
	addr, _ := server(t)
	p := Start(t, addr)
	c := dial(t, p)
	c.send("one\ntwo\n")
	c.want("did one")
	c.want("did two")
	p.Cut()
	c.want("")
	c = dial(t, p)
	c.send("three\n")
	c.want("did three")
	p.Refuse(true)
	if c, err := net.Dial("tcp", p.Addr()); err == nil { // the reset may come before Dial returns
		refused := &client{t, c, bufio.NewReader(c)}
		refused.want("")
		c.Close()
	}
	c.send("four\n")
	c.want("did four")
	p.Refuse(false)
	c = dial(t, p)
	p.Hold()
	c.send("five\n")
	if err := c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	c.want("")
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	p.Release()
	c.want("did five")
}

// What the network does to one direction leaves the other as it is.
func TestNetwork(t *testing.T) {
	addr, did := server(t)
	p := Start(t, addr)
	c := dial(t, p)
	c.send("one\n")
	c.want("did one")
	<-did

	p.Hold(Down)
	c.send("two\n")
	if line := <-did; line != "two" {
		t.Errorf("the server did %q", line)
	}
	for p.Hits() == 0 { // the answer is on its way
		time.Sleep(time.Millisecond)
	}
	p.Heal()
	c.want("did two")

	const by = 30 * time.Millisecond
	p.Delay(by)
	start := time.Now()
	c.send("three\n")
	c.want("did three")
	if took := time.Since(start); took < 2*by {
		t.Errorf("a delayed answer took %v", took)
	}
	<-did
	p.Heal()
	if p.Hits() != 3 {
		t.Errorf("%d hits", p.Hits())
	}

	p.EndLate(by)
	start = time.Now()
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.want("")
	if took := time.Since(start); took < 2*by {
		t.Errorf("the end was heard after %v", took)
	}
}

// A side that is lost is not heard of.
func TestHalfOpen(t *testing.T) {
	ends := make(chan error, 1)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				if _, err := c.Write([]byte("hello\n")); err != nil {
					t.Error(err)
				}
				_, err := c.Read(make([]byte, 1))
				ends <- err
				c.Close()
			}()
		}
	}()
	p := Start(t, ln.Addr().String())
	c := dial(t, p)
	c.want("hello")
	p.LoseServers()
	if err := <-ends; err == nil {
		t.Error("the server's side has not ended")
	}
	c.send("anybody?\n")
	c.send("anybody?\n")
	p.Heal()
	c.want("")

	c = dial(t, p)
	c.want("hello")
	p.LoseClients()
	c.want("")
	select {
	case err := <-ends:
		t.Errorf("the server's side has ended: %v", err)
	default:
	}
	p.Heal()
	if err := <-ends; err == nil {
		t.Error("the server's side has not ended")
	}
}

// A fault meets the request with its text alone, which may come in parts, and once.
func TestCuts(t *testing.T) {
	for _, fault := range []struct {
		name string
		set  func(*Proxy) <-chan struct{}
		did  bool
	}{
		{"before", func(p *Proxy) <-chan struct{} { return p.CutBefore("pay 10") }, false},
		{"within", func(p *Proxy) <-chan struct{} { return p.CutWithin("pay 10") }, false},
		{"after", func(p *Proxy) <-chan struct{} { return p.CutAfter("pay 10", "did pay 10") }, true},
	} {
		t.Run(fault.name, func(t *testing.T) {
			addr, did := server(t)
			p := Start(t, addr)
			c, other := dial(t, p), dial(t, p)
			done := fault.set(p)
			c.send("pay 9\n")
			c.want("did pay 9")
			<-did
			c.send("pa")
			other.send("pay 11\n")
			other.want("did pay 11")
			<-did
			c.send("y 10\n")
			<-done
			c.want("")
			select {
			case line := <-did:
				if !fault.did || line != "pay 10" {
					t.Errorf("the server did %q", line)
				}
			default:
				if fault.did {
					t.Error("the server did nothing")
				}
			}
			other.send("pay 10\n")
			other.want("did pay 10")
		})
	}
}
