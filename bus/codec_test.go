package bus_test

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/bus/bustest"
	"github.com/roomtide/roomtide/chat"
)

var update = flag.Bool("update", false, "write the golden files anew")

// fill sets every field that v reaches to a value of its own, so that a field
// that is added to an event and forgotten by the codec fails the round trip.
func fill(t *testing.T, v reflect.Value, n *int) {
	t.Helper()
	*n++
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), n)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(t, v.Index(0), n)
		fill(t, v.Index(1), n)
	case reflect.String:
		v.SetString(strings.Repeat("é", *n%3+1) + string(rune('a'+*n%26)))
	case reflect.Int, reflect.Int64:
		v.SetInt(-int64(*n) * 1e15)
	case reflect.Uint8:
		v.SetUint(uint64(*n%250 + 1))
	case reflect.Bool:
		v.SetBool(true)
	default:
		t.Fatalf("an event has a field of type %s", v.Type())
	}
}

func roundTrip(t *testing.T, b *bus.Batch) {
	t.Helper()
	data := bus.AppendBatch([]byte("before"), b)
	got, err := bus.DecodeBatch(bytes.TrimPrefix(data, []byte("before")))
	if err != nil {
		t.Fatalf("%+v: %v", b, err)
	}
	if !reflect.DeepEqual(got, b) {
		t.Errorf("got  %+v\nwant %+v", got, b)
	}
}

func TestEveryFieldIsCarried(t *testing.T) {
	n := 0
	for kind := range chat.EventKind(255) {
		b := &bus.Batch{}
		fill(t, reflect.ValueOf(b).Elem(), &n)
		for _, r := range b.Rooms {
			for _, ev := range r.Events {
				ev.Kind = kind + 1 // of versions to come too
			}
		}
		roundTrip(t, b)
	}
}

func TestWhatIsNotSetIsNotSet(t *testing.T) {
	roundTrip(t, &bus.Batch{})
	roundTrip(t, &bus.Batch{Lane: 3, After: 8, Position: 9})
	roundTrip(t, &bus.Batch{Rooms: []bus.RoomEvents{{}, {Room: "r", History: 9}, {Events: []*chat.Event{{}}}}})
	roundTrip(t, bus.Ephemeral(1, &chat.Event{Kind: chat.EventTyping, Room: "r", User: "ann"}))
	roundTrip(t, &bus.Batch{Rooms: []bus.RoomEvents{{Room: "r", Events: []*chat.Event{
		{Kind: chat.EventMessage, Message: &chat.Message{}}, // names no room: neither does what is decoded
		{Kind: chat.EventMember, Member: &chat.Member{Room: "other"}},
		{Kind: chat.EventRoom, Info: &chat.Room{ID: "r"}},
		{Kind: chat.EventPresence, Presence: &chat.Presence{Came: []chat.UserID{""}}},
	}}}})
}

