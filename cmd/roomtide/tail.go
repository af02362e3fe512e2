package main

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/wire"
)

type tailVerb struct {
	remote
	Room  []string      `required:"" sep:"none" placeholder:"ROOM" help:"The room. May be repeated."`
	After *chat.Rev     `placeholder:"REV" help:"Begin after this rev. Default: with the newest messages."`
	From  []chat.UserID `sep:"none" placeholder:"USER" help:"Only what this user did. May be repeated."`
	Kinds []string      `placeholder:"KIND" words:"message,edited,deleted,reacted,member,members,room,presence,typing,read" help:"Only these kinds of events: message, edited, deleted; with --json also reacted, member, members, room, presence, typing, read."`
	Dates bool          `help:"Print the date beside the time of day."`
	JSON  bool          `name:"json" help:"Print every event as one line of JSON, as clients receive it."`

	kinds []chat.EventKind // of Kinds
}

func (*tailVerb) Help() string {
	return `Prints until it is interrupted. When the connection is lost it is made again, and nothing is
missed or printed twice. A line has the time, the room if there are several, the number of the
message, and the name of its author with the user id if that differs.

Examples:

    roomtide tail --room ops --user me
    roomtide tail --room ops --room board --user me --dates --from deploy
    roomtide tail --room ops --user me --after 0 --json --kinds message,edited | jq .message`
}

func (v *tailVerb) Run(a *app) error {
	if err := v.check(); err != nil {
		return err
	}
	c, err := v.dial(a)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, room := range v.Room {
		if err := v.join(a, c, chat.RoomID(room)); err != nil {
			return err
		}
	}
	return v.follow(a, c)
}

// check refuses flags that do not go together, and reads Kinds.
func (v *tailVerb) check() error {
	for _, room := range v.Room {
		if err := checkRoom(room); err != nil {
			return err
		}
	}
	for _, user := range v.From {
		if err := checkUser(string(user)); err != nil {
			return err
		}
	}
	for _, name := range v.Kinds {
		kind, ok := chat.ParseEventKind(name)
		if !ok {
			return usageError(fmt.Sprintf("--kinds: there is no kind of event %q", name))
		}
		if !v.JSON && !slices.Contains(printed, kind) {
			return usageError(fmt.Sprintf("--kinds: events of the kind %s are printed with --json only", name))
		}
		v.kinds = append(v.kinds, kind)
	}
	if slices.Sort(v.Room); len(slices.Compact(slices.Clone(v.Room))) < len(v.Room) {
		return usageError("--room: a room is named twice")
	}
	switch {
	case v.After == nil:
	case *v.After < 0:
		return usageError("--after: a rev is not negative")
	case len(v.Room) > 1:
		return usageError("--after is a place in one room: give one --room")
	}
	return nil
}

// printed are the kinds that are lines of text.
var printed = []chat.EventKind{chat.EventMessage, chat.EventEdited, chat.EventDeleted}

func (v *tailVerb) join(a *app, c *client.Client, room chat.RoomID) error {
	var opts client.JoinOptions
	if v.After != nil {
		opts.After = &client.Position{Rev: *v.After}
	}
	joined, err := c.Join(a.ctx, room, opts)
	if err != nil {
		return err
	}
	for _, m := range joined.Messages {
		newest := chat.Event{Kind: chat.EventMessage, Room: m.Room, Rev: m.Rev, Message: &m}
		if err := v.print(a.stdout, client.Event{Event: newest}); err != nil {
			return err
		}
	}
	return nil
}

// follow prints until a signal or the server ends it.
func (v *tailVerb) follow(a *app, c *client.Client) error {
	for {
		select {
		case ev, ok := <-c.Events():
			if !ok {
				return c.Err()
			}
			if ev.News == client.Left || ev.News == client.Ended {
				return ev.Err
			}
			if err := v.print(a.stdout, ev); err != nil {
				return err
			}
		case <-a.ctx.Done():
			return nil
		}
	}
}

// print writes the event, as a line of text or as JSON, unless a filter leaves it out.
func (v *tailVerb) print(w io.Writer, ev client.Event) error {
	if ev.Kind == 0 { // news of the connection, which the log has
		return nil
	}
	if len(v.kinds) > 0 && !slices.Contains(v.kinds, ev.Kind) {
		return nil
	}
	if len(v.From) > 0 && !slices.Contains(v.From, author(&ev.Event)) {
		return nil
	}
	if v.JSON {
		_, err := fmt.Fprintf(w, "%s\n", wire.AppendEvent(nil, &ev.Event))
		return err
	}
	m := ev.Message
	switch {
	case m == nil:
	case m.Deleted || ev.Kind == chat.EventDeleted:
		return v.line(w, m, "(deleted)")
	case ev.Kind == chat.EventMessage:
		return v.line(w, m, m.Text)
	case ev.Kind == chat.EventEdited:
		return v.line(w, m, m.Text+" (edited)")
	}
	return nil
}

// author is the user that an event is about: whose message, membership, reaction or
// mark it is. It is empty for what is about the room.
func author(ev *chat.Event) chat.UserID {
	switch {
	case ev.Message != nil:
		return ev.Message.User
	case ev.Member != nil:
		return ev.Member.User
	}
	return ev.User
}

// line writes one message on one line.
func (v *tailVerb) line(w io.Writer, m *chat.Message, text string) error {
	layout := time.TimeOnly
	if v.Dates {
		layout = time.DateTime
	}
	room, name := "", plain(string(m.User))
	if len(v.Room) > 1 {
		room = plain(string(m.Room)) + " "
	}
	if m.Name != "" && m.Name != string(m.User) {
		name = plain(m.Name) + " (" + name + ")"
	}
	_, err := fmt.Fprintf(w, "%s %s%d %s: %s\n", time.UnixMilli(m.Time).Local().Format(layout), room, m.Seq, name, plain(text))
	return err
}
