package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/wire"
)

type tailVerb struct {
	remote
	After *chat.Rev `placeholder:"REV" help:"Begin after this rev. Default: with the newest messages."`
	JSON  bool      `name:"json" help:"Print every event as one line of JSON, as clients receive it."`
}

func (*tailVerb) Help() string {
	return `Prints until it is interrupted. When the connection is lost it is made again, and nothing is
missed or printed twice.

Examples:

    roomtide tail --room ops --user me
    roomtide tail --room ops --user me --after 0 --json | jq .message`
}

func (v *tailVerb) Run(a *app) error {
	c, err := v.dial(a)
	if err != nil {
		return err
	}
	defer c.Close()
	var opts client.JoinOptions
	if v.After != nil {
		opts.After = &client.Position{Rev: *v.After}
	}
	joined, err := c.Join(a.ctx, chat.RoomID(v.Room), opts)
	if err != nil {
		return err
	}
	for _, m := range joined.Messages {
		newest := chat.Event{Kind: chat.EventMessage, Room: m.Room, Rev: m.Rev, Message: &m}
		if err := v.print(a.stdout, client.Event{Event: newest}); err != nil {
			return err
		}
	}
	return v.follow(a, c)
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

// print writes the event, as a line of text or as JSON.
func (v *tailVerb) print(w io.Writer, ev client.Event) error {
	if ev.Kind == 0 { // news of the connection, which the log has
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
		return line(w, m, "(deleted)")
	case ev.Kind == chat.EventMessage:
		return line(w, m, m.Text)
	case ev.Kind == chat.EventEdited:
		return line(w, m, m.Text+" (edited)")
	}
	return nil
}

// line writes one message on one line; control characters, which could move the
// cursor or change the colours of a terminal, are taken out.
func line(w io.Writer, m *chat.Message, text string) error {
	clean := strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r):
			return -1
		}
		return r
	}, text)
	at := time.UnixMilli(m.Time).Local().Format("15:04:05")
	_, err := fmt.Fprintf(w, "%s %d %s: %s\n", at, m.Seq, m.User, clean)
	return err
}
