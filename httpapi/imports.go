package httpapi

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/wire"
)

// importBytes is how large the body of an import may be.
const importBytes = 2 << 20

// imported is an import as its body says it. What cannot be read has a fault, and the
// place of it in its list; the rest is tried.
type imported struct {
	engine.ImportBatch
	places map[string][]int // by list: where in the body the things of the batch stand
	sizes  map[string]int   // of the lists
	faults []fault
}

// fault is why a thing of an import was refused.
type fault struct {
	list string
	item int
	err  error
}

// importBatch puts a part of another system's chat into this one.
func (c *call) importBatch() (answer, error) {
	f, err := c.bodyUpTo(importBytes)
	if err != nil {
		return answer{}, err
	}
	in := &imported{places: map[string][]int{}, sizes: map[string]int{}}
	if err := cmp.Or(f.get("history", "true or false", &in.History), f.get("raise", "true or false", &in.Raise)); err != nil {
		return answer{}, err
	}
	for _, list := range []struct {
		name string
		add  func(i int, item []byte) error
	}{
		{"rooms", c.item("rooms", in.room)}, {"users", c.item("users", in.user)}, {"members", c.item("members", in.member)},
		{"messages", func(i int, item []byte) error { return c.importMessage(in, i, item) }}, {"reads", c.item("reads", in.read)},
	} {
		if err := c.importList(f, in, list.name, list.add); err != nil {
			return answer{}, err
		}
	}
	out, err := c.cfg.Engine.Import(c.ctx, c.actor, &in.ImportBatch)
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusOK, c.importAnswer(in, out)}, nil
}

// importList reads one list of the body.
func (c *call) importList(f fields, in *imported, name string, add func(i int, item []byte) error) error {
	items, ok := f.List(name)
	if !ok {
		return chat.E(chat.Invalid, name+" must be an array")
	}
	if len(items) > change.MaxImported {
		return chat.E(chat.Invalid, name+" has more than "+strconv.Itoa(change.MaxImported)+" items")
	}
	in.sizes[name] = len(items)
	for i, item := range items {
		if err := add(i, item); err != nil {
			in.faults = append(in.faults, fault{name, i, err})
		} else {
			in.places[name] = append(in.places[name], i)
		}
	}
	return nil
}

// item reads an item of a list into fields.
func (c *call) item(list string, add func(fields) error) func(i int, item []byte) error {
	return func(_ int, item []byte) error {
		object, err := wire.DecodeObject(item)
		if err == nil {
			err = c.checkNames("field", maps.Keys(object), c.op.items[list])
		}
		if err == nil {
			err = add(fields{object})
		}
		return err
	}
}

func (in *imported) room(f fields) error {
	id, err := f.ID("room")
	r := &change.SetRoom{Room: chat.RoomID(id)}
	err = cmp.Or(err, f.get("title", "a string", &r.Title), f.get("open", "true or false", &r.Open))
	in.Rooms = appendGood(in.Rooms, r, err)
	return err
}

func (in *imported) user(f fields) error {
	id, err := f.ID("user")
	if err == nil && id == "" {
		err = chat.E(chat.Invalid, "user is missing")
	}
	u := &change.SetUser{User: chat.UserID(id)}
	err = cmp.Or(err, f.get("name", "a string", &u.Name), f.get("avatar", "a string", &u.Avatar))
	in.Users = appendGood(in.Users, u, err)
	return err
}

func (in *imported) member(f fields) error {
	room, err := f.ID("room")
	user, err2 := f.ID("user")
	m := &change.SetMember{Room: chat.RoomID(room), User: chat.UserID(user), Role: chat.RoleMember}
	word := chat.RoleMember.String()
	err = cmp.Or(err, err2, f.get("name", "a string", &m.Name), f.get("role", "a string", &word))
	if err == nil {
		var ok bool
		if m.Role, ok = chat.ParseRole(word); !ok {
			err = chat.E(chat.Invalid, errRole.Text+", or none")
		}
	}
	in.Members = appendGood(in.Members, m, err)
	return err
}

