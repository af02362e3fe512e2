package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/roomtide/roomtide/chat"
)

type roomVerb struct {
	List    listRoomVerb    `cmd:"" help:"List the rooms."`
	Show    showRoomVerb    `cmd:"" help:"Show one room."`
	Create  createRoomVerb  `cmd:"" help:"Make a room."`
	Set     setRoomVerb     `cmd:"" help:"Change the title, topic, rules or data of a room."`
	Archive archiveRoomVerb `cmd:"" help:"Keep a room as it is: nothing more is written, and lists leave it out."`
	Delete  deleteRoomVerb  `cmd:"" help:"Delete a room with its messages, for good."`
}

// room is a room as the node tells it.
type room struct {
	Room     string          `json:"room"`
	Title    string          `json:"title"`
	Topic    string          `json:"topic"`
	Avatar   string          `json:"avatar"`
	Data     json.RawMessage `json:"data"`
	Open     bool            `json:"open"`
	ReadOnly bool            `json:"read_only"`
	Archived bool            `json:"archived"`
	Seq      int64           `json:"seq"`
	Rev      int64           `json:"rev"`
	Members  int             `json:"member_count"`
	Created  *time.Time      `json:"created"`
	Active   *time.Time      `json:"active"`
}

// rules are the words for who may come and write.
func (r *room) rules() string {
	out := "by invitation"
	if r.Open {
		out = "open"
	}
	if r.ReadOnly {
		out += ", read-only"
	}
	if r.Archived {
		out += ", archived"
	}
	return out
}

type listRoomVerb struct {
	backEnd
	Prefix   string `help:"Rooms whose ids begin with it."`
	Order    string `enum:"id,activity" default:"id" help:"id, or activity: the newest message first."`
	Archived bool   `help:"Archived rooms as well."`
	Open     *bool  `negatable:"" help:"Open rooms only, or with --no-open those by invitation."`
	Limit    int    `default:"100" help:"How many at most; 0 for all."`
}

func (*listRoomVerb) Help() string {
	return `The key needs the scope read.

Examples:

    roomtide room list --prefix shop- --order activity
    roomtide room list --limit 0 --json | jq -r .room`
}

func (v *listRoomVerb) Run(a *app) error {
	if v.Limit < 0 {
		return usageError("--limit is how many rooms to list, or 0")
	}
	q := url.Values{"order": {v.Order}}
	if v.Prefix != "" {
		q.Set("prefix", v.Prefix)
	}
	if v.Archived {
		q.Set("archived", "true")
	}
	if v.Open != nil {
		q.Set("open", strconv.FormatBool(*v.Open))
	}
	t := v.table(a, "ROOM", "TITLE", "RULES", "MEMBERS", "MESSAGES", "ACTIVE")
	err := v.pages(a, []string{"rooms"}, q, "rooms", "room", v.Limit, func(entry json.RawMessage) error {
		var r room
		if err := json.Unmarshal(entry, &r); err != nil {
			return err
		}
		return t.row(entry, func() []string {
			return []string{r.Room, r.Title, r.rules(), strconv.Itoa(r.Members), strconv.FormatInt(r.Seq, 10), minute(r.Active)}
		})
	})
	if err != nil {
		return err
	}
	return t.w.Flush()
}

type showRoomVerb struct {
	backEnd
	Room string `arg:"" help:"The room."`
}

func (v *showRoomVerb) Run(a *app) error {
	var answer json.RawMessage
	if err := v.get(a, v.Room, &answer); err != nil {
		return err
	}
	return v.printRoom(a, answer)
}

// get asks for a room. A room that does not exist is an error that names it.
func (b *backEnd) get(a *app, id string, answer *json.RawMessage) error {
	return ofRoom(id, b.call(a, http.MethodGet, []string{"rooms", id}, nil, nil, answer))
}

// ofRoom says which room does not exist.
func ofRoom(id string, err error) error {
	if refusedAs(err, chat.NotFound) {
		return fmt.Errorf("there is no room %q (\"roomtide room list\" shows them, \"roomtide room create\" makes one)", id)
	}
	return err
}

func (b *backEnd) printRoom(a *app, answer json.RawMessage) error {
	var r room
	if err := json.Unmarshal(answer, &r); err != nil {
		return err
	}
	return b.print(a, answer, func(line func(name, value string)) {
		line("room", r.Room)
		line("title", r.Title)
		line("topic", r.Topic)
		line("avatar", r.Avatar)
		line("data", string(r.Data))
		line("rules", r.rules())
		line("members", strconv.Itoa(r.Members))
		line("messages", strconv.FormatInt(r.Seq, 10))
		line("rev", strconv.FormatInt(r.Rev, 10))
		line("created", minute(r.Created))
		line("active", minute(r.Active))
	})
}

