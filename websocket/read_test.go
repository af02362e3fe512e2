package websocket

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
)

// script is a connection that gives chunk bytes of in with each Read and
// remembers the largest buffer it was given.
type script struct {
	net.Conn
	in      []byte
	chunk   int
	offered int
}

func (s *script) Read(p []byte) (int, error) {
	s.offered = max(s.offered, len(p))
	if len(s.in) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), s.chunk)], s.in)
	s.in = s.in[n:]
	return n, nil
}

func (s *script) Write(p []byte) (int, error) { return len(p), nil }

// halting is a Source that has nothing every other time it is asked.
type halting struct {
	script
	asked bool
}

func (h *halting) Read(p []byte) (int, error) {
	if h.asked = !h.asked; h.asked {
		return 0, syscall.EAGAIN
	}
	return h.script.Read(p)
}

// frame is one frame as a client sends it: first byte as given, masked.
func frame(b0 byte, payload string) []byte {
	key := [4]byte{0xde, 0xad, 0xbe, 0xef}
	f := appendHeader(nil, 0, len(payload), maskBit)
	f[0] = b0
	f = append(f, key[:]...)
	n := len(f)
	f = append(f, payload...)
	mask(f[n:], key)
	return f
}

// head is a bare header with a 64-bit length and a mask.
func head(b0 byte, length uint64) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{b0, 0xff}, length), 1, 2, 3, 4)
}

func cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

const testLimit = 70_000

// transcript is everything a server's reader sees in the bytes: messages,
// pings, pongs and how it ended.
func transcript(in []byte, chunk, limit int) string {
	return read(newConn(&script{in: bytes.Clone(in), chunk: chunk}, false, "", nil), limit)
}

// halted is the same where the source returns EAGAIN again and again.
func halted(in []byte, chunk, limit int) string {
	c := newConn(nil, false, "", nil)
	c.Source = &halting{script: script{in: bytes.Clone(in), chunk: chunk}}
	return read(c, limit)
}

func read(c *Conn, limit int) string {
	var b strings.Builder
	c.OnPing = func(p []byte) { fmt.Fprintf(&b, "ping %x; ", p) }
	c.OnPong = func() { b.WriteString("pong; ") }
	for {
		op, p, err := c.ReadMessage(limit)
		if err == syscall.EAGAIN {
			continue
		}
		if err != nil {
			fmt.Fprintf(&b, "%v", err)
			if _, _, again := c.ReadMessage(limit); again != err {
				fmt.Fprintf(&b, ", then %v", again)
			}
			return b.String()
		}
		fmt.Fprintf(&b, "%d:%x; ", op, p)
	}
}

