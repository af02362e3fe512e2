package websocket

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// hello is "Hello" compressed, from RFC 7692 section 7.2.3.1.
const hello = "\xf2\x48\xcd\xc9\xc9\x07\x00"

// packed is s compressed, as the payload of a message.
func packed(s string) string {
	d := deflaters.Get().(*deflater)
	defer deflaters.Put(d)
	return string(d.pack([]byte(s)))
}

// stream is s compressed as a stream of its own that ends with a final block.
// It may refer to what was before it.
func stream(s, before string) string {
	var b bytes.Buffer
	w, _ := flate.NewWriterDict(&b, flate.BestCompression, []byte(before))
	io.WriteString(w, s)
	w.Close()
	return b.String()
}

// unpacked is everything a server's reader that agreed on permessage-deflate sees.
func unpacked(in []byte, chunk, limit int) string {
	return read(deflating(&script{in: bytes.Clone(in), chunk: chunk}, false), limit)
}

// unpackedHalting is the same where the source returns EAGAIN in between.
func unpackedHalting(in []byte, chunk, limit int) string {
	c := deflating(nil, false)
	c.Source = &halting{script: script{in: bytes.Clone(in), chunk: chunk}}
	return read(c, limit)
}

// The examples of RFC 7692 section 7.2.3, byte for byte.
func TestExamples(t *testing.T) {
	for _, tt := range []struct{ name, in string }{
		{"7.2.3.1 one block", "\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"},
		{"7.2.3.1 in fragments", "\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00"},
		{"7.2.3.3 no compression", "\xc1\x0b\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"},
		{"7.2.3.4 BFINAL", "\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00"},
		{"7.2.3.5 two blocks", "\xc1\x0d\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"},
	} {
		for chunk := range 15 {
			c := deflating(&script{in: []byte(tt.in), chunk: chunk + 1}, true)
			if got := read(c, 20); got != "1:48656c6c6f; EOF" {
				t.Errorf("%s, %d bytes at a time: %s", tt.name, chunk+1, got)
			}
		}
	}
	// 7.2.3.2 shares the window with the message before, which was not agreed on.
	in := []byte("\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\xc1\x05\xf2\x00\x11\x00\x00")
	if got := read(deflating(&script{in: in, chunk: 99}, true), 20); got != "1:48656c6c6f; websocket: compressed message is malformed (1002)" {
		t.Errorf("7.2.3.2 with context takeover: %s", got)
	}
}

func TestGoodDeflate(t *testing.T) {
	long := strings.Repeat("é", 30_000)
	z, wild := packed(long), string(noise(50_000))
	for _, tt := range []struct {
		name string
		in   []byte
		want string
	}{
		{"text", frame(0xc1, hello), "1:48656c6c6f; EOF"},
		{"binary may hold anything", frame(0xc2, packed("\xff")), "2:ff; EOF"},
		{"empty", frame(0xc1, "\x00"), "1:; EOF"}, // RFC 7692 section 7.2.3.6
		{"empty final block", frame(0xc1, "\x03\x00"), "1:; EOF"},
		{"no payload", frame(0xc1, ""), "1:; EOF"},
		{"not compressed", frame(0x81, hello[1:2]), "1:48; EOF"},
		{"mixed", cat(frame(0xc1, hello), frame(0x81, "a"), frame(0xc2, hello)), "1:48656c6c6f; 1:61; 2:48656c6c6f; EOF"},
		{"fragments", cat(frame(0x41, hello[:1]), frame(0x00, ""), frame(0x00, hello[1:6]), frame(0x80, hello[6:])), "1:48656c6c6f; EOF"},
		{"fragments, not compressed", cat(frame(0x01, "a"), frame(0x80, "b"), frame(0xc1, hello)), "1:6162; 1:48656c6c6f; EOF"},
		{"first fragment empty", cat(frame(0x41, ""), frame(0x80, hello)), "1:48656c6c6f; EOF"},
		{"control inside a message", cat(frame(0x41, hello[:3]), frame(0x89, "p"), frame(0x8a, ""), frame(0x80, hello[3:])), "ping 70; pong; 1:48656c6c6f; EOF"},
		{"much from little", frame(0xc1, z), fmt.Sprintf("1:%x; EOF", long)},
		{"large stored blocks", frame(0xc2, packed(wild)), fmt.Sprintf("2:%x; EOF", wild)},
		{"final block at the end", frame(0xc1, stream("Hello", "")), "1:48656c6c6f; EOF"},
		{"blocks after a final one", frame(0xc1, stream("Hello", "")+stream(", ", "")+packed("you")), fmt.Sprintf("1:%x; EOF", "Hello, you")},
		{"a window beyond a final block", frame(0xc1, stream(long, "")+stream(long[:200], long)+"\x00"), fmt.Sprintf("1:%x; EOF", long+long[:200])},
		{"cut in a payload", frame(0xc1, hello)[:7], "unexpected EOF"},
		{"cut between fragments", frame(0x41, hello), "unexpected EOF"},
	} {
		for _, chunk := range []int{1, 7, 1 << 20} {
			if got := unpacked(tt.in, chunk, testLimit); got != tt.want {
				t.Errorf("%s, %d bytes at a time: %.100s\nwant %.100s", tt.name, chunk, got, tt.want)
			}
			if got := unpackedHalting(tt.in, chunk, testLimit); got != tt.want {
				t.Errorf("%s, %d bytes at a time with halts: %.100s\nwant %.100s", tt.name, chunk, got, tt.want)
			}
		}
	}
}

