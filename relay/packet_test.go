package relay

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/roomtide/roomtide/change"
)

func (p *packet) append() []byte {
	b := p.appendHeader(nil)
	for _, e := range p.entries {
		b = append(b, byte(len(e)))
		b = append(b, e...)
	}
	return b
}

func TestMessagesComeBack(t *testing.T) {
	p := packet{from: 1<<63 + 5, lane: 300, slots: -1, ask: true, base: 7, first: 9, entries: [][]byte{{1, 2}, {}, {3}}}
	if got, err := decodePacket(p.append()); err != nil || !reflect.DeepEqual(got, p) {
		t.Errorf("%+v, %v", got, err)
	}
	as := []answer{
		{lane: 3, tenure: 1 << 63, next: 9, want: true},
		{lane: 4, tenure: 2, next: 1 << 40, outcomes: []outcome{{n: 1, reply: []byte{}}, {n: 1 << 33, how: moved, slots: 9}, {n: 3, reply: []byte("x")}}},
	}
	b := []byte{format}
	for i := range as {
		b = as[i].append(b)
	}
	if got, err := decodeAnswers(b); err != nil || !reflect.DeepEqual(got, as) {
		t.Errorf("%+v, %v", got, err)
	}
	a := announcement{lane: 3, tenure: 1 << 60, node: "a"}
	if got, err := decodeAnnouncement(a.append(nil)); err != nil || got != a {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestMalformed(t *testing.T) {
	good := packet{from: 1, base: 2, first: 3, entries: [][]byte{{1}}}
	for what, p := range map[string]packet{
		"no base": {base: 0, first: 1}, "first before base": {base: 2, first: 1}, "too far": {base: 1, first: 2 + maxSpan},
		"number too large": {base: maxNumber + 1, first: maxNumber + 1},
	} {
		if got, err := decodePacket(p.append()); err == nil {
			t.Errorf("%s: %+v", what, got)
		}
	}
	for n, b := 0, good.append(); n < len(b); n++ {
		if n == len(b)-2 {
			continue // without entries
		}
		if got, err := decodePacket(b[:n]); err == nil {
			t.Errorf("the first %d bytes: %+v", n, got)
		}
	}
	for what, b := range map[string][]byte{
		"another format": append([]byte{format + 1}, good.append()[1:]...),
		"too many":       append(good.append(), bytes.Repeat([]byte{0}, maxSpan)...),
	} {
		if got, err := decodePacket(b); err == nil {
			t.Errorf("%s: %d entries", what, len(got.entries))
		}
	}
	a := announcement{node: string(bytes.Repeat([]byte{'x'}, maxNode+1))}
	if _, err := decodeAnnouncement(a.append(nil)); err == nil {
		t.Error("a long name")
	}
	if _, err := decodeAnnouncement(append((&announcement{}).append(nil), 0)); err == nil {
		t.Error("a byte behind an announcement")
	}
	if _, err := decodeAnswers([]byte{format, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2}); err == nil {
		t.Error("a flag that is none")
	}
}

func FuzzPacket(f *testing.F) {
	p := packet{from: 1, lane: 2, slots: 3, ask: true, base: 4, first: 5, entries: [][]byte{change.Append(nil, &change.Nop{At: 3}), {}}}
	f.Add(p.append())
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodePacket(b)
		if err != nil {
			return
		}
		if p.base < 1 || p.first < p.base || len(p.entries) > maxSpan {
			t.Fatalf("%+v", p)
		}
		for _, e := range p.entries {
			if len(e) > 127 {
				return // append above writes short ones
			}
		}
		if again, err := decodePacket(p.append()); err != nil || !reflect.DeepEqual(again, p) {
			t.Fatalf("%+v came back as %+v (%v)", p, again, err)
		}
	})
}

func FuzzAnswers(f *testing.F) {
	a := answer{lane: 4, tenure: 2, next: 40, want: true, outcomes: []outcome{{n: 1}, {n: 2, how: moved, slots: 9}, {n: 3, reply: []byte("x")}}}
	f.Add(a.append([]byte{format}))
	f.Fuzz(func(t *testing.T, b []byte) {
		as, err := decodeAnswers(b)
		if err != nil {
			return
		}
		out := []byte{format}
		for i := range as {
			out = as[i].append(out)
		}
		if again, err := decodeAnswers(out); err != nil || !reflect.DeepEqual(again, as) {
			t.Fatalf("%+v came back as %+v (%v)", as, again, err)
		}
	})
}
