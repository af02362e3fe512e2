package change_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

func ptr[T any](v T) *T { return &v }

// golden is the bytes of a change of each kind. They are in queues and logs and
// on their way between nodes of two versions: a line is only ever added.
var golden = []struct {
	change change.Change
	hex    string
}{
	{&change.Nop{At: 300}, "0a0308ac02"},
	{&change.Send{Room: "r", User: "ann", Server: true, Draft: chat.Draft{Text: "hi", Key: "k", ReplyTo: 7, Data: []byte("{}")}},
		"12170a01721203616e6e1801220268692a016b30073a027b7d"},
	{&change.Edit{Room: "r", Seq: 7, User: "ann", Server: true, Text: "hi", Data: []byte("{}")}, "1a140a017210071a03616e6e20012a02686932027b7d"},
	{&change.Delete{Room: "r", Seq: 7, User: "ann", Server: true}, "220c0a017210071a03616e6e2001"},
	{&change.React{Room: "r", Seq: 7, User: "ann", Server: true, Emoji: "+", On: true}, "2a110a017210071a03616e6e20012a012b3001"},
	{&change.Join{Room: "r", User: "ann", Name: "Ann", Granted: true, Create: &change.RoomSpec{Title: "R", Open: true, ReadOnly: true}, Own: true},
		"321a0a01721203616e6e1a03416e6e20012a070a0152100118013001"},
	{&change.Leave{Room: "r", User: "ann"}, "3a080a01721203616e6e"},
	{&change.SetMember{Room: "r", By: "ann", Server: true, User: "bob", Name: ptr("Bob"), Role: chat.RoleBanned}, "42160a01721203616e6e18012203626f622a03426f623004"},
	{&change.SetMember{Room: "r", By: "ann", User: "bob", Unban: true}, "420f0a01721203616e6e2203626f625801"},
	{&change.SetRoom{Room: "r", By: "ann", Server: true, Create: &change.RoomSpec{Open: true}, Title: ptr(""), Open: ptr(false), ReadOnly: ptr(true)},
		"4a140a01721203616e6e1801220210012a0030003801"},
	{&change.Read{User: "ann", Room: "r", Seq: 7}, "520a0a03616e6e1201721807"},
	{&change.Project{Member: chat.Member{Room: "r", User: "ann", Name: "Ann", Role: chat.RoleMember, Rev: 3, Since: 1000}, Seq: 7},
		"5a180a140a01721203616e6e1a03416e6e2001280330e8071007"},
	{&change.Project{Member: chat.Member{Room: "r", User: "ann"}, Floor: 9}, "5a0c0a080a01721203616e6e1809"},
	{&change.Online{At: 5, Changes: []change.OnlineChange{{Room: "r", User: "ann", Node: "n", On: true}, {Node: "n"}}},
		"62160805120d0a01721203616e6e1a016e200112031a016e"},
	{&change.Cursors{At: 5, Cursors: []change.Cursor{{Consumer: "c", Position: 9}}}, "6a09080512050a01631009"},
	{&change.SetUser{User: "ann", Name: ptr("Ann"), Avatar: ptr(""), Data: ptr("{}"), At: 1000, ByToken: true}, "72150a03616e6e1203416e6e1a0022027b7d28e8073001"},
	{&change.Rename{Room: "r", User: "ann", Name: "Ann", Avatar: "/a.png"}, "7a150a01721203616e6e1a03416e6e22062f612e706e67"},
	{&change.Send{Room: "r", User: "ann", Server: true, Draft: chat.Draft{Text: "hi"}, Name: "Ann", Known: "A."}, "12170a01721203616e6e1801220268694203416e6e4a02412e"},
	{&change.Send{Room: "r", User: "ann", Draft: chat.Draft{Text: "hi", Mentions: []chat.UserID{"bob", "c"}}}, "12140a01721203616e6e220268695203626f62520163"},
	{&change.Join{Room: "r", User: "ann", Name: "Ann", Avatar: "/a.png", Rename: true}, "32170a01721203616e6e1a03416e6e3a062f612e706e674001"},
	{&change.SetMember{Room: "r", Server: true, User: "bob", Name: ptr(""), Role: chat.RoleMuted, Data: ptr(""), Until: 1000, Known: "Bob", Avatar: "/b.png"}, "42200a017218012203626f622a0030053a0040e8074a03426f6252062f622e706e67"},
	{&change.SetRoom{Room: "r", Server: true, Topic: ptr("t"), Avatar: ptr("/r.png"), Data: ptr("{}")}, "4a140a017218016a017472062f722e706e677a027b7d"},
	{&change.DeleteRoom{Room: "r", By: "ann", Server: true}, "82010a0a01721203616e6e1801"},
	{&change.RemoveRoom{Room: "r"}, "8a01030a0172"},
	{&change.SetRoom{Room: "r", Create: &change.RoomSpec{Archived: true}, Archived: ptr(false)}, "4a090a0172220220014000"},
	{&change.Access{User: "ann", NotBefore: 9, Claim: true}, "9201090a03616e6e10091801"},
	{&change.Import{Room: "r", Create: &change.RoomSpec{Open: true}, History: true, Messages: []change.Imported{
		{User: "ann", Name: "Ann", Key: "k", Text: "hi", Data: []byte("{}"), ReplyTo: 7, Time: 1000, Edited: 2000}, {Seq: 8, Deleted: true},
	}}, "ca012e0a0172120210011801221d1203616e6e1a03416e6e22016b2a02686932027b7d380740e80748d00f220408085001"},
	{&change.Import{Room: "r", Messages: []change.Imported{{User: "ann", Key: "k"}, {User: "bob", Key: "l", ReplyIn: 1}}}, "ca01190a017222081203616e6e22016b220a1203626f6222016c5801"},
	{&change.SetMember{Room: "r", Server: true, User: "bob", Role: chat.RoleMember, History: true}, "420e0a017218012203626f6230016001"},
	{&change.RegisterDevice{User: "ann", Device: "d", Provider: "fcm", Address: "{}", At: 1000}, "9a01140a03616e6e1201641a0366636d22027b7d28e807"},
	{&change.RegisterDevice{User: "ann", Device: "d", Provider: "fcm", Address: "{}", At: 1000, Language: "zh"}, "9a01180a03616e6e1201641a0366636d22027b7d28e80732027a68"},
	{&change.Connected{User: "ann", Node: "n1", On: true}, "d2010b0a03616e6e12026e311801"},
	{&change.DropDevice{User: "ann", Device: "d", Digest: "x", Before: 1000}, "a2010e0a03616e6e1201641a017820e807"},
	{&change.ClaimAddress{Digest: "x", User: "ann", Device: "d", At: 1000, Gone: true}, "aa01100a01781203616e6e1a016420e8072801"},
	{&change.SetPush{User: "ann", Room: "r", Level: ptr(chat.PushDefault), MuteUntil: ptr(int64(1000))}, "b2010d0a03616e6e120172180020e807"},
	{&change.SetPush{User: "ann", QuietFrom: ptr(1320), QuietTo: ptr(0), TimeZone: ptr("UTC"), HideContent: ptr(false)}, "b201110a03616e6e28a80a30003a035554434000"},
	{&change.Notify{User: "ann", Room: "r", Seq: 7, Mention: true, Delay: 3000, Life: 60000}, "ba01130a03616e6e1201721807200130b81738e0d403"},
	{&change.Notify{User: "ann", Room: "r", Seq: 7, Mention: true, Edited: true, Delay: 3000, Life: 60000}, "ba01150a03616e6e1201721807200130b81738e0d4034001"},
	{&change.Notify{User: "ann", Notice: &chat.Notice{Name: "n", Title: "t", Text: "x", Data: "{}"}, Life: 60000}, "ba01180a03616e6e2a0d0a016e1201741a017822027b7d38e0d403"},
	{&change.Pushed{User: "ann", Topic: "room:r", Device: "d", Made: 9, Outcome: change.PushLater, Due: 1000, Expires: 2000, Attempts: 1, Reason: "network"}, "c201250a03616e6e1206726f6f6d3a721a01642009280230e80738d00f40014a076e6574776f726b"},
}

