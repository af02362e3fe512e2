package netwrite

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func pair(t *testing.T) (a, b *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); s.Close() })
	return s.(*net.TCPConn), c.(*net.TCPConn)
}

func TestRest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bufs := rapid.SliceOf(rapid.SliceOfN(rapid.Byte(), 1, 5)).Draw(t, "bufs")
		all := bytes.Join(bufs, nil)
		n := rapid.IntRange(0, len(all)).Draw(t, "n")
		if got := bytes.Join(Rest(bufs, n), nil); !bytes.Equal(got, all[n:]) || Size(Rest(bufs, n)) != len(all)-n {
			t.Fatalf("%v after %d is %v", all, n, got)
		}
		if !bytes.Equal(bytes.Join(bufs, nil), all) {
			t.Fatal("bufs changed")
		}
	})
}

// All that Try reports as written arrives, in order, at a peer that reads
// slowly; a peer that reads nothing makes Wait time out.
func TestTryUntilTheSocketIsFull(t *testing.T) {
	a, b := pair(t)
	var c TCP
	if err := c.Open(a); err != nil {
		t.Fatal(err)
	}
	bufs := make(net.Buffers, 2000) // more than one system call takes
	for i := range bufs {
		bufs[i] = bytes.Repeat([]byte{byte(i)}, 8000+i)
	}
	want := bytes.Join(bufs, nil)
	sent := 0
	for full := false; !full; { // the kernel may accept more while it sends what it has
		n, err := c.Try(Rest(bufs, sent))
		if err != nil {
			t.Fatal(err)
		}
		if sent += n; sent == len(want) {
			t.Fatal("the socket took everything")
		}
		a.SetWriteDeadline(time.Now().Add(time.Millisecond))
		full = c.Wait() != nil
	}
	if !c.Cut() {
		t.Fatal("a socket that is full is not said to be")
	}
	a.SetWriteDeadline(time.Time{})
	c.Last([]byte("not in the middle of something"))
	got := make(chan []byte, 1)
	go func() {
		p, _ := io.ReadAll(b)
		got <- p
	}()
	for sent < len(want) {
		if err := c.Wait(); err != nil {
			t.Fatal(err)
		}
		n, err := c.Try(Rest(bufs, sent))
		if err != nil {
			t.Fatal(err)
		}
		sent += n
	}
	c.Last([]byte("the end"))
	a.CloseWrite()
	if p := <-got; !bytes.Equal(p, append(want, "the end"...)) {
		t.Errorf("%d bytes arrived, want %d", len(p), len(want)+7)
	}
	if _, err := c.Try(net.Buffers{[]byte("x")}); err == nil {
		t.Error("a closed socket took something")
	}
}
