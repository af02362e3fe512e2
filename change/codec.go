package change

import (
	"bytes"
	"slices"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/roomtide/roomtide/chat"
)

// The bytes of a change are a protobuf message with one field, whose number is
// the kind and whose value is the message of that type:
//
//	message Change {
//	  oneof kind {
//	    Nop  nop  = 1;
//	    Send send = 2;
//	    …
//	  }
//	}
//
// Numbers, booleans and slots are varints (int64, bool, uint32), strings and data
// are bytes. What is zero is left out, unless nil means something else. Fields
// that a reader does not know are skipped, so nodes one version apart understand
// each other as long as numbers are only ever added, and a new field means what
// was so before when it is absent.

// MaxBytes bounds a change, or a reply, that is decoded.
const MaxBytes = 16 << 20

// aboutChange is the first field number of Change that is no kind: room for what
// may be said of a change one day. A field of it that is not known is skipped; a
// kind that is not known is an error.
const aboutChange = 256

// Append appends the bytes of c to dst. The result depends on c alone: equal
// changes have equal bytes.
func Append(dst []byte, c Change) []byte {
	f := &coder{out: dst}
	f.nest(int(c.Kind()), func() { c.fields(f) })
	return f.out
}

// Decode reads a change. The change keeps nothing of b. Ids, sizes of texts and
// the like are not judged: the engine has done that before the change was
// written. Errors: Invalid, TooLarge (over MaxBytes), UnknownType (the change of
// a newer version).
func Decode(b []byte) (Change, error) {
	if len(b) > MaxBytes {
		return nil, chat.E(chat.TooLarge, "the change is larger than "+strconv.Itoa(MaxBytes)+" bytes")
	}
	var c Change
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return nil, malformed("a tag")
		}
		value := b[n:]
		size := protowire.ConsumeFieldValue(num, typ, value)
		if size < 0 {
			return nil, malformed("field " + strconv.Itoa(int(num)))
		}
		b = value[size:]
		if num >= aboutChange {
			continue
		}
		if c != nil {
			return nil, malformed("more than one change")
		}
		if c = New(Kind(num)); c == nil {
			return nil, &chat.Error{Kind: chat.UnknownType, Op: "change.decode", Text: "there is no change of kind " + strconv.Itoa(int(num))}
		}
		if typ != protowire.BytesType {
			return nil, malformed("a change that is no message")
		}
		body, _ := protowire.ConsumeBytes(value)
		if err := read(body, c.fields); err != nil {
			return nil, err
		}
	}
	if c == nil {
		return nil, malformed("no change")
	}
	return c, nil
}

func malformed(what string) error {
	return &chat.Error{Kind: chat.Invalid, Op: "change.decode", Text: "not a change: " + what}
}

// maxField is the largest number of a field of a change.
const maxField = 16

// coder visits the fields of one message, to write them (in is nil) or to read
// them. Each message has one function that names its fields, so what is written
// is what is read.
type coder struct {
	out   []byte // written so far
	zeros bool   // write zero values too

	in    []byte             // the message that is read
	found [maxField + 1]span // in it, by number; the last of several counts
	err   error              // the first that reading met
}

// span is where the value of a field starts, and its type.
type span struct {
	at  int32
	typ protowire.Type
	ok  bool
}

// read reads the message b with fields.
func read(b []byte, fields func(*coder)) error {
	if b == nil {
		b = []byte{} // nil means writing
	}
	f := &coder{in: b}
	for at := 0; at < len(b); {
		num, typ, n := protowire.ConsumeTag(b[at:])
		if n < 0 {
			return malformed("a tag")
		}
		at += n
		n = protowire.ConsumeFieldValue(num, typ, b[at:])
		if n < 0 {
			return malformed("field " + strconv.Itoa(int(num)))
		}
		if num <= maxField {
			f.found[num] = span{int32(at), typ, true}
		}
		at += n
	}
	fields(f)
	return f.err
}

// reads reports whether the coder reads, and whether the message has the field,
// with the type.
func (f *coder) reads(n int, typ protowire.Type) (value []byte, found, reading bool) {
	if f.in == nil {
		return nil, false, false
	}
	s := f.found[n]
	if s.ok && s.typ != typ {
		f.fail("field " + strconv.Itoa(n) + " has another type")
		s.ok = false
	}
	return f.in[s.at:], s.ok, true
}

func (f *coder) fail(what string) {
	if f.err == nil {
		f.err = malformed(what)
	}
}

// nest writes a field that is a message, whose fields body writes.
func (f *coder) nest(n int, body func()) {
	f.out = protowire.AppendTag(f.out, protowire.Number(n), protowire.BytesType)
	start := len(f.out)
	body()
	size := len(f.out) - start
	prefix := protowire.SizeVarint(uint64(size))
	f.out = slices.Grow(f.out, prefix)[:start+prefix+size]
	copy(f.out[start+prefix:], f.out[start:start+size])
	protowire.AppendVarint(f.out[:start], uint64(size))
}

// text visits a string.
func text[T ~string](f *coder, n int, p *T) {
	if b, found, reading := f.reads(n, protowire.BytesType); reading {
		if found {
			v, _ := protowire.ConsumeBytes(b)
			*p = T(v)
		}
		return
	}
	if *p != "" || f.zeros {
		f.out = protowire.AppendTag(f.out, protowire.Number(n), protowire.BytesType)
		f.out = protowire.AppendString(f.out, string(*p))
	}
}

