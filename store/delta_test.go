package store

import (
	"cmp"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/roomtide/roomtide/chat"
)

// history is a room in memory, with the sources of its deltas.
type history struct {
	room     chat.Room
	messages []chat.Message
	members  map[chat.UserID]chat.Member
}

func (h *history) bump() chat.Rev {
	h.room.Rev++
	return h.room.Rev
}

// step makes one random change.
func (h *history) step(t *rapid.T) {
	switch rapid.IntRange(0, 5).Draw(t, "what") {
	case 0, 1:
		rev := h.bump()
		h.room.LastSeq++
		h.messages = append(h.messages, chat.Message{Seq: h.room.LastSeq, Rev: rev, Created: rev})
	case 2, 3:
		if len(h.messages) > 0 {
			h.messages[rapid.IntRange(0, len(h.messages)-1).Draw(t, "message")].Rev = h.bump()
		}
	case 4:
		user := chat.UserID(rapid.StringMatching("[a-f]").Draw(t, "user"))
		h.members[user] = chat.Member{User: user, Rev: h.bump()}
	case 5:
		h.room.InfoRev = h.bump()
	}
}

// rows is what a driver would answer.
func (h *history) rows(after chat.Rev, limit int) *DeltaRows {
	rows := &DeltaRows{Room: h.room}
	if after >= h.room.Rev {
		return rows
	}
	for _, m := range h.messages {
		if m.Created > after {
			rows.Created = append(rows.Created, m)
		}
		if m.Rev > after && m.Rev != m.Created {
			rows.Changed = append(rows.Changed, m)
		}
	}
	for _, m := range h.members {
		if m.Rev > after {
			rows.Members = append(rows.Members, m)
		}
	}
	slices.SortFunc(rows.Changed, func(a, b chat.Message) int { return cmp.Compare(a.Rev, b.Rev) })
	slices.SortFunc(rows.Members, func(a, b chat.Member) int { return cmp.Compare(a.Rev, b.Rev) })
	rows.Created, rows.MoreCreated = rows.Created[:min(limit, len(rows.Created))], len(rows.Created) > limit
	rows.Changed, rows.MoreChanged = rows.Changed[:min(limit, len(rows.Changed))], len(rows.Changed) > limit
	rows.Members, rows.MoreMembers = rows.Members[:min(limit, len(rows.Members))], len(rows.Members) > limit
	return rows
}

// Whatever happens between the pages, a reader that has come to the end knows
// every row as it is, and each page is in order and of bounded size.
func TestMergePages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &history{members: map[chat.UserID]chat.Member{}}
		messages, members, info := map[chat.Seq]chat.Rev{}, map[chat.UserID]chat.Member{}, chat.Rev(0)
		limit := rapid.IntRange(1, 5).Draw(t, "limit")
		bytes := rapid.SampledFrom([]int{0, 1, 170, 400, 900}).Draw(t, "bytes")
		var at chat.Rev
		for more := true; more; {
			for range rapid.IntRange(0, 30).Draw(t, "changes") {
				if h.room.Rev < 200 {
					h.step(t)
				}
			}
			d := merge(h.rows(at, limit), at, bytes)
			if d.After != at || d.Rev > h.room.Rev || d.More != (d.Rev < h.room.Rev) || d.More && d.Rev <= at {
				t.Fatalf("a page after %d: %+v", at, d)
			}
			if len(d.Messages) > 2*limit || len(d.Members) > limit {
				t.Fatalf("%d messages and %d members, the limit is %d", len(d.Messages), len(d.Members), limit)
			}
			last := at
			for _, m := range d.Messages {
				if m.Rev <= last {
					t.Fatalf("messages do not ascend: %+v", d.Messages)
				}
				last, messages[m.Seq] = m.Rev, m.Rev
			}
			for _, m := range d.Members {
				members[m.User] = m
			}
			if d.Info {
				info = h.room.InfoRev
			}
			at, more = d.Rev, d.More
		}
		for _, m := range h.messages {
			if messages[m.Seq] != m.Rev {
				t.Fatalf("message %d is known with rev %d, it has %d", m.Seq, messages[m.Seq], m.Rev)
			}
		}
		if !maps.Equal(members, h.members) || info != h.room.InfoRev {
			t.Fatalf("members %v and info of %d, want %v and %d", members, info, h.members, h.room.InfoRev)
		}
	})
}

func TestMergeBeyondTheRoom(t *testing.T) {
	room := chat.Room{ID: "r", Rev: 5, InfoRev: 5}
	if d := merge(&DeltaRows{Room: room}, 9, 0); d.Rev != 5 || d.After != 9 || d.More || d.Info {
		t.Errorf("%+v", d)
	}
}