// roomFields are what can be said of a room. What is not given stays as it is.
type roomFields struct {
	Title    *string `help:"Title, shown to people."`
	Topic    *string `help:"Topic, shown to people."`
	Avatar   *string `help:"A picture: an https address, or a path of your site."`
	Data     *string `placeholder:"JSON" help:"JSON of your application; {} takes it away."`
	Open     *bool   `negatable:"" help:"Whether users may join by themselves; --no-open: by invitation."`
	ReadOnly *bool   `negatable:"" help:"Whether only moderators and owners write; --no-read-only: all members do."`
}

func (f *roomFields) body() (map[string]any, error) {
	body := map[string]any{}
	for name, value := range map[string]*string{"title": f.Title, "topic": f.Topic, "avatar": f.Avatar} {
		if value != nil {
			body[name] = *value
		}
	}
	for name, value := range map[string]*bool{"open": f.Open, "read_only": f.ReadOnly} {
		if value != nil {
			body[name] = *value
		}
	}
	data, err := aboutJSON(f.Data)
	if data != nil {
		body["data"] = data
	}
	return body, err
}

type createRoomVerb struct {
	backEnd
	Room string `arg:"" help:"Its id."`
	roomFields
}

func (*createRoomVerb) Help() string {
	return `The room has no members yet. With --no-open users join by invitation: see "roomtide member add".
The key needs the scopes read and rooms.

Example:

    roomtide room create shop-42 --title "Order 42" --topic "Ask us anything" --no-open`
}

func (v *createRoomVerb) Run(a *app) error {
	body, err := v.body()
	if err != nil {
		return err
	}
	var answer json.RawMessage
	switch err := v.call(a, http.MethodGet, []string{"rooms", v.Room}, nil, nil, &answer); {
	case err == nil:
		return fmt.Errorf("the room %q is there already; \"roomtide room set\" changes it", v.Room)
	case !refusedAs(err, chat.NotFound):
		return err
	}
	if err := v.call(a, http.MethodPut, []string{"rooms", v.Room}, nil, body, &answer); err != nil {
		return err
	}
	return v.printRoom(a, answer)
}

type setRoomVerb struct {
	backEnd
	Room string `arg:"" help:"The room."`
	roomFields
}

func (*setRoomVerb) Help() string {
	return `What is not given stays as it is. The key needs the scopes read and rooms.

Example:

    roomtide room set shop-42 --title "Order 42, shipped" --read-only`
}

func (v *setRoomVerb) Run(a *app) error {
	body, err := v.body()
	switch {
	case err != nil:
		return err
	case len(body) == 0:
		return usageError("what is to change? give --title, --topic, --avatar, --data, --open or --read-only")
	}
	return v.change(a, v.Room, body)
}

// change changes a room that exists: the node would make one that does not.
func (b *backEnd) change(a *app, id string, body map[string]any) error {
	var answer json.RawMessage
	err := b.get(a, id, &answer)
	if err == nil {
		err = b.call(a, http.MethodPut, []string{"rooms", id}, nil, body, &answer)
	}
	if err != nil {
		return err
	}
	return b.printRoom(a, answer)
}

type archiveRoomVerb struct {
	backEnd
	Room string `arg:"" help:"The room."`
	Undo bool   `help:"Open the archived room again."`
}

func (v *archiveRoomVerb) Run(a *app) error {
	return v.change(a, v.Room, map[string]any{"archived": !v.Undo})
}

type deleteRoomVerb struct {
	backEnd
	Room string `arg:"" help:"The room."`
	Yes  bool   `help:"Yes, delete it: there is no way back but a backup."`
}

func (v *deleteRoomVerb) Run(a *app) error {
	if !v.Yes {
		return usageError(fmt.Sprintf("this deletes the room %q with all its messages, for good: say --yes. \"roomtide room archive\" keeps them", v.Room))
	}
	if err := ofRoom(v.Room, v.call(a, http.MethodDelete, []string{"rooms", v.Room}, nil, nil, nil)); err != nil {
		return err
	}
	return v.done(a, map[string]any{"room": v.Room, "deleted": true}, "%s is deleted", v.Room)
}