// data visits bytes, whose nil is kept apart from what is empty.
func data(f *coder, n int, p *[]byte) {
	if b, found, reading := f.reads(n, protowire.BytesType); reading {
		if found {
			v, _ := protowire.ConsumeBytes(b)
			*p = bytes.Clone(v)
		}
		return
	}
	if *p != nil {
		f.out = protowire.AppendTag(f.out, protowire.Number(n), protowire.BytesType)
		f.out = protowire.AppendBytes(f.out, *p)
	}
}

// number visits a number. One that its type cannot hold is malformed.
func number[T ~int | ~int64 | ~uint8 | ~uint16](f *coder, n int, p *T) {
	if b, found, reading := f.reads(n, protowire.VarintType); reading {
		if found {
			v, _ := protowire.ConsumeVarint(b)
			if *p = T(v); uint64(int64(*p)) != v {
				f.fail("field " + strconv.Itoa(n) + " is out of range")
			}
		}
		return
	}
	if *p != 0 || f.zeros {
		f.out = protowire.AppendTag(f.out, protowire.Number(n), protowire.VarintType)
		f.out = protowire.AppendVarint(f.out, uint64(int64(*p)))
	}
}

// slot visits a slot, which chooses a lane and so must be one.
func slot(f *coder, n int, p *chat.Slot) {
	if number(f, n, p); *p >= chat.Slots {
		f.fail("there is no slot " + strconv.Itoa(int(*p)))
	}
}

// flag visits a boolean.
func flag(f *coder, n int, p *bool) {
	v := uint8(0)
	if *p {
		v = 1
	}
	number(f, n, &v)
	*p = v != 0
}

// optional visits a field whose absence says nil, and whose zero value does not.
func optional[T any](f *coder, n int, p **T, visit func(*coder, int, *T)) {
	switch {
	case f.in == nil && *p == nil:
	case f.in == nil:
		f.zeros = true
		visit(f, n, *p)
		f.zeros = false
	case f.found[n].ok:
		*p = new(T)
		visit(f, n, *p)
	}
}

// message visits a message that may be nil.
func message[T any](f *coder, n int, p **T, fields func(*T, *coder)) {
	b, found, reading := f.reads(n, protowire.BytesType)
	switch {
	case reading && found:
		*p = new(T)
		f.readMessage(b, func(sub *coder) { fields(*p, sub) })
	case !reading && *p != nil:
		f.nest(n, func() { fields(*p, f) })
	}
}

// nested visits a message that is part of its struct. One without fields is left
// out.
func nested[T any](f *coder, n int, p *T, fields func(*T, *coder)) {
	if b, found, reading := f.reads(n, protowire.BytesType); reading {
		if found {
			f.readMessage(b, func(sub *coder) { fields(p, sub) })
		}
		return
	}
	before := len(f.out)
	f.nest(n, func() { fields(p, f) })
	if len(f.out) == before+2 { // a tag and a length of 0
		f.out = f.out[:before]
	}
}

// repeated visits a list of messages, of which no more than most are read.
func repeated[T any](f *coder, n int, p *[]T, most int, fields func(*T, *coder)) {
	_, found, reading := f.reads(n, protowire.BytesType)
	if !reading {
		for i := range *p {
			f.nest(n, func() { fields(&(*p)[i], f) })
		}
		return
	}
	f.each(n, found, func(value []byte) bool {
		if len(*p) == most {
			return false
		}
		*p = append(*p, *new(T))
		f.readMessage(value, func(sub *coder) { fields(&(*p)[len(*p)-1], sub) })
		return true
	}, most)
}

// texts visits a list of strings, of which no more than most are read.
func texts[T ~string](f *coder, n int, p *[]T, most int) {
	_, found, reading := f.reads(n, protowire.BytesType)
	if !reading {
		for _, s := range *p {
			f.out = protowire.AppendTag(f.out, protowire.Number(n), protowire.BytesType)
			f.out = protowire.AppendString(f.out, string(s))
		}
		return
	}
	f.each(n, found, func(value []byte) bool {
		if len(*p) == most {
			return false
		}
		v, _ := protowire.ConsumeBytes(value)
		*p = append(*p, T(v))
		return true
	}, most)
}

// each calls item for the values of a field that the message has more than once, until it
// says that there are more than most.
func (f *coder) each(n int, found bool, item func(value []byte) bool, most int) {
	for b := f.in; found && len(b) > 0 && f.err == nil; {
		num, typ, size := protowire.ConsumeField(b)
		if int(num) == n && typ == protowire.BytesType {
			_, _, tag := protowire.ConsumeTag(b)
			if !item(b[tag:]) {
				f.fail("more than " + strconv.Itoa(most) + " items in field " + strconv.Itoa(n))
			}
		}
		b = b[size:]
	}
}

// readMessage reads the message whose length and fields b starts with.
func (f *coder) readMessage(b []byte, fields func(*coder)) {
	body, _ := protowire.ConsumeBytes(b)
	if err := read(body, fields); err != nil && f.err == nil {
		f.err = err
	}
}
