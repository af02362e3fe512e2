package consistency

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/roomtide/roomtide/chat"
)

// A server that keeps its promises is never accused, whatever is lost, retried,
// read or restarted in between.
func TestCheckAcceptsWhatIsRight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		numbers := rapid.IntRange(0, 1<<20)
		room := newToy(func(n int) int { return numbers.Draw(t, "choice") % n }, none)
		records, final := room.run(rapid.IntRange(0, 300).Draw(t, "steps"))
		for _, v := range Check(records, final) {
			t.Error(v)
		}
		for _, v := range Check(records, nil) {
			t.Error("without a final state:", v)
		}
	})
}

// Every mistake the toy room can make is found, under its name, in every run in
// which it was made.
func TestCheckFindsPlantedBugs(t *testing.T) {
	tests := []struct {
		name string
		bug  bug
		want Anomaly
	}{
		{"ack before commit", ackBeforeCommit, LostAck},
		{"committed messages lost in a restart", loseOnRestart, LostAck},
		{"keys forgotten", forgetKeys, DuplicateKey},
		{"refused messages stored", commitRefused, Phantom},
		{"a batch committed backwards", commitBackwards, SenderOrder},
		{"numbers reserved and filled later", reserveNumbers, RealTime},
		{"numbers left out", jumpNumbers, StoreHole},
		{"messages invented", inventMessage, Phantom},
		{"texts changed", garbleText, Corrupt},
		{"one device sees other messages", garbleForOne, Divergent},
		{"deliveries dropped", dropDelivery, Hole},
		{"deliveries swapped", swapDeliveries, NonMonotonic},
		{"deliveries repeated", repeatDelivery, DuplicateDelivery},
		{"repeated on resume", repeatOnResume, WrongResume},
		{"skipped on resume", skipOnResume, WrongResume},
		{"the last message withheld", withholdLast, Unobserved},
		{"reads from a stale copy", staleHistory, StaleRead},
		{"reads with a hole", holedHistory, Hole},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			made, found := 0, 0
			for seed := range uint64(30) {
				rng := rand.New(rand.NewPCG(seed, 1))
				room := newToy(rng.IntN, tt.bug)
				records, final := room.run(1200)
				violations := Check(records, final)
				has := false
				for _, v := range violations {
					has = has || v.Anomaly == tt.want
				}
				made += min(room.made, 1)
				if has {
					found++
				}
				if room.made == 0 && len(violations) > 0 {
					t.Errorf("seed %d: the bug was not made and yet: %v", seed, violations[0])
				}
				if room.made > 0 && len(violations) == 0 {
					t.Errorf("seed %d: made %d times, nothing found", seed, room.made)
				}
			}
			if made < 25 || found < 25 {
				t.Errorf("made in %d runs of 30, named %s in %d", made, tt.want, found)
			}
		})
	}
}

