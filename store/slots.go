package store

import (
	"fmt"
	"iter"
	"math/bits"
	"strconv"
	"strings"

	"github.com/roomtide/roomtide/chat"
)

// SlotSet is a set of slots. The zero SlotSet is empty. Its text, also in JSON, is a
// list of numbers and ranges, "0-99,200".
type SlotSet [chat.Slots / 64]uint64

// Has reports whether the slot is in the set. A nil set is empty.
func (s *SlotSet) Has(slot chat.Slot) bool { return s != nil && s[slot/64]&(1<<(slot%64)) != 0 }

// Add puts a slot into the set.
func (s *SlotSet) Add(slot chat.Slot) { s[slot/64] |= 1 << (slot % 64) }

// Meets reports whether the sets have a slot in common.
func (s *SlotSet) Meets(o *SlotSet) bool {
	for i, w := range s {
		if w&o[i] != 0 {
			return true
		}
	}
	return false
}

// Len is how many slots are in the set.
func (s *SlotSet) Len() int {
	n := 0
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// All are the slots, ascending.
func (s *SlotSet) All() iter.Seq[chat.Slot] {
	return func(yield func(chat.Slot) bool) {
		for slot := range chat.Slot(chat.Slots) {
			if s.Has(slot) && !yield(slot) {
				return
			}
		}
	}
}

func (s *SlotSet) String() string {
	var b strings.Builder
	for from := 0; from < chat.Slots; from++ {
		if !s.Has(chat.Slot(from)) {
			continue
		}
		to := from
		for to+1 < chat.Slots && s.Has(chat.Slot(to+1)) {
			to++
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(from))
		if to > from {
			b.WriteString("-" + strconv.Itoa(to))
		}
		from = to
	}
	return b.String()
}

// ParseSlots reads the text of a set. Invalid.
func ParseSlots(text string) (*SlotSet, error) {
	s := &SlotSet{}
	for part := range strings.SplitSeq(text, ",") {
		low, high, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			high = low
		}
		from, err1 := strconv.ParseUint(strings.TrimSpace(low), 10, 16)
		to, err2 := strconv.ParseUint(strings.TrimSpace(high), 10, 16)
		if err1 != nil || err2 != nil || from > to || to >= chat.Slots {
			return nil, chat.E(chat.Invalid, fmt.Sprintf("%q is not a list of slots: write numbers and ranges from 0 to %d, such as 0-99,200", text, chat.Slots-1))
		}
		for slot := from; slot <= to; slot++ {
			s.Add(chat.Slot(slot))
		}
	}
	return s, nil
}

// MarshalText writes the text of the set.
func (s *SlotSet) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the text of a set.
func (s *SlotSet) UnmarshalText(text []byte) error {
	*s = SlotSet{}
	if len(text) == 0 {
		return nil
	}
	read, err := ParseSlots(string(text))
	if err == nil {
		*s = *read
	}
	return err
}