func TestGolden(t *testing.T) {
	seen := map[change.Kind]bool{}
	for _, g := range golden {
		k := g.change.Kind()
		seen[k] = true
		if got := hex.EncodeToString(change.Append(nil, g.change)); got != g.hex {
			t.Errorf("%s is %s, want %s", k, got, g.hex)
		}
		b, err := hex.DecodeString(g.hex)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := change.Decode(b); err != nil || !reflect.DeepEqual(c, g.change) {
			t.Errorf("%s is read as %+v (%v)", k, c, err)
		}
	}
	for k := change.Kind(1); k < change.Kinds; k++ {
		if !seen[k] {
			t.Errorf("no golden bytes for kind %s", k)
		}
	}
}

func TestKinds(t *testing.T) {
	names := map[string]bool{}
	for k := change.Kind(1); k < change.Kinds; k++ {
		c := change.New(k)
		if c == nil || c.Kind() != k {
			t.Fatalf("New(%d) is a %T", k, c)
		}
		if want := strings.ReplaceAll(k.String(), "_", ""); want != strings.ToLower(reflect.TypeOf(c).Elem().Name()) || names[want] {
			t.Errorf("kind %d is called %s, its type %T", k, k, c)
		}
		names[k.String()] = true
	}
	for _, k := range []change.Kind{0, change.Kinds, 255} {
		if change.New(k) != nil || k.String() != "unknown" {
			t.Errorf("there is a kind %d", k)
		}
	}
}