func (c *call) importMessage(in *imported, i int, item []byte) error {
	m, err := wire.DecodeImported(item)
	if err == nil {
		m.ReplyItem, err = in.replyItem(i, m.ReplyItem)
	}
	if len(m.Unknown) > 0 {
		err = cmp.Or(err, c.checkNames("field", slices.Values(m.Unknown), nil))
	}
	in.Messages = appendGood(in.Messages, engine.ImportMessage{Room: m.Room, ReplyItem: m.ReplyItem, Imported: change.Imported{
		Seq: m.Seq, User: m.User, Name: m.Name, Key: m.Key, Text: m.Text, Data: m.Data, ReplyTo: m.ReplyTo, Time: m.Time, Edited: m.Edited,
		Deleted: m.Deleted,
	}}, err)
	return err
}

// replyItem is the place among the messages of the batch of what item i of the list answers,
// both counted from 1; 0 if there is none, as it was refused.
func (in *imported) replyItem(i, item int) (int, error) {
	if item < 0 || item > i {
		return 0, chat.E(chat.Invalid, "reply_item must be the place of a message before this one, from 0")
	}
	if at, ok := slices.BinarySearch(in.places["messages"], item-1); ok {
		return at + 1, nil
	}
	return 0, nil
}

func (in *imported) read(f fields) error {
	room, err := f.ID("room")
	user, err2 := f.ID("user")
	r := &change.Read{Room: chat.RoomID(room), User: chat.UserID(user)}
	if err = cmp.Or(err, err2); err == nil {
		r.Seq, err = f.seq("seq")
	}
	in.Reads = appendGood(in.Reads, r, err)
	return err
}

func appendGood[T any](list []T, item T, err error) []T {
	if err != nil {
		return list
	}
	return append(list, item)
}

// appendMarks appends where each read mark stands now.
func (in *imported) appendMarks(body []byte, outcomes []engine.Outcome) []byte {
	marks := make([]*chat.Seq, in.sizes["reads"])
	for i := range outcomes {
		if o := &outcomes[i]; o.Err == nil {
			marks[in.places["reads"][i]] = &o.Reply.Read
		}
	}
	for i, m := range marks {
		if i > 0 {
			body = append(body, ',')
		}
		if m == nil {
			body = append(body, "null"...)
			continue
		}
		body = strconv.AppendInt(body, int64(*m), 10)
	}
	return body
}

// importAnswer is the body of the answer: what each message is now, and what was refused.
func (c *call) importAnswer(in *imported, out *engine.ImportResult) []byte {
	told := make([]*change.ImportReply, in.sizes["messages"])
	for i := range out.Messages {
		o := &out.Messages[i]
		if o.Err != nil {
			in.faults = append(in.faults, fault{"messages", in.places["messages"][i], o.Err})
		} else {
			told[in.places["messages"][i]] = &o.ImportReply
		}
	}
	for list, outcomes := range map[string][]engine.Outcome{"rooms": out.Rooms, "users": out.Users, "members": out.Members, "reads": out.Reads} {
		for i, o := range outcomes {
			if o.Err != nil {
				in.faults = append(in.faults, fault{list, in.places[list][i], o.Err})
			}
		}
	}
	body := []byte(`{"messages":[`)
	for i, r := range told {
		if i > 0 {
			body = append(body, ',')
		}
		if r == nil {
			body = append(body, "null"...)
			continue
		}
		body = strconv.AppendInt(append(body, `{"seq":`...), int64(r.Seq), 10)
		body = strconv.AppendInt(append(body, `,"rev":`...), int64(r.Rev), 10)
		body = strconv.AppendBool(append(body, `,"created":`...), r.Created)
		body = append(strconv.AppendBool(append(body, `,"changed":`...), r.Changed), '}')
	}
	body = append(body, `],"reads":[`...)
	body = in.appendMarks(body, out.Reads)
	body = append(body, `],"problems":[`...)
	for i, f := range in.faults {
		if i > 0 {
			body = append(body, ',')
		}
		status, pub := c.judge(c.r, f.err)
		body = fmt.Appendf(body, `{"list":%q,"item":%d,"status":%d,"problem":%s}`, f.list, f.item, status, problemJSON(status, pub))
	}
	return append(body, "]}"...)
}
