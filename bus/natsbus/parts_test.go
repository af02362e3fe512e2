package natsbus

import (
	"bytes"
	"testing"
)

func assemble() *assembly { return &assembly{unfinished: map[uint64]*pieces{}} }

// step is a part that comes, and what it leads to.
type step struct {
	origin, number uint64
	index, of      int
	data           string
	want           string // the batch
	lost           int
}

func TestAssembly(t *testing.T) {
	for name, steps := range map[string][]step{
		"in order":            {{1, 1, 0, 3, "aa", "", 0}, {1, 1, 1, 3, "bb", "", 0}, {1, 1, 2, 3, "cc", "aabbcc", 0}},
		"of two publishers":   {{1, 1, 0, 2, "aaa", "", 0}, {2, 1, 0, 2, "ddd", "", 0}, {1, 1, 1, 2, "bbb", "aaabbb", 0}, {2, 1, 1, 2, "eee", "dddeee", 0}},
		"one is missing":      {{1, 1, 0, 3, "aa", "", 0}, {1, 1, 2, 3, "cc", "", 1}, {1, 2, 0, 2, "ddd", "", 0}, {1, 2, 1, 2, "eee", "dddeee", 0}},
		"the first missing":   {{1, 1, 1, 3, "bb", "", 1}, {1, 1, 2, 3, "cc", "", 0}},
		"the last missing":    {{1, 1, 0, 2, "aaa", "", 0}, {1, 2, 0, 2, "ccc", "", 1}, {1, 2, 1, 2, "ddd", "cccddd", 0}},
		"twice the same part": {{1, 1, 0, 3, "aa", "", 0}, {1, 1, 0, 3, "aa", "", 1}, {1, 1, 1, 3, "bb", "", 0}},
		"less than announced": {{1, 1, 0, 2, "aaa", "", 0}, {1, 1, 1, 2, "b", "", 1}, {1, 1, 1, 2, "b", "", 0}},
		"more than announced": {{1, 1, 0, 2, "aaa", "", 0}, {1, 1, 1, 2, "bbbb", "", 1}},
		"another count":       {{1, 1, 0, 2, "aaa", "", 0}, {1, 1, 1, 3, "bbb", "", 1}},
	} {
		t.Run(name, func(t *testing.T) {
			a := assemble()
			for i, s := range steps {
				got, lost := a.add(frame{kind: part, origin: s.origin, number: s.number, index: s.index, of: s.of, size: 6}, []byte(s.data))
				if string(got) != s.want || lost != s.lost {
					t.Errorf("step %d: %q, %d lost", i, got, lost)
				}
			}
			if a.bytes != 0 {
				t.Errorf("%d bytes are left", a.bytes)
			}
		})
	}
}

// Publishers that end in the middle of a batch do not fill the memory.
func TestAssemblyIsBounded(t *testing.T) {
	a, lost := assemble(), 0
	data := make([]byte, maxBatch/4)
	for origin := range uint64(20) {
		_, n := a.add(frame{kind: part, origin: origin, of: 5, size: maxBatch}, data)
		if lost += n; a.bytes > maxAssembled || len(a.unfinished) > maxUnfinished {
			t.Fatalf("%d bytes of %d batches", a.bytes, len(a.unfinished))
		}
	}
	if lost != 20-len(a.unfinished) || lost == 0 {
		t.Errorf("%d lost, %d waiting of 20", lost, len(a.unfinished))
	}
	for origin := range uint64(1000) {
		_, n := a.add(frame{kind: part, origin: 5000 + origin, of: 5, size: 10}, []byte("x"))
		if lost += n; len(a.unfinished) > maxUnfinished {
			t.Fatalf("%d batches", len(a.unfinished))
		}
	}
	if a.bytes != maxUnfinished || lost != 1020-maxUnfinished {
		t.Errorf("%d bytes, %d lost", a.bytes, lost)
	}
}

// Any message is refused, or is the one that its parts make again, and leads to no
// more than the bounds allow.
func FuzzFrame(f *testing.F) {
	f.Add([]byte{}, []byte{})
	f.Add((&frame{kind: whole, origin: 7}).append(nil), []byte("x"))
	f.Add((&frame{kind: part, origin: 7, number: 1, of: 2, size: 4}).append(nil), []byte("ab"))
	f.Add((&frame{kind: part, origin: 7, number: 1, index: 1, of: 2, size: 4}).append(nil), []byte("ab"))
	f.Fuzz(func(t *testing.T, header, data []byte) {
		message := append(bytes.Clone(header), data...)
		fr, rest, ok := readFrame(message)
		if !ok {
			return
		}
		if again, rest2, ok := readFrame(append(fr.append(nil), rest...)); !ok || again != fr || !bytes.Equal(rest, rest2) {
			t.Fatalf("%+v again is %+v", fr, again)
		}
		if fr.kind != part {
			return
		}
		a := assemble()
		for range 3 {
			batch, _ := a.add(fr, rest)
			if batch != nil && len(batch) != fr.size || a.bytes < 0 || a.bytes > maxAssembled {
				t.Fatalf("%d bytes for %+v, %d kept", len(batch), fr, a.bytes)
			}
		}
	})
}