func TestMalformedFrames(t *testing.T) {
	long := strings.Repeat("x", testLimit)
	for _, tt := range []struct {
		name string
		in   []byte
		code int // of the *Error
	}{
		{"not masked", []byte{0x81, 1, 'x'}, CodeProtocol},
		{"RSV1", frame(0xc1, "x"), CodeProtocol},
		{"RSV2", frame(0xa1, "x"), CodeProtocol},
		{"RSV3", frame(0x91, "x"), CodeProtocol},
		{"RSV1 on a ping", frame(0xc9, "x"), CodeProtocol},
		{"opcode 3", frame(0x83, "x"), CodeProtocol},
		{"opcode 7", frame(0x87, "x"), CodeProtocol},
		{"opcode 11", frame(0x8b, "x"), CodeProtocol},
		{"opcode 15", frame(0x8f, "x"), CodeProtocol},
		{"ping in fragments", frame(0x09, "x"), CodeProtocol},
		{"close in fragments", frame(0x08, ""), CodeProtocol},
		{"ping of 126 bytes", frame(0x89, long[:126]), CodeProtocol},
		{"close of 70000 bytes", frame(0x88, long), CodeProtocol},
		{"continuation of nothing", frame(0x80, "x"), CodeProtocol},
		{"continuation after the end", cat(frame(0x01, "a"), frame(0x80, "b"), frame(0x80, "c")), CodeProtocol},
		{"message inside a message", cat(frame(0x01, "a"), frame(0x81, "b")), CodeProtocol},
		{"length 2^63", head(0x82, 1<<63), CodeProtocol},
		{"length 2^64-1", head(0x82, 1<<64-1), CodeProtocol},
		{"length 2^63-1", head(0x82, 1<<63-1), CodeTooLarge},
		{"length 2^32", head(0x82, 1<<32), CodeTooLarge},
		{"length over the limit", frame(0x82, long+"x"), CodeTooLarge},
		{"lengths together 2^63", cat(frame(0x02, "a"), head(0x80, 1<<63-1)), CodeTooLarge},
		{"fragments over the limit", cat(frame(0x02, long), frame(0x80, "x")), CodeTooLarge},
		{"16-bit length of 125", cat([]byte{0x82, 0xfe, 0, 125, 1, 2, 3, 4}, make([]byte, 125)), CodeProtocol},
		{"64-bit length of 65535", cat(head(0x82, 65535), make([]byte, 65535)), CodeProtocol},
		{"empty fragments without end", cat(frame(0x02, ""), bytes.Repeat(frame(0x00, ""), maxFragments)), CodeTooLarge},
		{"tiny fragments without end", cat(frame(0x02, "a"), bytes.Repeat(frame(0x00, "a"), maxFragments)), CodeTooLarge},
		{"bad UTF-8", frame(0x81, "\xff"), CodeBadText},
		{"surrogate", frame(0x81, "\xed\xa0\x80"), CodeBadText},
		{"overlong", frame(0x81, "\xc0\xaf"), CodeBadText},
		{"character cut at the end", cat(frame(0x01, "\xf0\x9f"), frame(0x80, "\x91")), CodeBadText},
		{"half a close code", frame(0x88, "\x03"), CodeProtocol},
		{"close code 0", frame(0x88, "\x00\x00"), CodeProtocol},
		{"close code 999", frame(0x88, "\x03\xe7"), CodeProtocol},
		{"close code 1005", frame(0x88, "\x03\xed"), CodeProtocol},
		{"close code 1006", frame(0x88, "\x03\xee"), CodeProtocol},
		{"close code 1015", frame(0x88, "\x03\xf7"), CodeProtocol},
		{"close code 2999", frame(0x88, "\x0b\xb7"), CodeProtocol},
		{"close code 5000", frame(0x88, "\x13\x88"), CodeProtocol},
		{"close reason not UTF-8", frame(0x88, "\x03\xe8\xff"), CodeBadText},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &script{in: tt.in, chunk: len(tt.in)}
			c := newConn(s, false, "", nil)
			var err error
			for err == nil {
				_, _, err = c.ReadMessage(testLimit)
			}
			var e *Error
			if !errors.As(err, &e) || e.Code != tt.code {
				t.Fatalf("error %v, want code %d", err, tt.code)
			}
			if whole, bytewise := transcript(tt.in, len(tt.in), testLimit), transcript(tt.in, 1, testLimit); whole != bytewise {
				t.Errorf("read at once: %s\nbyte by byte: %s", whole, bytewise)
			} else if halts := halted(tt.in, 1, testLimit); halts != whole {
				t.Errorf("read at once: %s\nwith halts: %s", whole, halts)
			}
		})
	}
}

func TestGoodFrames(t *testing.T) {
	long := strings.Repeat("é", 1000)
	for _, tt := range []struct {
		name string
		in   []byte
		want string
	}{
		{"nothing", nil, "EOF"},
		{"text", frame(0x81, "hi"), "1:6869; EOF"},
		{"empty", frame(0x81, ""), "1:; EOF"},
		{"binary may hold anything", frame(0x82, "\xff"), "2:ff; EOF"},
		{"two", cat(frame(0x81, "a"), frame(0x82, "b")), "1:61; 2:62; EOF"},
		{"fragments", cat(frame(0x01, "a"), frame(0x00, ""), frame(0x80, "b")), "1:6162; EOF"},
		{"a character across fragments", cat(frame(0x01, "\xf0\x9f"), frame(0x80, "\x91\x8d")), "1:f09f918d; EOF"},
		{"control inside a message", cat(frame(0x01, "a"), frame(0x89, "p"), frame(0x8a, ""), frame(0x80, "b")), "ping 70; pong; 1:6162; EOF"},
		{"larger than the buffer", frame(0x81, long), fmt.Sprintf("1:%x; EOF", long)},
		{"ping of 125 bytes", frame(0x89, long[:124]+"x"), fmt.Sprintf("ping %x; EOF", long[:124]+"x")},
		{"close", cat(frame(0x88, "\x0f\xa0bye"), frame(0x81, "late")), `websocket: closed by the peer (4000 "bye")`},
		{"close without a code", frame(0x88, ""), `websocket: closed by the peer (1005 "")`},
		{"cut in a header", frame(0x81, "hi")[:3], "unexpected EOF"},
		{"cut in a payload", frame(0x81, "hi")[:7], "unexpected EOF"},
		{"cut between fragments", frame(0x01, "hi"), "unexpected EOF"},
	} {
		for _, chunk := range []int{1, 2, 3, 7, 1 << 20} {
			if got := transcript(tt.in, chunk, testLimit); got != tt.want {
				t.Errorf("%s, %d bytes at a time: %s\nwant %s", tt.name, chunk, got, tt.want)
			}
			if got := halted(tt.in, chunk, testLimit); got != tt.want {
				t.Errorf("%s, %d bytes at a time with halts: %s\nwant %s", tt.name, chunk, got, tt.want)
			}
		}
	}
}