// The golden batch is what other versions have sent: it must be read as it
// always was, and written so.
func TestGolden(t *testing.T) {
	const path = "testdata/batch.hex"
	want := &bus.Batch{Lane: 2, After: 300, Position: 301, Rooms: []bus.RoomEvents{
		{Room: "room1", Events: bustest.EveryKind("room1")},
		{Room: "büro", Events: bustest.EveryKind("büro")[:1]},
	}}
	data := bus.AppendBatch(nil, want)
	if *update {
		if err := os.WriteFile(path, []byte(lines(hex.EncodeToString(data))), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	golden, err := hex.DecodeString(strings.ReplaceAll(string(text), "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, golden) {
		t.Errorf("written as %x\nwant %x", data, golden)
	}
	if got, err := bus.DecodeBatch(golden); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read as %+v, %v", got, err)
	}
}

func lines(s string) string {
	var b strings.Builder
	for ; len(s) > 80; s = s[80:] {
		b.WriteString(s[:80] + "\n")
	}
	return b.String() + s + "\n"
}

// A newer version may add fields anywhere.
func TestUnknownFieldsAreSkipped(t *testing.T) {
	unknown := func(b []byte) []byte {
		b = protowire.AppendVarint(protowire.AppendTag(b, 101, protowire.VarintType), 7)
		b = protowire.AppendFixed32(protowire.AppendTag(b, 102, protowire.Fixed32Type), 7)
		b = protowire.AppendFixed64(protowire.AppendTag(b, 103, protowire.Fixed64Type), 7)
		b = protowire.AppendString(protowire.AppendTag(b, 104, protowire.BytesType), "new")
		b = protowire.AppendTag(b, 105, protowire.StartGroupType)
		b = protowire.AppendVarint(protowire.AppendTag(b, 1, protowire.VarintType), 7)
		return protowire.AppendTag(b, 105, protowire.EndGroupType)
	}
	event := protowire.AppendVarint(protowire.AppendTag(unknown(nil), 1, protowire.VarintType), uint64(chat.EventTyping))
	event = protowire.AppendString(protowire.AppendTag(event, 9, protowire.BytesType), "seq is a number") // another wire type
	room := protowire.AppendBytes(protowire.AppendTag(unknown(nil), 2, protowire.BytesType), event)
	room = protowire.AppendString(protowire.AppendTag(room, 1, protowire.BytesType), "r")
	batch := protowire.AppendBytes(protowire.AppendTag(unknown(nil), 4, protowire.BytesType), room)
	got, err := bus.DecodeBatch(unknown(batch))
	want := bus.Ephemeral(0, &chat.Event{Kind: chat.EventTyping, Room: "r"})
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestWhatIsNoBatch(t *testing.T) {
	whole := bus.AppendBatch(nil, &bus.Batch{Lane: 1, Rooms: []bus.RoomEvents{{Room: "r", Events: bustest.EveryKind("r")}}})
	for n := 3; n < len(whole); n++ { // 2 bytes are a batch of lane 1
		if b, err := bus.DecodeBatch(whole[:n]); chat.KindOf(err) != chat.Invalid || b != nil {
			t.Errorf("%d bytes of %d: %v", n, len(whole), err)
		}
	}
	for kind := chat.EventMessage; kind <= chat.EventMembers; kind++ {
		b := &bus.Batch{Rooms: []bus.RoomEvents{{Room: "r", Events: []*chat.Event{{Kind: kind}}}}}
		needsMore := kind <= chat.EventDeleted || kind == chat.EventMember || kind == chat.EventRoom || kind == chat.EventPresence
		if _, err := bus.DecodeBatch(bus.AppendBatch(nil, b)); (err != nil) != needsMore {
			t.Errorf("kind %d without its part: %v", kind, err)
		}
	}
	for name, event := range map[string][]byte{
		"a kind":  protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 256+uint64(chat.EventTyping)),
		"a role":  protowire.AppendBytes(protowire.AppendTag(nil, 6, protowire.BytesType), protowire.AppendVarint(protowire.AppendTag(nil, 3, protowire.VarintType), 257)),
		"field 0": {0, 0},
	} {
		room := protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), event)
		if b, err := bus.DecodeBatch(protowire.AppendBytes(protowire.AppendTag(nil, 4, protowire.BytesType), room)); err == nil {
			t.Errorf("%s that is none: %+v", name, b)
		}
	}
}

// Whatever arrives is refused, or a batch that can be carried on.
func FuzzDecodeBatch(f *testing.F) {
	f.Add([]byte{})
	f.Add(bus.AppendBatch(nil, &bus.Batch{Lane: 1, After: 1, Position: 2, Rooms: []bus.RoomEvents{{Room: "r", Events: bustest.EveryKind("r")}}}))
	f.Add(bus.AppendBatch(nil, bus.Ephemeral(0, &chat.Event{Kind: chat.EventRead, Seq: 1})))
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		b, err := bus.DecodeBatch(data)
		if err != nil {
			return
		}
		again := bus.AppendBatch(nil, b)
		clear(data) // nothing of it may be kept
		if !bytes.Equal(again, bus.AppendBatch(nil, b)) {
			t.Fatalf("a batch refers to what it was read from: %x", before)
		}
		if c, err := bus.DecodeBatch(again); err != nil || !bytes.Equal(bus.AppendBatch(nil, c), again) {
			t.Fatalf("%x: %v\nagain %x", before, err, again)
		}
	})
}