func TestMalformedDeflate(t *testing.T) {
	zeros := packed(strings.Repeat("\x00", testLimit+1))
	for _, tt := range []struct {
		name string
		in   []byte
		code int // of the *Error
	}{
		{"RSV1 on a ping", frame(0xc9, "x"), CodeProtocol},
		{"RSV1 on a pong", frame(0xca, "x"), CodeProtocol},
		{"RSV1 on a close", frame(0xc8, ""), CodeProtocol},
		{"RSV1 on a continuation", cat(frame(0x41, hello[:3]), frame(0xc0, hello[3:])), CodeProtocol},
		{"RSV1 on a continuation of plain text", cat(frame(0x01, "a"), frame(0xc0, hello)), CodeProtocol},
		{"RSV1 on a continuation of nothing", frame(0xc0, hello), CodeProtocol},
		{"RSV1 on a message inside another", cat(frame(0x41, hello[:3]), frame(0xc1, hello[3:])), CodeProtocol},
		{"RSV1 on opcode 3", frame(0xc3, hello), CodeProtocol},
		{"RSV2", frame(0xa1, "x"), CodeProtocol},
		{"RSV3", frame(0x91, "x"), CodeProtocol},
		{"RSV1 and RSV2", frame(0xe1, hello), CodeProtocol},
		{"RSV1 and RSV3", frame(0xd1, hello), CodeProtocol},
		{"no such block", frame(0xc1, "\x07"), CodeProtocol},
		{"noise", frame(0xc2, string(noise(300))), CodeProtocol},
		{"stored length that does not fit", frame(0xc2, "\x00\x05\x00\x00\x00Hello\x00"), CodeProtocol},
		{"stored block cut off", frame(0xc2, "\x00\x05\x00\xfa\xff"), CodeProtocol},
		{"stored block cut off by four", frame(0xc2, "\x01\x04\x00\xfb\xff"), CodeProtocol},
		{"final block cut off", frame(0xc1, "\xf3\x48\xcd\xc9\xc9\x07"), CodeProtocol},
		{"compressed block cut off", frame(0xc1, packed(string(chat(500)))[:200]), CodeProtocol},
		{"a flush sent as well", frame(0xc1, hello+"\x00\x00\xff\xff\x07"), CodeProtocol},
		{"reference to before the message", cat(frame(0xc2, packed("abcdefghabcdefgh")), frame(0xc2, stream("abcdefgh", "abcdefgh"))), CodeProtocol},
		{"final blocks without end", frame(0xc1, strings.Repeat("\x03\x00", maxStreams+1)), CodeTooLarge},
		{"bad UTF-8", frame(0xc1, packed("\xff")), CodeBadText},
		{"surrogate", frame(0xc1, packed("\xed\xa0\x80")), CodeBadText},
		{"inflated over the limit", frame(0xc2, zeros), CodeTooLarge},
		{"fragments inflated over the limit", cat(frame(0x42, zeros[:9]), frame(0x80, zeros[9:])), CodeTooLarge},
		{"sent over the limit", frame(0xc2, strings.Repeat("x", testLimit+1)), CodeTooLarge},
		{"empty fragments without end", cat(frame(0x42, ""), bytes.Repeat(frame(0x00, ""), maxFragments)), CodeTooLarge},
	} {
		c := deflating(&script{in: bytes.Clone(tt.in), chunk: len(tt.in)}, false)
		var err error
		for err == nil {
			_, _, err = c.ReadMessage(testLimit)
		}
		var e *Error
		if !errors.As(err, &e) || e.Code != tt.code {
			t.Errorf("%s: error %v, want code %d", tt.name, err, tt.code)
		}
		whole := unpacked(tt.in, len(tt.in), testLimit)
		if bytewise := unpacked(tt.in, 1, testLimit); bytewise != whole {
			t.Errorf("%s, read at once: %s\nbyte by byte: %s", tt.name, whole, bytewise)
		}
		if halts := unpackedHalting(tt.in, 1, testLimit); halts != whole {
			t.Errorf("%s, read at once: %s\nwith halts: %s", tt.name, whole, halts)
		}
	}
}

