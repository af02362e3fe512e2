package store

import (
	"encoding/hex"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/chat"
)

// everything is an entry with all there can be in one.
func everything() Entry {
	e := Entry{Position: 7, Time: 1_700_000_000_001, Rooms: []RoomSpan{
		{Room: "r", From: 5, To: 4, Seq: 130, Members: []chat.Member{
			{Room: "r", User: "ann", Name: "Ann <&>", Role: chat.RoleOwner, Rev: 7, Since: 1_700_000_000_000},
			{Room: "r", User: "bob", Role: chat.RoleNone, Rev: 8, Since: -1},
		}, Was: []chat.Role{chat.RoleNone, chat.RoleBanned}},
		{Room: "ünï", From: 1, To: 0}, // made, and nothing happened in it
	}, Users: []chat.UserID{"ann", "ünï"}}
	r := &e.Rooms[0]
	r.Add(chat.EventMessage, 129)
	r.Add(chat.EventMessage, 130)
	r.Add(chat.EventMember, 0)
	r.Add(chat.EventMember, 0)
	r.Add(chat.EventReacted, 3)
	r.Add(chat.EventReacted, 3)
	r.Add(chat.EventDeleted, 4)
	return e
}

// golden is the form in which entries are stored: one that changes needs another
// version.
const golden = "04" + "82a0abfef962" + "02" +
	"0172" + "05" + "07" + "8201" +
	"05" + "01028101" + "050200" + "040103" + "040103" + "030104" +
	"02" + "03616e6e" + "07416e6e203c263e" + "03" + "07" + "80a0abfef962" + "01" +
	"03626f62" + "00" + "00" + "08" + "01" + "05" +
	"05c3bc6ec3af" + "01" + "00" + "00" + "00" + "00" +
	"02" + "03616e6e" + "05c3bc6ec3af"

// goldenBefore is the form of version 2, which is that of version 3 up to the keys.
const goldenBefore = "02" + "02" +
	"0172" + "05" + "07" + "8201" +
	"05" + "01028101" + "050200" + "040103" + "040103" + "030104" +
	"02" + "03616e6e" + "07416e6e203c263e" + "03" + "07" + "80a0abfef962" +
	"03626f62" + "00" + "00" + "08" + "01" +
	"05c3bc6ec3af" + "01" + "00" + "00" + "00" + "00" +
	"02" + "03616e6e" + "05c3bc6ec3af"

func TestEntryGolden(t *testing.T) {
	e := everything()
	if got, want := hex.EncodeToString(e.Encode()), golden+"00"; got != want {
		t.Errorf("the entry is stored as\n%s, want\n%s", got, want)
	}
	raw, err := hex.DecodeString(golden + "00")
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeEntry(7, raw)
	if err != nil || !reflect.DeepEqual(got, e) {
		t.Errorf("read\n%+v\n%v, want\n%+v", got, err, e)
	}
}

// everyKey is a key of each table, and some of the same room.
func everyKey() []RowKey {
	return []RowKey{
		{Table: TableRooms, ID: "r"}, {Table: TableMembers, ID: "r", A: "ann"}, {Table: TableMessages, ID: "r", Seq: 300},
		{Table: TableReactions, ID: "r", Seq: 300, A: "x", B: "bob"}, {Table: TableReactions, ID: "r", Seq: 300},
		{Table: TableOnline, ID: "q", A: "ann", B: "n1"}, {Table: TableUserRooms, ID: "ann", A: "r"},
		{Table: TableUsers, ID: "ann"}, {Table: TableAccess, ID: "ann"},
		{Table: TableDevices, ID: "ann", A: "phone"}, {Table: TablePushSettings, ID: "ann"}, {Table: TablePushJobs, ID: "ann", A: "room:r", B: "phone"},
		{Table: TablePushOwners, ID: "digest"}, {Table: TableUserNodes, ID: "ann"},
	}
}

// goldenKeys is what follows in an entry with keys.
const goldenKeys = "0e" + "01" + "0172" + "82" + "03616e6e" + "83" + "ac02" + "84" + "ac02" + "0178" + "03626f62" +
	"84" + "ac02" + "00" + "00" + "05" + "0171" + "03616e6e" + "026e31" + "06" + "03616e6e" + "0172" + "87" + "88" +
	"89" + "0570686f6e65" + "8a" + "00" + "8b" + "06726f6f6d3a72" + "0570686f6e65" + "0c" + "06646967657374" + "0d" + "03616e6e"