// A client takes no masked frames.
func TestClientRefusesMask(t *testing.T) {
	c := newConn(&script{in: frame(0x81, "x"), chunk: 99}, true, "", nil)
	if _, _, err := c.ReadMessage(10); err == nil {
		t.Error("a masked frame from a server was taken")
	}
}

// A length is not trusted: the buffer of a payload grows with what arrived,
// and goes back when it was read.
func TestBufferFollowsBytes(t *testing.T) {
	const limit = 1 << 30
	s := &script{in: cat(head(0x82, limit), []byte("few")), chunk: 1 << 20}
	if _, _, err := newConn(s, false, "", nil).ReadMessage(limit); err != io.ErrUnexpectedEOF {
		t.Fatalf("error %v", err)
	}
	if s.offered > readBuffer {
		t.Errorf("%d bytes were made ready for an announced gigabyte", s.offered)
	}

	big := strings.Repeat("x", 50_000)
	s = &script{in: cat(frame(0x82, big), frame(0x82, "small")), chunk: 1000}
	c := newConn(s, false, "", nil)
	if _, p, err := c.ReadMessage(limit); err != nil || string(p) != big {
		t.Fatalf("%d bytes, %v", len(p), err)
	}
	if _, p, err := c.ReadMessage(limit); err != nil || string(p) != "small" {
		t.Fatalf("%q, %v", p, err)
	}
	c.ReadMessage(limit)
	if len(c.buf) != readBuffer || c.begun != nil {
		t.Errorf("a connection that waits holds %d bytes", len(c.buf))
	}
}

// Between messages a connection whose source does not wait holds no buffer, and
// inside one what has arrived.
func TestNothingToReadCostsNothing(t *testing.T) {
	c := newConn(nil, false, "", nil)
	source := &halting{}
	c.Source = source
	for _, tt := range []struct {
		in     []byte
		buffer int
	}{
		{nil, 0},
		{frame(0x81, "one"), 0},
		{frame(0x81, "two")[:5], readBuffer},
		{frame(0x81, "two")[5:], 0},
		{frame(0x01, "three")[:3], readBuffer}, // half a fragment
		{frame(0x01, "three")[3:], 0},          // its bytes are in joined
		{frame(0x80, strings.Repeat("x", 9000))[:9000], 9008},
		{frame(0x80, strings.Repeat("x", 9000))[9000:], 0},
	} {
		source.script = script{in: tt.in, chunk: 1 << 20}
		var err error
		for err != syscall.EAGAIN || len(source.in) > 0 {
			if _, _, err = c.ReadMessage(testLimit); err != nil && err != syscall.EAGAIN {
				t.Fatal(err)
			}
		}
		if len(c.buf) != tt.buffer {
			t.Errorf("after %d bytes %.9x…: a buffer of %d, want %d", len(tt.in), tt.in, len(c.buf), tt.buffer)
		}
	}
}

// What came with the handshake is read first.
func TestEarlyBytes(t *testing.T) {
	early := cat(frame(0x81, strings.Repeat("x", 3000)), frame(0x81, "two")[:4])
	c := newConn(&script{in: frame(0x81, "two")[4:], chunk: 1}, false, "", early)
	clear(early) // newConn has copied them
	if _, p, err := c.ReadMessage(4000); err != nil || len(p) != 3000 || p[2999] != 'x' {
		t.Fatalf("%d bytes, %v", len(p), err)
	}
	if _, p, err := c.ReadMessage(4000); err != nil || string(p) != "two" {
		t.Fatalf("%q, %v", p, err)
	}
}

func FuzzReadMessage(f *testing.F) {
	f.Add(frame(0x81, "hi"), uint8(1))
	f.Add(cat(frame(0x01, "a"), frame(0x89, "p"), frame(0x80, "b"), frame(0x88, "\x03\xe8")), uint8(3))
	f.Add(head(0x82, 1<<63-1), uint8(2))
	f.Add(frame(0x82, strings.Repeat("x", 2000)), uint8(9))
	f.Add(bytes.Repeat(frame(0x00, ""), 10), uint8(5))
	f.Fuzz(func(t *testing.T, in []byte, chunk uint8) {
		whole := transcript(in, len(in)+1, 4096)
		if got := transcript(in, 1, 4096); got != whole {
			t.Errorf("byte by byte: %s\nat once: %s", got, whole)
		}
		if got := transcript(in, int(chunk)+1, 4096); got != whole {
			t.Errorf("%d bytes at a time: %s\nat once: %s", chunk, got, whole)
		}
		if got := halted(in, int(chunk)+1, 4096); got != whole {
			t.Errorf("%d bytes at a time with halts: %s\nat once: %s", chunk, got, whole)
		}
	})
}
