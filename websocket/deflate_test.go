package websocket

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// chat is a message of n bytes as a room gets it.
func chat(n int) []byte {
	const words = "hello did you see that the new build is up on staging I think we should wait until tomorrow before " +
		"ship it because nobody has looked at numbers yet and my cat lunch around noon Können wir 👍 release @ann who"
	f := strings.Fields(words)
	r := rand.New(rand.NewPCG(1, 2))
	head := `{"type":"message","room":"room1","seq":5,"rev":7,"user":"user1","message":"`
	foot := `","time":"2026-11-22T17:34:00.123Z","key":"4fX9"}`
	var b strings.Builder
	for b.WriteString(head); b.Len()+len(foot) < n; {
		b.WriteString(f[r.IntN(len(f))] + " ")
	}
	return []byte(strings.ToValidUTF8(b.String()[:max(n-len(foot), len(head))], "?") + foot)
}

// noise cannot be compressed.
func noise(n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(p)
	return p
}

// deflating is a connection that agreed on permessage-deflate.
func deflating(nc net.Conn, client bool) *Conn {
	c := newConn(nc, client, "", nil)
	c.deflate = true
	return c
}

// appendDeflated appends a frame with p, compressed if it can be.
func appendDeflated(dst []byte, op Op, p []byte) []byte {
	return DeflateFrame(append(AppendHeader(dst, op, len(p)), p...), len(dst))
}

// receive is what a client reads in the bytes of a server.
func receive(in []byte, limit int) (Op, []byte, error) {
	return deflating(&script{in: bytes.Clone(in), chunk: len(in) + 1}, true).ReadMessage(limit)
}

func TestDeflateFrame(t *testing.T) {
	for _, tt := range []struct {
		name   string
		op     Op
		p      []byte
		packed bool
	}{
		{"empty", Text, nil, false},
		{"short", Text, bytes.Repeat([]byte("a"), MinDeflate-1), false},
		{"long enough", Text, bytes.Repeat([]byte("a"), MinDeflate), true},
		{"chat", Text, chat(200), true},
		{"binary", Binary, chat(5000), true},
		{"64 KiB", Text, chat(1 << 16), true},
		{"1 MiB", Text, chat(1 << 20), true},
		{"noise", Binary, noise(1000), false},
		{"1 MiB of noise", Binary, noise(1 << 20), false},
		{"zeros", Binary, make([]byte, 1<<20), true},
		{"what is no message", Ping, bytes.Repeat([]byte("a"), MinDeflate), false},
	} {
		before := bytes.Clone(tt.p)
		f := appendDeflated([]byte("before"), tt.op, tt.p)
		f, ok := bytes.CutPrefix(f, []byte("before"))
		if !ok || !bytes.Equal(tt.p, before) {
			t.Errorf("%s: what was there is gone", tt.name)
		}
		plain := append(AppendHeader(nil, tt.op, len(tt.p)), tt.p...)
		switch packed := f[0]&rsvBits == rsv1Bit; {
		case packed != tt.packed:
			t.Errorf("%s: compressed %t, want %t", tt.name, packed, tt.packed)
		case !packed && !bytes.Equal(f, plain):
			t.Errorf("%s: frame %.20x, want it plain", tt.name, f)
		case packed && (len(f) >= len(plain) || bytes.HasSuffix(f, flushed)):
			t.Errorf("%s: frame of %d bytes %.20x for %d bytes", tt.name, len(f), f, len(tt.p))
		}
		if tt.op.control() {
			continue
		}
		if op, p, err := receive(f, max(len(tt.p), 1)); err != nil || op != tt.op || !bytes.Equal(p, tt.p) {
			t.Errorf("%s: %d bytes are read as %d, op %d, %v", tt.name, len(tt.p), len(p), op, err)
		}
	}
}

// A frame does not depend on what the compressor had before, nor on what others
// compress meanwhile.
func TestFramesAreSelfContained(t *testing.T) {
	first := appendDeflated(nil, Text, chat(300))
	appendDeflated(nil, Binary, noise(1<<20))
	appendDeflated(nil, Text, chat(1<<20))
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 50 {
				appendDeflated(nil, Text, chat(1000*w+i))
				if again := appendDeflated(nil, Text, chat(300)); !bytes.Equal(again, first) {
					t.Errorf("another frame for the same message: %x", again)
				}
			}
		})
	}
	wg.Wait()
}

// counting counts what a connection carries.
type counting struct {
	net.Conn
	sent, got atomic.Int64
}

func (c *counting) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.sent.Add(int64(n))
	return n, err
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.got.Add(int64(n))
	return n, err
}

