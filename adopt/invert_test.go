package adopt

import (
	"testing"
	"time"

	"github.com/roomtide/roomtide/adopt/mapping"
	"github.com/roomtide/roomtide/adopt/source"
)

func columns() *mapping.Mapping {
	m := &mapping.Mapping{Source: mapping.Source{Name: "shop", TZ: "Europe/Berlin"}}
	m.Message = mapping.Message{From: mapping.From{From: "messages m"}, Room: "m.room_id", User: "user_id", Text: "`text`", Time: "created_at", Unit: "sql"}
	return m
}

// What can be written is told apart from what can only be read.
func TestInvert(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*mapping.Mapping)
		ok     bool
	}{
		"columns":                 {func(*mapping.Mapping) {}, true},
		"a room of two":           {func(m *mapping.Mapping) { m.Message.Room = "dm(to_id, user_id)" }, true},
		"a room of two others":    {func(m *mapping.Mapping) { m.Message.Room = "dm(a, b)" }, false},
		"a room that is computed": {func(m *mapping.Mapping) { m.Message.Room = "CONCAT('r', room_id)" }, false},
		"an author of a join":     {func(m *mapping.Mapping) { m.Message.User = "COALESCE(user_id, 'gone')" }, false},
		"an author of another table": {func(m *mapping.Mapping) {
			m.Message.Join, m.Message.User, m.Message.Text, m.Message.Time = "JOIN users u ON u.id = m.user_id", "u.name", "m.text", "m.created_at"
		}, false},
		"another table beside": {func(m *mapping.Mapping) {
			m.Message.Join, m.Message.User, m.Message.Text, m.Message.Time = "JOIN rooms r ON r.id = m.room_id", "m.user_id", "m.`text`", "m.created_at"
		}, true},
		"a column of some table":   {func(m *mapping.Mapping) { m.Message.Join = "JOIN rooms r ON r.id = m.room_id" }, false},
		"deleted by a value":       {func(m *mapping.Mapping) { m.Message.Deleted = "status = 2" }, true},
		"deleted at a time":        {func(m *mapping.Mapping) { m.Message.Deleted = "deleted_at IS NOT NULL" }, true},
		"deleted by an expression": {func(m *mapping.Mapping) { m.Message.Deleted = "a AND b" }, false},
		"entities":                 {func(m *mapping.Mapping) { m.Message.Decode = []string{"repair_utf8", "entities"} }, true},
		"serialized":               {func(m *mapping.Mapping) { m.Message.Decode = []string{"phpser"} }, false},
		"off":                      {func(m *mapping.Mapping) { m.Mirror.Off = true }, false},
	} {
		m := columns()
		c.change(m)
		if _, err := invert(m); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A text is written so that it is read back as it was, and a time in the zone of the old chat.
func TestWrittenAsRead(t *testing.T) {
	const text = `<b>"it's" & fine</b>`
	for _, decode := range [][]string{nil, {"entities"}, {"slashes"}, {"slashes", "entities"}, {"repair_utf8"}} {
		m := columns()
		m.Message.Decode = decode
		in, err := invert(m)
		if err != nil {
			t.Fatal(err)
		}
		if body, exact := in.body(text); !exact {
			t.Errorf("%v: written as %s", decode, body)
		}
	}
	in, err := invert(columns())
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 7, 1, 10, 0, 0, 0, time.UTC)
	if got := in.at(at); got != "2026-07-01 12:00:00" {
		t.Errorf("%v", got)
	}
	in.unit = "1e-4"
	if got := in.at(at); got != at.UnixMicro()/100 {
		t.Errorf("%v", got)
	}
	if other, err := in.other("dm-9-10", "10"); err != nil || other != "9" {
		t.Errorf("%q, %v", other, err)
	}
	if _, err := in.other("dm-9-10", "1"); err == nil {
		t.Error("a user who is not in the room")
	}
}

// Keys are in the order that their table has them in, and long ones stay apart.
func TestKeys(t *testing.T) {
	state, err := OpenState(t.Context(), t.TempDir()+"/adopt.state")
	if err != nil {
		t.Fatal(err)
	}
	defer state.Close()
	if err := state.addDirty(t.Context(), []source.Key{"10", "9", "x", "010"}); err != nil {
		t.Fatal(err)
	}
	keys, err := state.takeDirty(t.Context(), 10)
	if err != nil || len(keys) != 4 || keys[0] != "9" || keys[1] != "10" {
		t.Errorf("%v, %v", keys, err)
	}
	long := source.Key(make([]byte, 300))
	if a, b := messageKey("shop", long), messageKey("shop", long+"x"); a == b || len(a) > keyBytes {
		t.Errorf("%q and %q", a, b)
	}
	if h := hashOf("r", "u", "t", nil, false); h != hashOf("r", "u", "t", map[string]string{}, false) {
		t.Error("no data and empty data are the same")
	}
}