// The limit is exact for what a message becomes.
func TestInflateLimit(t *testing.T) {
	for _, n := range []int{0, 1, 63, 64, 65, 500, 4096, 32 << 10, 100_000} {
		p := []byte(packed(strings.Repeat("a", n)))
		out, err := inflate(p, n)
		if err != nil || len(out) != n || cap(out) > n+1 {
			t.Errorf("limit %d: %d bytes with space for %d, %v", n, len(out), cap(out), err)
		}
		if out, err := inflate(p, n-1); err == nil && n > 0 {
			t.Errorf("limit %d: %d bytes", n-1, len(out))
		}
		if out, err := inflate(p, int(^uint(0)>>1)); err != nil || len(out) != n {
			t.Errorf("no limit: %d bytes, %v", len(out), err)
		}
	}
}

// A message that would become thousands of times as large costs what the limit
// allows. DEFLATE makes at most 1032 bytes of one.
func TestBomb(t *testing.T) {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression)
	w.Write(make([]byte, 1<<20))
	w.Flush()
	piece := b.String() // becomes 1 MiB, as often as it is repeated
	for _, tt := range []struct {
		name         string
		becomes      int // MiB
		limit, alloc int
	}{
		{"10 KiB that become 10 MiB", 10, 64 << 10, 512 << 10},
		{"60 KiB that become 60 MiB", 60, 64 << 10, 1 << 20},
		{"500 KiB that become 500 MiB", 500, 1 << 20, 6 << 20},
	} {
		in := frame(0xc2, strings.Repeat(piece, tt.becomes))
		if len(in) > tt.becomes*1050 {
			t.Fatalf("%s: they are %d", tt.name, len(in))
		}
		c := deflating(&script{in: in, chunk: len(in)}, false)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, p, err := c.ReadMessage(tt.limit)
		runtime.ReadMemStats(&after)
		var e *Error
		if !errors.As(err, &e) || e.Code != CodeTooLarge || p != nil {
			t.Errorf("%s: %d bytes, %v", tt.name, len(p), err)
		}
		if got := int(after.TotalAlloc - before.TotalAlloc); got > tt.alloc {
			t.Errorf("%s: %d bytes were allocated for a limit of %d", tt.name, got, tt.limit)
		}
	}
}

