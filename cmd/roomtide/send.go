package main

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
)

type sendVerb struct {
	remote
	Key  string   `help:"Idempotency key: however often a message is sent with it, it is there once."`
	Text []string `arg:"" optional:"" help:"The message. Without it every line of the standard input is one."`
}

func (*sendVerb) Help() string {
	return `Prints the number of each message in its room, once it is stored.

Examples:

    roomtide send --room ops --user deploy "version 7 is live"
    tail -f app.log | ROOMTIDE_TOKEN=... roomtide send --room logs`
}

func (v *sendVerb) Run(a *app) error {
	if v.Key != "" && len(v.Text) == 0 {
		return usageError("--key is for one message: give its text on the command line")
	}
	c, err := v.dial(a)
	if err != nil {
		return err
	}
	defer c.Close()
	go func() { // ends with Close
		for range c.Events() {
		}
	}()
	if _, err := c.Join(a.ctx, chat.RoomID(v.Room), client.JoinOptions{}); err != nil {
		return err
	}
	if len(v.Text) > 0 {
		return v.send(a, c, strings.Join(v.Text, " "))
	}
	in := bufio.NewScanner(a.stdin)
	in.Buffer(nil, chat.DefaultLimits().FrameBytes)
	for in.Scan() {
		if err := v.send(a, c, in.Text()); err != nil {
			return err
		}
	}
	return in.Err()
}

func (v *sendVerb) send(a *app, c *client.Client, text string) error {
	sent, err := c.Send(a.ctx, chat.RoomID(v.Room), chat.Draft{Text: text, Key: v.Key})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.stdout, sent.Seq)
	return err
}