func TestEntryWithKeysGolden(t *testing.T) {
	e := everything()
	e.Keys = everyKey()
	want := golden + goldenKeys
	if got := hex.EncodeToString(e.Encode()); got != want {
		t.Errorf("the entry is stored as\n%s, want\n%s", got, want)
	}
	raw := e.Encode()
	if got, err := DecodeEntry(7, raw); err != nil || !reflect.DeepEqual(got, e) {
		t.Errorf("read\n%+v\n%v, want\n%+v", got, err, e)
	}
	for n := len(golden) / 2; n < len(raw); n++ {
		if got, err := DecodeEntry(7, raw[:n]); err == nil {
			t.Errorf("cut off after %d it was read as %+v", n, got)
		}
	}
	for name, bad := range map[string]string{"no table": "0100", "table 14": "010e0172"} {
		raw, _ := hex.DecodeString(golden + bad)
		if got, err := DecodeEntry(7, raw); err == nil {
			t.Errorf("%s was read as %+v", name, got)
		}
	}
}

// before is everything as entries had it before version 4.
func before() Entry {
	e := everything()
	e.Time, e.Rooms[0].Was = 0, nil
	return e
}

// Entries of versions 2 and 3 have neither a time nor roles before.
func TestEntriesBeforeVersion4(t *testing.T) {
	want := before()
	for range 2 {
		raw, err := hex.DecodeString(goldenBefore)
		if len(want.Keys) > 0 {
			raw, err = hex.DecodeString("03" + goldenBefore[2:] + goldenKeys)
		}
		if err != nil {
			t.Fatal(err)
		}
		if got, err := DecodeEntry(7, raw); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("read\n%+v\n%v, want\n%+v", got, err, want)
		}
		again, err := DecodeEntry(7, want.Encode())
		if err != nil || !reflect.DeepEqual(again, want) {
			t.Errorf("written again it is %+v, %v", again, err)
		}
		want.Keys = everyKey()
	}
	none, _ := hex.DecodeString("03" + goldenBefore[2:] + "00")
	if got, err := DecodeEntry(7, none); err == nil {
		t.Errorf("version 3 without keys was read as %+v", got)
	}
}

func TestEntryWithOnwardChanges(t *testing.T) {
	const onward = "02" + "0101" + "03020304"
	for _, keys := range []bool{false, true} {
		e, want := everything(), golden+"00"+onward
		e.Onward = [][]byte{{1}, {2, 3, 4}}
		if keys {
			e.Keys, want = everyKey(), golden+goldenKeys+onward
		}
		raw := e.Encode()
		if got := hex.EncodeToString(raw); got != want {
			t.Errorf("the entry is stored as\n%s, want\n%s", got, want)
		}
		if got, err := DecodeEntry(7, raw); err != nil || !reflect.DeepEqual(got, e) {
			t.Errorf("read\n%+v\n%v, want\n%+v", got, err, e)
		}
	}
	for _, bad := range []string{onward + "00", "00" + "00"} {
		raw, _ := hex.DecodeString(golden + "00" + bad)
		if got, err := DecodeEntry(7, raw); err == nil {
			t.Errorf("read as %+v", got)
		}
	}
}

func TestEntryWithFacts(t *testing.T) {
	const facts = "03" + "0103616e6e" + "0203616e6e" + "0303616e6e" + "0172" + "07" + "00" + "0170" + "0366636d" + "0178" + "03"
	e := everything()
	e.Facts = []UserFact{{Kind: FactOnline, User: "ann"}, {Kind: FactOffline, User: "ann"}, {Kind: FactPushDead, User: "ann",
		Push: &chat.DeadPush{User: "ann", Room: "r", Seq: 7, Device: "p", Provider: "fcm", Reason: "x", Attempts: 3}}}
	for _, onward := range []string{"00", "010101"} {
		if onward != "00" {
			e.Onward = [][]byte{{1}}
		}
		raw := e.Encode()
		if got := hex.EncodeToString(raw); got != golden+"00"+onward+facts {
			t.Errorf("the entry is stored as\n%s, want\n%s", got, golden+"00"+onward+facts)
		}
		if got, err := DecodeEntry(7, raw); err != nil || !reflect.DeepEqual(got, e) {
			t.Errorf("read\n%+v\n%v, want\n%+v", got, err, e)
		}
		for n := len(golden+onward)/2 + 2; n < len(raw); n++ {
			if got, err := DecodeEntry(7, raw[:n]); err == nil {
				t.Errorf("cut off after %d it was read as %+v", n, got)
			}
		}
	}
	for _, bad := range []string{"0000" + "01" + "0403616e6e", "0000" + "00", "0000" + facts + "00"} {
		raw, _ := hex.DecodeString(golden + bad)
		if got, err := DecodeEntry(7, raw); err == nil {
			t.Errorf("read as %+v", got)
		}
	}
}