// The edges of each promise, record by record.
func TestCheckByHand(t *testing.T) {
	const r = chat.RoomID("room1")
	msg := func(seq chat.Seq, key string) *chat.Message {
		return &chat.Message{Room: r, Seq: seq, User: "user1", Key: key, Text: key}
	}
	sent := func(rec *Recorder, keys ...string) {
		for i, k := range keys {
			rec.Send("c1", r, "user1", k, k).OK(chat.Seq(i+1), chat.Rev(i+1))
		}
	}
	tests := []struct {
		name string
		do   func(*Recorder)
		want Anomaly // "" for none
	}{
		{"nothing", func(*Recorder) {}, ""},
		{"a device that starts late", func(rec *Recorder) {
			sent(rec, "a", "b", "c")
			rec.Resume("d1", r, 2)
			rec.Deliver("d1", msg(3, "c"))
		}, ""},
		{"a device that starts late and is shown old ones", func(rec *Recorder) {
			sent(rec, "a", "b", "c")
			rec.Resume("d1", r, 2)
			rec.Deliver("d1", msg(2, "b"))
		}, WrongResume},
		{"a device that resumes from where it is not", func(rec *Recorder) {
			sent(rec, "a", "b", "c")
			rec.Resume("d1", r, 0)
			rec.Deliver("d1", msg(1, "a"))
			rec.Resume("d1", r, 2)
		}, WrongResume},
		{"shown before it was sent", func(rec *Recorder) {
			rec.Deliver("d1", msg(1, "a"))
			sent(rec, "a")
		}, Phantom},
		{"an unknown send that turned up", func(rec *Recorder) {
			rec.Send("c1", r, "user1", "a", "a").Unknown()
			rec.Deliver("d1", msg(1, "a"))
		}, ""},
		{"a retry under the same number", func(rec *Recorder) {
			rec.Send("c1", r, "user1", "a", "a").Unknown()
			rec.Send("c2", r, "user1", "b", "b").OK(2, 2)
			rec.Send("c2", r, "user1", "a", "a").OK(1, 1)
		}, ""},
		{"the same key with another text, refused", func(rec *Recorder) {
			sent(rec, "a")
			rec.Send("c1", r, "user1", "a", "other").Fail()
			rec.Deliver("d1", msg(1, "a"))
		}, ""},
		{"a retry under another number", func(rec *Recorder) {
			sent(rec, "a")
			rec.Send("c1", r, "user1", "a", "a").OK(2, 2)
		}, DuplicateKey},
		{"overlapping sends in any order", func(rec *Recorder) {
			a := rec.Send("c1", r, "user1", "a", "a")
			b := rec.Send("c2", r, "user2", "b", "b")
			b.OK(1, 1)
			a.OK(2, 2)
		}, ""},
		{"an edited message has another text", func(rec *Recorder) {
			sent(rec, "a")
			m := msg(1, "a")
			m.Text, m.Edited = "edited", 1
			rec.Deliver("d1", m)
		}, ""},
		{"a read that began before the ack", func(rec *Recorder) {
			q := rec.Ask("d1", r, "user1")
			sent(rec, "a")
			q.Answer(nil)
		}, ""},
		{"a read that began after the ack", func(rec *Recorder) {
			sent(rec, "a")
			rec.Ask("d1", r, "user1").Answer(nil)
		}, StaleRead},
		{"a later read that is older", func(rec *Recorder) {
			sent(rec, "a")
			rec.Ask("d2", r, "user2").Answer([]chat.Message{*msg(1, "a")})
			rec.Ask("d2", r, "user2").Answer(nil)
		}, StaleRead},
		{"a jump to the end of the numbers", func(rec *Recorder) {
			sent(rec, "a", "b")
			rec.Deliver("d1", msg(1, "a"))
			rec.Deliver("d1", msg(1<<62, "b"))
		}, Hole},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rec := NewRecorder()
			tt.do(rec)
			found := Check(rec.Records(), nil)
			if tt.want == "" && len(found) > 0 {
				t.Fatalf("accused: %v", found)
			}
			if tt.want != "" && !slices.ContainsFunc(found, func(v Violation) bool { return v.Anomaly == tt.want }) {
				t.Fatalf("found %v, want %s", found, tt.want)
			}
			for _, v := range found {
				if s := v.String(); !strings.Contains(s, string(v.Anomaly)) || !strings.Contains(s, "room1") {
					t.Errorf("String() = %q", s)
				}
			}
		})
	}
}

// A history of half a million records is checked while a test can wait.
func TestCheckIsLinear(t *testing.T) {
	rec := NewRecorder()
	const n = 50_000
	for i := 1; i <= n; i++ {
		key := "k" + strconv.Itoa(i)
		rec.Send("c1", "room1", "user1", key, key).OK(chat.Seq(i), chat.Rev(i))
		for _, d := range []string{"d1", "d2", "d3", "d4", "d5", "d6", "d7", "d8"} {
			rec.Deliver(d, &chat.Message{Room: "room1", Seq: chat.Seq(i), User: "user1", Key: key, Text: key})
		}
	}
	if found := Check(rec.Records(), nil); len(found) > 0 {
		t.Fatal(found[0])
	}
}

// What was accepted, and then neither answered nor refused, is in the store at the end.
func TestAcceptedIsStored(t *testing.T) {
	rec := NewRecorder()
	for _, key := range []string{"stored", "lost", "acked", "refused", "only sent"} {
		s := rec.Send("", "room", "ann", key, key)
		switch key {
		case "acked":
			s.Accepted()
			s.OK(2, 2)
		case "refused":
			s.Accepted()
			s.Fail()
		case "stored", "lost":
			s.Accepted()
			s.Unknown()
		}
	}
	message := func(seq chat.Seq, key string) Message {
		return Message{Seq: seq, User: "ann", Key: key, Body: Hash(key)}
	}
	found := Check(rec.Records(), Final{"room": {message(1, "stored"), message(2, "acked")}})
	if len(found) != 1 || found[0].Anomaly != LostAccepted || !strings.Contains(found[0].Text, "key lost of ann") {
		t.Errorf("%v", found)
	}
}