// dialEcho connects to an echo server that may agree on permessage-deflate.
func dialEcho(t *testing.T, server, client bool) (*Conn, *counting) {
	srv, _ := serve(t, UpgradeOptions{Deflate: server})
	wire := new(counting)
	d := Dialer{Deflate: client, NetDial: func(ctx context.Context, network, addr string) (nc net.Conn, err error) {
		wire.Conn, err = new(net.Dialer).DialContext(ctx, network, addr)
		return wire, err
	}}
	c, err := d.Dial(testContext(t), wsURL(srv), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, wire
}

func TestDeflateEcho(t *testing.T) {
	for _, tt := range []struct{ server, client bool }{{true, true}, {true, false}, {false, true}, {false, false}} {
		both := tt.server && tt.client
		c, wire := dialEcho(t, tt.server, tt.client)
		if c.Deflate() != both {
			t.Fatalf("%+v: Deflate says %t", tt, c.Deflate())
		}
		for _, n := range []int{0, 1, 125, 126, 127, 128, 129, 1000, 65535, 65536, 1 << 20} {
			for _, m := range []struct {
				op Op
				p  []byte
			}{
				{Text, bytes.Repeat([]byte("a"), n)}, {Text, []byte(strings.Repeat("é👍", n/6))},
				{Text, chat(n)}, {Binary, noise(n)},
			} {
				want, sent, got := bytes.Clone(m.p), wire.sent.Load(), wire.got.Load()
				if err := c.WriteMessage(m.op, m.p); err != nil || !bytes.Equal(m.p, want) {
					t.Fatalf("%d bytes: %v, or they were changed", n, err)
				}
				op, p, err := c.ReadMessage(2 << 20)
				if err != nil || op != m.op || !bytes.Equal(p, want) {
					t.Fatalf("%d bytes came back as %d, op %d, %v", n, len(p), op, err)
				}
				sent, got = wire.sent.Load()-sent, wire.got.Load()-got
				small := both && op == Text
				if n >= 1000 && (small != (sent < int64(n)*3/4) || small != (got < int64(n)*3/4)) {
					t.Errorf("%+v: %d bytes travelled as %d and %d", tt, n, sent, got)
				}
			}
		}
		c.WriteClose(4321, "enough")
		if _, _, err := c.ReadMessage(10); fmt.Sprint(err) != `websocket: closed by the peer (4321 "enough")` {
			t.Errorf("%+v: goodbye came back as %v", tt, err)
		}
	}
}

// recorder keeps what is written to a connection.
type recorder struct {
	net.Conn
	out []byte
}

func (r *recorder) Write(p []byte) (int, error) {
	r.out = append(r.out, p...)
	return len(p), nil
}

// What is no message is never compressed, and what a client sends is masked
// after it was compressed.
func TestWriteDeflated(t *testing.T) {
	text := chat(300)
	packed := appendDeflated(nil, Text, text)
	r := &recorder{}
	c := deflating(r, false)
	c.WriteMessage(Text, text)
	c.WriteMessage(Ping, bytes.Repeat([]byte("a"), maxControl))
	c.WriteClose(4000, strings.Repeat("a", 123))
	want := append(append(bytes.Clone(packed), 0x89, 125), bytes.Repeat([]byte("a"), 125)...)
	if want = AppendClose(want, 4000, strings.Repeat("a", 123)); !bytes.Equal(r.out, want) {
		t.Errorf("a server wrote %x\nwant %x", r.out, want)
	}

	r = &recorder{}
	deflating(r, true).WriteMessage(Text, text)
	n := len(packed) - 4
	if r.out[0] != 0xc1 || r.out[1] != maskBit|126 {
		t.Fatalf("a client began with %x", r.out[:2])
	}
	if p := r.out[8:]; len(p) != n || [4]byte(r.out[4:8]) == [4]byte{} {
		t.Errorf("a client sent %d bytes with key %x, want %d", len(p), r.out[4:8], n)
	} else if mask(p, [4]byte(r.out[4:8])); !bytes.Equal(p, packed[4:]) {
		t.Errorf("a client sent %x\nwant %x", p, packed[4:])
	}

	r = &recorder{}
	newConn(r, false, "", nil).WriteMessage(Text, text)
	if !bytes.Equal(r.out[4:], text) || r.out[0] != 0x81 {
		t.Error("compressed without an agreement")
	}
}

func BenchmarkDeflateFrame(b *testing.B) {
	for _, n := range []int{120, 128, 200, 400, 1 << 10, 8 << 10} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p := chat(n)
			var f []byte
			b.ReportAllocs()
			for b.Loop() {
				f = appendDeflated(f[:0], Text, p)
			}
			b.ReportMetric(float64(len(f))/float64(len(p)), "ratio")
		})
	}
}

func BenchmarkReadDeflated(b *testing.B) {
	for _, n := range []int{128, 400, 1 << 10, 8 << 10} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			f := appendDeflated(nil, Text, chat(n))
			s := &script{chunk: len(f)}
			c := deflating(s, true)
			b.ReportAllocs()
			for b.Loop() {
				s.in = f
				if _, _, err := c.ReadMessage(n); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