func TestEntryWithFlips(t *testing.T) {
	const none = "000000000000000000000000000000"
	const flips = "02" + "01" + "80808080808080808001" + "0000000000000000000000000000" + "0161" + "00" + "00" + none + "0162" + "07"
	e := everything()
	e.Flips = []Flip{{Slots: SlotSet{1, 1 << 63}, From: "a"}, {From: "b", Position: 7}}
	raw := e.Encode()
	if got, want := hex.EncodeToString(raw), golden+"00"+"00"+"00"+flips; got != want {
		t.Errorf("the entry is stored as\n%s, want\n%s", got, want)
	}
	if got, err := DecodeEntry(7, raw); err != nil || !reflect.DeepEqual(got, e) || !got.Leaves() {
		t.Errorf("read\n%+v\n%v, want\n%+v", got, err, e)
	}
	for n := len(golden)/2 + 2; n < len(raw); n++ {
		if got, err := DecodeEntry(7, raw[:n]); err == nil {
			t.Errorf("cut off after %d it was read as %+v", n, got)
		}
	}
	if got, err := DecodeEntry(7, append(raw, 0)); err == nil {
		t.Errorf("with more behind it was read as %+v", got)
	}
}

// An entry of version 1 is the same without the users.
func TestEntryOfVersion1(t *testing.T) {
	raw, err := hex.DecodeString("01" + goldenBefore[2:len(goldenBefore)-2*11])
	if err != nil {
		t.Fatal(err)
	}
	want := before()
	want.Users = nil
	got, err := DecodeEntry(7, raw)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read\n%+v\n%v, want\n%+v", got, err, want)
	}
}

func TestChangesOfASpan(t *testing.T) {
	e := everything()
	got := slices.Collect(e.Rooms[0].Changes())
	want := []Change{
		{5, chat.EventMessage, 129, false}, {6, chat.EventMessage, 130, false}, {7, chat.EventMember, 0, false}, {8, chat.EventMember, 0, false},
		{9, chat.EventReacted, 3, false}, {10, chat.EventReacted, 3, false}, {11, chat.EventDeleted, 4, false},
	}
	if !slices.Equal(got, want) || e.Rooms[0].To != 11 || len(e.Rooms[0].Runs) != 5 {
		t.Errorf("%+v, want %+v", got, want)
	}
	for c := range e.Rooms[0].Changes() {
		if c.Rev > 6 {
			t.Fatal("went on after a break")
		}
		if c.Rev == 6 {
			break
		}
	}
}

// Entries that were written before version 1.
func TestOldEntries(t *testing.T) {
	for body, want := range map[string][]RoomSpan{
		`{}`:                            nil,
		`{"r":[],"m":[]}`:               nil,
		`{"r":[{"r":"a","f":1,"t":0}]}`: {{Room: "a", From: 1, To: 0}},
		`{"r":[{"r":"a","f":2,"t":9,"s":4},{"r":"b","f":1,"t":1}],"m":[{"r":"b","u":"ann","n":"Ann","o":3,"v":1,"s":5}]}`: {
			{Room: "a", From: 2, To: 9, Seq: 4},
			{Room: "b", From: 1, To: 1, Members: []chat.Member{{Room: "b", User: "ann", Name: "Ann", Role: chat.RoleOwner, Rev: 1, Since: 5}}},
		},
	} {
		got, err := DecodeEntry(3, []byte(body))
		if err != nil || !reflect.DeepEqual(got, Entry{Position: 3, Rooms: want}) {
			t.Errorf("%s is %+v, %v", body, got, err)
		}
	}
}