// filler sets the leaves of a struct to values that differ: all of them, or one.
type filler struct {
	only int // the leaf to set; -1: all
	n    int // leaves so far
}

func (f *filler) fill(t *testing.T, v reflect.Value) {
	if v.Kind() == reflect.Func { // stays with the caller
		return
	}
	if v.Kind() == reflect.Struct {
		for i := range v.NumField() {
			f.fill(t, v.Field(i))
		}
		return
	}
	if elem := v.Type(); v.Kind() == reflect.Slice && elem.Elem().Kind() == reflect.Struct {
		before := f.n
		v.Set(reflect.MakeSlice(elem, 2, 2))
		f.fill(t, v.Index(0))
		f.fill(t, v.Index(1))
		if f.only >= 0 && (f.only < before || f.only >= f.n) {
			v.SetZero()
		}
		return
	}
	if v.Kind() == reflect.Pointer && v.Type().Elem().Kind() == reflect.Struct {
		before := f.n
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(t, v.Elem())
		if f.only >= 0 && (f.only < before || f.only >= f.n) {
			v.SetZero()
		}
		return
	}
	f.n++
	if f.only >= 0 && f.n-1 != f.only {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		(&filler{only: -1, n: f.n}).fill(t, v.Elem())
	case reflect.String:
		v.SetString(fmt.Sprint("text ", f.n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.String {
			v.Set(reflect.MakeSlice(v.Type(), 2, 2))
			v.Index(1).SetString(fmt.Sprint("text ", f.n))
			return
		}
		v.SetBytes(fmt.Append(nil, "data ", f.n))
	case reflect.Uint8, reflect.Uint16:
		v.SetUint(uint64(f.n))
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(f.n) << 32)
	default:
		t.Fatalf("cannot fill a %s", v.Type())
	}
}

// fill sets one leaf of the struct that p points to, or all with -1, and returns
// how many there are.
func fill(t *testing.T, p any, only int) (leaves int) {
	f := &filler{only: only}
	f.fill(t, reflect.ValueOf(p).Elem())
	return f.n
}

// No field is forgotten, and none is taken for another: each comes back alone and
// with all the others.
func TestEveryFieldComesBack(t *testing.T) {
	for k := change.Kind(1); k < change.Kinds; k++ {
		for only, leaves := -1, fill(t, change.New(k), -1); only < leaves; only++ {
			c := change.New(k)
			fill(t, c, only)
			got, err := change.Decode(change.Append(nil, c))
			if err != nil || !reflect.DeepEqual(got, c) {
				t.Errorf("%s, field %d:\n%+v came back as\n%+v (%v)", k, only, c, got, err)
			}
		}
		if got, err := change.Decode(change.Append(nil, change.New(k))); err != nil || !reflect.DeepEqual(got, change.New(k)) {
			t.Errorf("an empty %s came back as %+v (%v)", k, got, err)
		}
	}
	for only, leaves := -1, fill(t, new(change.Reply), -1); only < leaves; only++ {
		var r change.Reply
		fill(t, &r, only)
		got, err := change.DecodeReply(change.AppendReply(nil, &r, nil))
		if err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("reply, field %d:\n%+v came back as\n%+v (%v)", only, r, got, err)
		}
	}
}