// Nothing of a message comes out on another connection, though both used the
// same inflater.
func TestNothingIsLeftOver(t *testing.T) {
	secret := strings.Repeat("the secret of another room; ", 2000)
	in := appendDeflated(nil, Text, []byte(secret))
	for range 50 {
		if _, p, err := receive(in, len(secret)); err != nil || string(p) != secret {
			t.Fatalf("%d bytes, %v", len(p), err)
		}
		for _, bad := range []string{stream(secret[:5000], secret), hello[:3], "\x07"} {
			if _, p, err := receive(append(AppendHeader(nil, Text|deflated, len(bad)), bad...), 1<<20); err == nil || p != nil {
				t.Fatalf("malformed message was read as %q", p)
			}
		}
		_, p, err := receive([]byte("\xc1\x07"+hello), 1<<20)
		if err != nil || string(p) != "Hello" || len(bytes.Trim(p[len(p):cap(p)], "\x00")) > 0 {
			t.Fatalf("%q with %q behind it, %v", p, p[len(p):cap(p)], err)
		}
	}
}

// A message is valid until the next, and a connection that has nothing to read
// keeps nothing of it.
func TestDeflateHoldsNothing(t *testing.T) {
	source := &halting{script: script{in: cat(frame(0xc1, packed(string(chat(5000)))), frame(0x41, hello[:2]), frame(0x80, hello[2:])), chunk: 99}}
	c := deflating(nil, false)
	c.Source = source
	var got [][]byte
	for len(got) < 2 {
		if _, p, err := c.ReadMessage(testLimit); err == nil {
			got = append(got, p)
		} else if err != syscall.EAGAIN {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got[0], chat(5000)) || string(got[1]) != "Hello" {
		t.Errorf("messages %.50q and %q", got[0], got[1])
	}
	source.asked = false // the next time it has nothing
	if _, _, err := c.ReadMessage(testLimit); err != syscall.EAGAIN || c.buf != nil || c.begun != nil {
		t.Errorf("%v, with a buffer of %d bytes, inside a message: %t", err, len(c.buf), c.begun != nil)
	}
}

func FuzzInflate(f *testing.F) {
	for _, s := range []string{
		"", "\x00", "\x03\x00", hello, "\x00\x05\x00\xfa\xffHello\x00", "\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
		"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", "\x07", "\x01\x09\x00\xf6\xff",
		packed(strings.Repeat("\x00", 5000)), packed(string(chat(300))), string(noise(200)),
		stream("Hello", "") + stream("Hello", "Hello") + packed("é"), string(frame(0x41, hello)),
	} {
		f.Add([]byte(s), uint8(3), uint16(4096))
	}
	f.Fuzz(func(t *testing.T, in []byte, chunk uint8, most uint16) {
		limit, cut := int(most), int(chunk)%(len(in)+1)
		out, err := inflate(in, limit)
		if len(out) > limit || cap(out) > limit+1 || err != nil && out != nil {
			t.Fatalf("%d bytes with space for %d, limit %d, %v", len(out), cap(out), limit, err)
		}
		for _, frames := range [][]byte{
			in, frame(0xc2, string(in)), frame(0xc1, string(in)),
			cat(frame(0x42, string(in[:cut])), frame(0x89, ""), frame(0x80, string(in[cut:]))),
		} {
			whole := unpacked(frames, len(frames)+1, limit)
			if got := unpacked(frames, 1, limit); got != whole {
				t.Errorf("byte by byte: %s\nat once: %s", got, whole)
			}
			if got := unpackedHalting(frames, int(chunk)+1, limit); got != whole {
				t.Errorf("%d bytes at a time with halts: %s\nat once: %s", chunk, got, whole)
			}
		}
		if _, p, err := receive(appendDeflated(nil, Binary, in), len(in)); err != nil || !bytes.Equal(p, in) {
			t.Errorf("%d bytes %x were sent and came as %x, %v", len(in), in, p, err)
		}
		if p, err := inflate([]byte(packed(string(in))), len(in)); err != nil || !bytes.Equal(p, in) {
			t.Errorf("%d bytes %x were compressed and became %x, %v", len(in), in, p, err)
		}
	})
}