func TestEntriesThatCannotBeRead(t *testing.T) {
	whole := func() []byte { e := everything(); return e.Encode() }()
	bad := map[string][]byte{
		"nothing":              nil,
		"another version":      {2, 0},
		"text":                 []byte("hello"),
		"half of JSON":         []byte(`{"r":[`),
		"a member of no room":  []byte(`{"m":[{"r":"b","u":"ann"}]}`),
		"more after the end":   append(slices.Clone(whole), 0),
		"a number of 65 bits":  {1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 127},
		"a list without items": {1, 200, 1},
		"runs of fewer revs":   {1, 1, 1, 'r', 1, 2, 0, 1, 1, 1, 1, 0},
		"runs of more revs":    {1, 1, 1, 'r', 1, 2, 0, 1, 1, 3, 1, 0},
		"an empty run":         {1, 1, 1, 'r', 1, 0, 0, 1, 1, 0, 1, 0},
		"a role of one alone":  {4, 0, 1, 1, 'r', 1, 0, 0, 0, 2, 1, 'a', 0, 1, 1, 0, 1, 1, 'b', 0, 1, 1, 0, 0, 0, 0},
	}
	for n := range whole {
		bad["cut off after "+strings.Repeat("i", n)] = whole[:n]
	}
	for name, body := range bad {
		if e, err := DecodeEntry(1, body); err == nil {
			t.Errorf("%s was read as %+v", name, e)
		}
	}
}

func FuzzDecodeEntry(f *testing.F) {
	e := everything()
	f.Add(e.Encode())
	e.Keys = everyKey()
	f.Add(e.Encode())
	e.Flips = []Flip{{Slots: SlotSet{1, 3: 1 << 63}, From: "a"}, {From: "b", Position: 7}}
	f.Add(e.Encode())
	f.Add([]byte(`{"r":[{"r":"b","f":1,"t":1}],"m":[{"r":"b","u":"ann","n":"Ann","o":3,"v":1,"s":5}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := DecodeEntry(1, body)
		if err != nil || body[0] < usersVersion || body[0] > entryVersion {
			return
		}
		again, err := DecodeEntry(1, e.Encode())
		if err != nil || !reflect.DeepEqual(e, again) {
			t.Fatalf("read %+v, and written and read again %+v, %v", e, again, err)
		}
		for i := range e.Rooms {
			if s := &e.Rooms[i]; len(s.Runs) > 0 {
				n := 0
				for _, r := range s.Runs {
					n += r.Count
				}
				if chat.Rev(n) != s.To-s.From+1 {
					t.Fatalf("runs of %d revs, the span has %d..%d", n, s.From, s.To)
				}
			}
		}
	})
}

func BenchmarkEncodeEntry(b *testing.B) {
	var e Entry
	for range 50 {
		s := RoomSpan{Room: "a room with a name", From: 100_000, To: 99_999, Seq: 90_009}
		for i := range 10 {
			s.Add(chat.EventMessage, chat.Seq(90_000+i))
		}
		e.Rooms = append(e.Rooms, s)
	}
	b.ReportAllocs()
	for b.Loop() {
		e.Encode()
	}
	b.ReportMetric(float64(len(e.Encode())), "bytes")
}

// What is of the past is told apart, and an earlier version takes it for a kind that it does
// not know.
func TestRunsOfThePast(t *testing.T) {
	s := RoomSpan{Room: "r", From: 1}
	s.Add(chat.EventMessage, 1)
	s.AddHistory(chat.EventMessage, 2)
	s.AddHistory(chat.EventMessage, 3)
	s.Add(chat.EventMessage, 4)
	e := Entry{Position: 9, Rooms: []RoomSpan{s}}
	got, err := DecodeEntry(9, e.Encode())
	if err != nil || !reflect.DeepEqual(got, e) || len(s.Runs) != 3 {
		t.Fatalf("%+v came back as %+v (%v)", e, got, err)
	}
	want := []Change{{1, chat.EventMessage, 1, false}, {2, chat.EventMessage, 2, true}, {3, chat.EventMessage, 3, true}, {4, chat.EventMessage, 4, false}}
	if changes := slices.Collect(got.Rooms[0].Changes()); !slices.Equal(changes, want) {
		t.Errorf("%+v, want %+v", changes, want)
	}
}