// Nil and empty stay apart where a change tells them apart. Negative numbers are
// numbers.
func TestNilIsNotEmpty(t *testing.T) {
	for _, c := range []change.Change{
		&change.Edit{Data: []byte{}}, &change.Edit{},
		&change.SetRoom{Title: ptr("")}, &change.SetRoom{Open: ptr(false), ReadOnly: ptr(false)}, &change.SetRoom{Create: &change.RoomSpec{}},
		&change.Online{Changes: []change.OnlineChange{{}, {}}},
		&change.Read{Seq: -1}, &change.Cursors{Cursors: []change.Cursor{{Position: -1 << 63}}},
	} {
		if got, err := change.Decode(change.Append(nil, c)); err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("%+v came back as %+v (%v)", c, got, err)
		}
	}
}

func TestAppendAppends(t *testing.T) {
	c := &change.Join{Room: chat.RoomID(strings.Repeat("r", 200)), Create: &change.RoomSpec{Title: strings.Repeat("t", 20000)}}
	b := change.Append([]byte("before"), c)
	if got, err := change.Decode(bytes.TrimPrefix(b, []byte("before"))); err != nil || !reflect.DeepEqual(got, c) {
		t.Errorf("%+v (%v)", got, err)
	}
	r := change.Reply{Room: chat.Room{Title: strings.Repeat("t", 20000)}}
	b = change.AppendReply([]byte("before"), &r, nil)
	if got, err := change.DecodeReply(bytes.TrimPrefix(b, []byte("before"))); err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("%+v (%v)", got, err)
	}
}

func TestDecodeKeepsNothing(t *testing.T) {
	b := change.Append(nil, &change.Send{Room: "r", Draft: chat.Draft{Text: "text", Data: []byte("data")}})
	c, err := change.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		b[i] = 'x'
	}
	if d := c.(*change.Send).Draft; d.Text != "text" || string(d.Data) != "data" {
		t.Errorf("%+v", d)
	}
}

// A node that is one version behind skips what it does not know.
func TestUnknownFieldsAreSkipped(t *testing.T) {
	unknown := func(b []byte, num protowire.Number) []byte {
		b = protowire.AppendTag(b, num, protowire.VarintType)
		b = protowire.AppendVarint(b, 5)
		b = protowire.AppendTag(b, num, protowire.Fixed64Type)
		b = protowire.AppendFixed64(b, 5)
		b = protowire.AppendTag(b, num, protowire.BytesType)
		return protowire.AppendString(b, "later")
	}
	message := func(b []byte, num protowire.Number, body []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), body)
	}
	spec := unknown(protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "title"), 14)
	join := unknown(nil, 15)
	join = protowire.AppendString(protowire.AppendTag(join, 1, protowire.BytesType), "r")
	join = message(unknown(join, 4000), 5, spec)
	b := unknown(message(unknown(nil, 256), protowire.Number(change.KindJoin), join), 300)
	want := &change.Join{Room: "r", Create: &change.RoomSpec{Title: "title"}}
	if got, err := change.Decode(b); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v (%v)", got, err)
	}
	reply := unknown(change.AppendReply(nil, &change.Reply{Seq: 7}, nil), 12)
	if got, err := change.DecodeReply(reply); err != nil || !reflect.DeepEqual(got, change.Reply{Seq: 7}) {
		t.Errorf("%+v (%v)", got, err)
	}
}

