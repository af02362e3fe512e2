package hub

import (
	"bytes"
	"fmt"
	"net"
	"testing"

	"pgregory.net/rapid"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/netwrite"
)

// The log against a model that keeps everything: what is found can be read back
// exactly, what is not found has been pushed out, and the bound holds.
func TestRoomLogModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(4<<10, 16<<10).Draw(t, "limit")
		first := chat.Rev(rapid.IntRange(0, 50).Draw(t, "first"))
		l := newRoomLog(limit, &budget{limit: 1 << 40}, first)
		var all []byte
		behind := map[chat.Rev]int64{first: 0} // the first offset behind each rev
		rev := first
		retained := int64(0)
		for i := range rapid.IntRange(1, 300).Draw(t, "frames") {
			if rapid.IntRange(0, 3).Draw(t, "durable") > 0 {
				rev++
			}
			frame := bytes.Repeat([]byte{byte(i)}, rapid.IntRange(1, 3000).Draw(t, "size"))
			if rapid.Bool().Draw(t, "read") {
				retained = l.head.off
			}
			if l.full(len(frame)) {
				l.trim(retained)
			}
			l.append(frame, rev)
			all = append(all, frame...)
			if _, ok := behind[rev]; !ok {
				behind[rev] = int64(len(all))
			}
		}
		if l.bytes > limit || l.head.off != int64(len(all)) {
			t.Fatalf("%d bytes kept of %d, head at %d of %d", l.bytes, limit, l.head.off, len(all))
		}
		for after := first; after <= rev; after++ {
			m, ok := l.find(after)
			switch {
			case ok && m.rev == after:
				got := join(appendBytes(nil, l.chunks, m.off, l.head.off))
				if m.off < behind[after] || !bytes.Equal(got, all[m.off:]) {
					t.Fatalf("after %d: %d bytes from %d", after, len(got), m.off)
				}
			case ok:
				t.Fatalf("after %d found %+v", after, m)
			case behind[after] >= l.start() && after != rev:
				t.Fatalf("after %d not found, though the log starts at %d", after, l.start())
			}
		}
		if _, ok := l.find(first - 1); ok {
			t.Fatal("found what was never there")
		}
	})
}

func TestFrameEnd(t *testing.T) {
	l := newRoomLog(64<<10, &budget{limit: 1 << 40}, 0)
	var ends []int64
	for i := range 20 {
		l.append(make([]byte, 100+i*70), chat.Rev(i+1))
		ends = append(ends, l.head.off)
	}
	if len(l.chunks) < 3 {
		t.Fatal("too few chunks to test anything")
	}
	i := 0
	for off := int64(0); off <= l.head.off; off++ {
		if off > ends[i] {
			i++
		}
		if m := frameEnd(l.chunks, off); m.off != ends[i] || m.count != int64(i+1) || m.rev != chat.Rev(i+1) {
			t.Fatalf("frame at %d ends at %+v, want %d", off, m, ends[i])
		}
	}
}

func TestRest(t *testing.T) {
	bufs := net.Buffers{[]byte("abc"), []byte("d"), []byte("ef")}
	for n := range 7 {
		if got := string(join(netwrite.Rest(bufs, n))); got != "abcdef"[n:] {
			t.Fatalf("rest %d: %q", n, got)
		}
	}
	if s := fmt.Sprintf("%s", bufs); s != "[abc d ef]" {
		t.Fatal("changed", s)
	}
}

func join(bufs net.Buffers) []byte { return bytes.Join(bufs, nil) }
