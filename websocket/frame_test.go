package websocket

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAppendHeader(t *testing.T) {
	for _, tt := range []struct {
		n    int
		want []byte
	}{
		{0, []byte{0x81, 0}},
		{125, []byte{0x81, 125}},
		{126, []byte{0x81, 126, 0, 126}},
		{65535, []byte{0x81, 126, 0xff, 0xff}},
		{65536, []byte{0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0}},
	} {
		if got := AppendHeader([]byte("x"), Text, tt.n); !bytes.Equal(got[1:], tt.want) {
			t.Errorf("%d bytes: header % x, want % x", tt.n, got[1:], tt.want)
		}
	}
}

func TestMask(t *testing.T) {
	key := [4]byte{1, 2, 4, 8}
	for n := range 40 {
		p, want := make([]byte, n), make([]byte, n)
		for i := range p {
			p[i] = byte(i * 7)
			want[i] = p[i] ^ key[i%4]
		}
		if mask(p, key); !bytes.Equal(p, want) {
			t.Errorf("%d bytes: % x, want % x", n, p, want)
		}
	}
}

// A reason that does not fit is cut between characters, and nothing else than
// the reason is ever sent.
func TestAppendClose(t *testing.T) {
	for _, reason := range []string{"", "bye", strings.Repeat("é", 100), strings.Repeat("👍", 60), strings.Repeat("x", 5000)} {
		f := AppendClose(nil, 4001, reason)
		p := f[2:]
		if f[0] != 0x88 || int(f[1]) != len(p) || len(p) > maxControl {
			t.Fatalf("header % x for %d bytes", f[:2], len(p))
		}
		if binary.BigEndian.Uint16(p) != 4001 || !utf8.Valid(p[2:]) || !strings.HasPrefix(reason, string(p[2:])) {
			t.Errorf("payload %q for reason %q", p, reason)
		}
		if len(reason) > 123 && len(p) < 120 {
			t.Errorf("reason cut to %d bytes", len(p)-2)
		}
	}
	if f := AppendClose(nil, CodeNone, "x"); !bytes.Equal(f, []byte{0x88, 0}) {
		t.Errorf("close without a code: % x", f)
	}
}
