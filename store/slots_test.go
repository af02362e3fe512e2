package store

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/roomtide/roomtide/chat"
)

func TestSlotSets(t *testing.T) {
	for text, want := range map[string]string{
		"0": "0", "1023": "1023", "0-1023": "0-1023", "5,3,4": "3-5", "0-99, 200": "0-99,200", "7-7": "7", "63,64,128": "63-64,128",
	} {
		s, err := ParseSlots(text)
		if err != nil || s.String() != want {
			t.Errorf("%q is %q, %v", text, s, err)
		}
	}
	for _, text := range []string{"", "1024", "-1", "5-3", "a", "1-", "1,,2", "0x1", "1-2-3"} {
		if s, err := ParseSlots(text); chat.KindOf(err) != chat.Invalid {
			t.Errorf("%q is %v, %v", text, s, err)
		}
	}
	var none *SlotSet
	if none.Has(3) {
		t.Error("a nil set has a slot")
	}
	rapid.Check(t, func(t *rapid.T) {
		slots := rapid.SliceOfDistinct(rapid.Uint16Max(chat.Slots-1), rapid.ID).Draw(t, "slots")
		slices.Sort(slots)
		var s, back SlotSet
		for _, n := range slots {
			s.Add(chat.Slot(n))
		}
		raw, err := json.Marshal(&s)
		if err == nil {
			err = json.Unmarshal(raw, &back)
		}
		var got []uint16
		for slot := range s.All() {
			got = append(got, uint16(slot))
		}
		var first SlotSet
		if len(slots) > 0 {
			first.Add(chat.Slot(slots[0]))
		}
		if s.Meets(&first) != (len(slots) > 0) || s.Meets(&SlotSet{}) {
			t.Fatalf("%v meets %v", &s, &first)
		}
		if err != nil || back != s || s.Len() != len(slots) || !slices.Equal(got, slots) {
			t.Fatalf("%v: %s, %v, %v", slots, raw, got, err)
		}
	})
}

func TestMoveRecords(t *testing.T) {
	m := &Move{
		ID: 7, From: "a", To: "b", Phase: MoveVerifying, Paused: true, Error: "e", Rate: 5, Started: 1, At: 9,
		After: RowKey{Table: TableReactions, ID: "r", Seq: 3, A: "x", B: "ünï"}, Rows: 4, HeldFor: 8,
	}
	m.Slots.Add(4)
	row := m.Encode()
	got, err := row.Decode()
	if err != nil || !reflect.DeepEqual(got, m) {
		t.Errorf("%+v, %v, want %+v", got, err, m)
	}
	for _, body := range []string{"", "{", `{"v":2}`, `{}`, `{"v":1,"Slots":"9999"}`} {
		if got, err := (MoveRow{1, []byte(body)}).Decode(); err == nil {
			t.Errorf("%q was read as %+v", body, got)
		}
	}
}

// mapped returns a Store of two shards that share the slots, and its control database.
func mapped(t *testing.T, a, b Driver) (*Store, *fakeControl) {
	t.Helper()
	c := &fakeControl{saved: NewMap([]string{"a", "b"})}
	s, err := New(c.saved, []Driver{a, b}, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

func TestAssign(t *testing.T) {
	s, c := mapped(t, &fakeDriver{}, &fakeDriver{})
	slots, _ := ParseSlots("0-9,500")
	if err := s.Assign(t.Context(), slots, 1, s.MapVersion()); err != nil {
		t.Fatal(err)
	}
	if s.ShardOf(0) != 1 || s.ShardOf(9) != 1 || s.ShardOf(500) != 1 || s.ShardOf(10) != 0 || s.MapVersion() != 2 || c.saved.Version != 2 {
		t.Errorf("%+v", c.saved)
	}

	// What was not saved is not in force; what was saved is, once it is read again.
	c.fail = chat.E(chat.Unavailable, "")
	if err := s.Assign(t.Context(), slots, 0, s.MapVersion()); chat.KindOf(err) != chat.Unavailable || s.ShardOf(0) != 1 || s.MapVersion() != 2 {
		t.Errorf("%v, %d", err, s.ShardOf(0))
	}
	saved := *c.saved
	saved.Version, saved.Owner[3] = 3, 0
	c.saved = &saved
	if err := s.Reload(t.Context()); err != nil || s.ShardOf(3) != 0 || s.ShardOf(4) != 1 || s.MapVersion() != 3 {
		t.Errorf("%v, %d", err, s.ShardOf(3))
	}
	// A map that was seen before it was saved once more cannot be replaced.
	seen := s.MapVersion()
	if err := s.Confirm(t.Context()); err == nil || seen != s.MapVersion() {
		t.Errorf("confirmed while nothing can be saved: %v", err)
	}
	c.fail = nil
	if err := s.Confirm(t.Context()); err != nil || s.MapVersion() != seen+1 || c.saved.Version != seen+1 {
		t.Errorf("%v, %d", err, s.MapVersion())
	}
	if err := s.Assign(t.Context(), slots, 0, seen); chat.KindOf(err) != chat.Conflict || s.ShardOf(0) != 1 {
		t.Errorf("%v, %d", err, s.ShardOf(0))
	}
	// By a map before its move, the shard that has the slot now does not own it.
	if !s.Owns(1, 500, 3) || s.Owns(1, 500, 1) || s.Owns(0, 500, 1) || s.Owns(0, 600, 0) == s.Owns(1, 600, 0) {
		t.Error("who owns slots by older maps")
	}
	// Shards that other nodes have added own nothing here, and stay in the map.
	more := *c.saved
	more.Version, more.Shards = more.Version+1, append(slices.Clone(more.Shards), "new")
	c.saved = &more
	if err := s.Confirm(t.Context()); err != nil || len(c.saved.Shards) != 3 || c.saved.Version != seen+3 {
		t.Errorf("%v, %+v", err, c.saved.Shards)
	}
	more = *c.saved
	more.Version, more.Owner[7] = more.Version+1, 2
	c.saved = &more
	if err := s.Reload(t.Context()); chat.KindOf(err) != chat.Conflict || s.MapVersion() != seen+3 {
		t.Errorf("%v", err)
	}
	c.saved = NewMap([]string{"a", "c"})
	if err := s.Reload(t.Context()); chat.KindOf(err) != chat.Conflict || s.MapVersion() != seen+3 {
		t.Errorf("%v", err)
	}
}

// listDriver has rooms of every slot, whichever shard owns them.
type listDriver struct {
	fakeDriver
	rooms []chat.Room // ascending
}

func (d *listDriver) ListRooms(_ context.Context, f RoomFilter) ([]chat.Room, error) {
	var page []chat.Room
	for _, r := range d.rooms {
		if r.ID > f.After.Room && len(page) < f.Limit {
			page = append(page, r)
		}
	}
	return page, nil
}

// Two shards have the same rooms, as while they move: each is listed once, and pages
// are full.
func TestListsPassOverCopies(t *testing.T) {
	d := &listDriver{}
	for c := 'a'; c <= 'z'; c++ {
		for n := '0'; n <= '9'; n++ {
			d.rooms = append(d.rooms, chat.Room{ID: chat.RoomID([]rune{c, n})})
		}
	}
	s, _ := mapped(t, d, d)
	var got []chat.Room
	for f := (RoomFilter{Limit: 7}); ; {
		page, err := s.ListRooms(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, page...)
		if len(page) < f.Limit {
			break
		}
		f.After = CursorOf(&page[len(page)-1])
	}
	if !reflect.DeepEqual(got, d.rooms) {
		t.Errorf("%d rooms are listed of %d", len(got), len(d.rooms))
	}
}
