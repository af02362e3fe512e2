package sqldb

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

func TestSQL(t *testing.T) {
	const text = "SELECT x FROM {rooms} r JOIN {messages} m ON r.a = m.a WHERE b = ? AND c IN (?, ?)"
	for _, c := range []struct {
		d    Dialect
		want string
	}{
		{Dialect{Prefix: "p_"}, "SELECT x FROM p_rooms r JOIN p_messages m ON r.a = m.a WHERE b = ? AND c IN (?, ?)"},
		{Dialect{Prefix: "q", Numbered: true}, "SELECT x FROM qrooms r JOIN qmessages m ON r.a = m.a WHERE b = $1 AND c IN ($2, $3)"},
	} {
		if got := c.d.SQL(text); got != c.want {
			t.Errorf("%s", got)
		}
	}
}

func TestBehind(t *testing.T) {
	for _, c := range []struct {
		values bool
		text   string
		args   []any
	}{
		{true, "(a, b, c) > (?, ?, ?)", []any{int64(1), "x", int64(3)}},
		{false, "(a > ? OR (a = ? AND (b > ? OR (b = ? AND (c > ?)))))", []any{int64(1), int64(1), "x", "x", int64(3)}},
	} {
		d := Dialect{RowValues: c.values}
		text, args := d.behind([]string{"a", "b", "c"}, int64(1), "x", int64(3))
		if text != c.text || !reflect.DeepEqual(args, c.args) {
			t.Errorf("%s %v", text, args)
		}
	}
}

// TestPick asks for each key once, in statements of a bounded size.
func TestPick(t *testing.T) {
	var ids []chat.RoomID
	for i := range 2*pickAtOnce + 1 {
		ids = append(ids, chat.RoomID(fmt.Sprint("room ", i)), chat.RoomID(fmt.Sprint("room ", i)))
	}
	args := 0
	d := Dialect{Pick: func(columns, from string, key []Column, keys [][]any) (string, []any) {
		return "SELECT " + columns + " FROM " + from + " WHERE " + AnyOf(key, len(keys)), slices.Concat(keys...)
	}}
	qs := pick(&d, "room_id", "{rooms}", roomKey, ids, roomArgs, func(s Scanner) (chat.RoomID, error) {
		var id chat.RoomID
		return id, s.Scan((*string)(&id))
	})
	for _, q := range qs {
		if n := strings.Count(q.Text, "?"); n != len(q.Args) || n > 2*pickAtOnce {
			t.Errorf("%d placeholders, %d arguments", n, len(q.Args))
		}
		args += len(q.Args)
	}
	if len(qs) != 3 || args != 2*(2*pickAtOnce+1) {
		t.Errorf("%d questions with %d arguments", len(qs), args)
	}
	if err := qs[0].Row(row{"room 7"}); err != nil {
		t.Error(err)
	}
	if err := qs[0].Row(row{"another"}); err != errMixed {
		t.Errorf("a row that was not asked for: %v", err)
	}
}

// row is a Scanner of texts.
type row []string

func (r row) Scan(dest ...any) error {
	for i, d := range dest {
		*d.(*string) = r[i]
	}
	return nil
}

func TestTables(t *testing.T) {
	message := chat.Message{Room: "r", Seq: 1, Rev: 1, Created: 1}
	for _, c := range []struct {
		table  *Table
		values []any
	}{
		{&Rooms, RoomValues(nil, &chat.Room{})}, {&Members, MemberValues(nil, &chat.Member{})},
		{&Messages, MessageValues(nil, &message)}, {&Reactions, ReactionValues(nil, &store.ReactionChange{})},
		{&Online, OnlineValues(nil, &store.OnlineChange{})}, {&UserRooms, UserRoomValues(nil, &store.UserRoom{})},
		{&Users, UserValues(nil, &chat.User{})}, {&Access, AccessValues(nil, &chat.Access{})},
		{&Devices, DeviceValues(nil, &chat.Device{})}, {&PushSettings, PushSettingsValues(nil, &chat.PushSettings{})},
		{&PushJobs, PushJobValues(nil, &store.PushJob{})}, {&PushOwners, PushOwnerValues(nil, &store.PushOwner{})},
		{&UserNodes, UserNodesValues(nil, &store.UserNodes{})},
	} {
		if len(c.values) != len(c.table.Columns) {
			t.Errorf("%s: %d values for %d columns", c.table.Name, len(c.values), len(c.table.Columns))
			continue
		}
		for i, col := range c.table.Columns {
			kind := map[ColumnKind]string{Int: "int64", ID: "string", Text: "string", Bytes: "[]uint8"}[col.Kind]
			if v := c.values[i]; v == nil && !col.Null || v != nil && reflect.TypeOf(v).String() != kind {
				t.Errorf("%s.%s: %T", c.table.Name, col.Name, v)
			}
		}
	}
}

func TestMasked(t *testing.T) {
	for dsn, want := range map[string]string{
		"mysql://u:hunter2@h:3306/chat":           "mysql://u:xxxxx@h:3306/chat",
		"postgres://h/chat?password=hunter2&x=1":  "postgres://h/chat?password=xxxxx&x=1",
		"mysql://u:hunter2%zz@h/chat":             "mysql://…",
		"u:hunter2%zz":                            "…",
		"postgres://u@h/chat?sslpassword=hunter2": "postgres://u@h/chat?sslpassword=xxxxx",
	} {
		if got := Masked(dsn); got != want {
			t.Errorf("%s is shown as %s", dsn, got)
		}
	}
}

func TestRequireDurable(t *testing.T) {
	o, err := Options{Name: "shop", RequireDurable: true}.WithDefaults()
	if err != nil {
		t.Fatal(err)
	}
	warning := Finding{Setting: "a", Value: "1", Risk: "slow", Fix: "set it"}
	if err := o.Judge([]Finding{warning}); err != nil {
		t.Error(err)
	}
	warning.Loses = true
	if err := o.Judge([]Finding{warning}); chat.KindOf(err) != chat.Invalid || !strings.Contains(err.Error(), "a is 1: slow; set it") {
		t.Error(err)
	}
}
