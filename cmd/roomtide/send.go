package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
)

type sendVerb struct {
	remote
	Room string   `required:"" help:"The room."`
	Key  string   `help:"Idempotency key: however often a message is sent with it, it is there once."`
	Text []string `arg:"" optional:"" help:"The message. Without it every line of the standard input is one."`
}

func (*sendVerb) Help() string {
	return `Prints the number of each message in its room, once it is stored. A line that cannot be a message,
because it is empty or too long, is left out and named on the standard error; the exit code is then 1.

Examples:

    roomtide send --room ops --user deploy "version 7 is live"
    tail -f app.log | ROOMTIDE_TOKEN=... roomtide send --room logs`
}

func (v *sendVerb) Run(a *app) error {
	text := strings.Join(v.Text, " ")
	if err := v.check(text); err != nil {
		return err
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
		return v.send(a, c, text)
	}
	return v.sendLines(a, c)
}

// check refuses what no server would take.
func (v *sendVerb) check(text string) error {
	switch {
	case v.Key != "" && len(v.Text) == 0:
		return usageError("--key is for one message: give its text on the command line")
	case len(v.Text) > 0 && strings.TrimSpace(text) == "":
		return usageError("the message is empty")
	}
	if err := chat.CheckKey(v.Key, &chat.Limits{KeyBytes: longest}); err != nil {
		return argument(err)
	}
	return checkRoom(v.Room)
}

// sendLines sends every line of the standard input. It goes on over lines that cannot
// be messages, and ends at any other error.
func (v *sendVerb) sendLines(a *app, c *client.Client) error {
	in := bufio.NewReader(a.stdin)
	limit := c.Limits().MessageBytes
	left := 0
	for n := 1; ; n++ {
		text, whole, err := readLine(in, limit)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if err != nil && text == "" {
			break
		}
		reason := fmt.Errorf("it is longer than %d bytes", limit)
		if whole {
			reason = v.send(a, c, text)
		}
		switch kind := chat.KindOf(reason); {
		case reason == nil:
		case whole && kind != chat.Invalid && kind != chat.TooLarge:
			return fmt.Errorf("line %d: %w", n, reason)
		default:
			left++
			fmt.Fprintf(a.stderr, "line %d was left out: %s\n", n, words(reason))
		}
	}
	if left > 0 {
		return fmt.Errorf("%d of the lines were left out", left)
	}
	return nil
}

// readLine returns the next line without its end, as far as limit bytes; whole is
// false if there were more, which are skipped. The error is io.EOF after the last
// line, which may have come without an end.
func readLine(in *bufio.Reader, limit int) (line string, whole bool, err error) {
	var b []byte
	whole = true
	for {
		part, err := in.ReadSlice('\n')
		if whole {
			b = append(b, part...)
		}
		if len(strings.TrimRight(string(b), "\r\n")) > limit {
			b, whole = b[:limit], false
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"), whole, err
		}
	}
}

func (v *sendVerb) send(a *app, c *client.Client, text string) error {
	sent, err := c.Send(a.ctx, chat.RoomID(v.Room), chat.Draft{Text: text, Key: v.Key})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.stdout, sent.Seq)
	return err
}