func TestMalformed(t *testing.T) {
	send := change.Append(nil, &change.Send{Room: "r", User: "ann"})
	online := &change.Online{Changes: make([]change.OnlineChange, 4097)}
	for _, c := range []struct {
		what string
		b    []byte
		want chat.Kind
	}{
		{"nothing", nil, chat.Invalid},
		{"two changes", append(bytes.Clone(send), send...), chat.Invalid},
		{"cut off", send[:len(send)-1], chat.Invalid},
		{"no message", []byte{0x10, 0x01}, chat.Invalid},
		{"a field of another type", []byte{0x12, 0x02, 0x08, 0x01}, chat.Invalid},
		{"a bad tag inside", []byte{0x12, 0x01, 0x80}, chat.Invalid},
		{"a bad field inside", []byte{0x12, 0x02, 0x0a, 0x05}, chat.Invalid},
		{"a kind of a later version", []byte{0xf8, 0x07, 0x01}, chat.UnknownType},
		{"no such slot", []byte{0x0a, 0x03, 0x08, 0x80, 0x08}, chat.Invalid},
		{"a number out of range", []byte{0x0a, 0x04, 0x08, 0x80, 0x80, 0x04}, chat.Invalid},
		{"a bad message inside", []byte{0x32, 0x03, 0x2a, 0x01, 0x80}, chat.Invalid},
		{"too many mentions", change.Append(nil, &change.Send{Draft: chat.Draft{Mentions: make([]chat.UserID, 51)}}), chat.Invalid},
		{"too many items", change.Append(nil, online), chat.Invalid},
		{"too large", make([]byte, change.MaxBytes+1), chat.TooLarge},
	} {
		if got, err := change.Decode(c.b); err == nil || chat.KindOf(err) != c.want {
			t.Errorf("%s: %+v, %v, want %s", c.what, got, err, c.want.Code())
		}
	}
	for what, b := range map[string][]byte{
		"cut off": {0x0a, 0x05}, "another type": {0x08, 0x01}, "too large": make([]byte, change.MaxBytes+1),
	} {
		if _, err := change.DecodeReply(b); err == nil || chat.KindOf(err) != chat.Internal {
			t.Errorf("a reply that is %s: %v", what, err)
		}
	}
}

func TestErrorsComeBack(t *testing.T) {
	full := &chat.Error{Kind: chat.Busy, Op: "lane.submit", Subject: "r", Text: "later", RetryAfter: 250}
	caused := chat.Wrap(chat.ReadOnly, "store.commit", errors.New("disk full"))
	for _, c := range []struct{ err, want error }{
		{full, full},
		{fmt.Errorf("behind: %w", full), full},
		{caused, caused},
		{&chat.Error{}, &chat.Error{}},
		{errors.New("bug"), chat.Wrap(chat.Internal, "", errors.New("bug"))},
	} {
		r, err := change.DecodeReply(change.AppendReply(nil, &change.Reply{Seq: 1}, c.err))
		if !reflect.DeepEqual(err, c.want) || !reflect.DeepEqual(r, change.Reply{}) {
			t.Errorf("%v came back as %v and %+v", c.err, err, r)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, g := range golden {
		f.Add(change.Append(nil, g.change))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := change.Decode(b)
		if err != nil {
			if k := chat.KindOf(err); k != chat.Invalid && k != chat.UnknownType {
				t.Fatal(err)
			}
			return
		}
		if c.Slot() >= chat.Slots {
			t.Fatalf("slot %d", c.Slot())
		}
		again := change.Append(nil, c)
		if got, err := change.Decode(again); err != nil || !reflect.DeepEqual(got, c) {
			t.Fatalf("%+v came back as %+v (%v)", c, got, err)
		}
	})
}

func FuzzDecodeReply(f *testing.F) {
	f.Add(change.AppendReply(nil, &change.Reply{Seq: 1, Room: chat.Room{ID: "r"}}, nil))
	f.Add(change.AppendReply(nil, nil, chat.Wrap(chat.Busy, "op", errors.New("cause"))))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := change.DecodeReply(b)
		got, gotErr := change.DecodeReply(change.AppendReply(nil, &r, err))
		if !reflect.DeepEqual(got, r) || fmt.Sprint(gotErr) != fmt.Sprint(err) {
			t.Fatalf("%+v, %v came back as %+v, %v", r, err, got, gotErr)
		}
	})
}

var message = &change.Send{Room: "room 7", User: "ann", Draft: chat.Draft{Text: strings.Repeat("x", 120), Key: "0123456789abcdef"}}

func BenchmarkAppend(b *testing.B) {
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = change.Append(buf[:0], message)
	}
}

func BenchmarkDecode(b *testing.B) {
	buf := change.Append(nil, message)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := change.Decode(buf); err != nil {
			b.Fatal(err)
		}
	}
}
