package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/server"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/transfer"
)

type exportVerb struct {
	place
	Room string `xor:"what" required:"" placeholder:"ID" help:"Export one room."`
	User string `xor:"what" required:"" placeholder:"ID" help:"Export what is stored of one user, for them to have. It cannot be imported."`
	All  bool   `xor:"what" required:"" help:"Export every room and user."`
	Out  string `placeholder:"FILE" help:"File to make; it is there when all of it is written. Default: standard output."`
}

func (*exportVerb) Help() string {
	return `Writes rooms and users as lines of JSON: numbers, revs, keys, times, edits, reactions, members with
roles and bans, read marks, profiles. "roomtide import" reads them into the same or another
deployment, whatever its databases are. Stop the node first. Keys of back ends, the key of tokens
and settings are not part of it.

Examples:

    roomtide export --all --out chat.jsonl
    roomtide export --all | gzip > chat.jsonl.gz
    roomtide export --user ann --out ann.jsonl    # a user asks for their data`
}

func (v *exportVerb) Run(a *app) error {
	cfg, err := v.load(a)
	if err != nil {
		return err
	}
	return server.WithStore(a.ctx, cfg, func(st *store.Store) error {
		return v.into(a, func(out io.Writer) error { return v.export(a, st, out) })
	})
}

func (v *exportVerb) export(a *app, st *store.Store, out io.Writer) (err error) {
	var c transfer.Counts
	progress := a.progress()
	switch {
	case v.All:
		c, err = transfer.ExportAll(a.ctx, st, out, progress)
	case v.Room != "":
		c, err = transfer.ExportRoom(a.ctx, st, chat.RoomID(v.Room), out, progress)
	default:
		c, err = transfer.ExportUser(a.ctx, st, chat.UserID(v.User), out, progress)
	}
	if err != nil {
		return stopped(a, err)
	}
	_, err = fmt.Fprintf(a.stderr, "done: %d rooms, %d members, %d messages, %d reactions, %d profiles\n",
		c.Rooms, c.Members, c.Messages, c.Reactions, c.Users)
	return err
}

// into has write write to the file, which appears when it is complete, or to standard
// output.
func (v *exportVerb) into(a *app, write func(io.Writer) error) error {
	if v.Out == "" || v.Out == "-" {
		return write(a.stdout)
	}
	if _, err := os.Lstat(v.Out); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is there already: give another name, or move it away", v.Out)
	}
	f, err := os.CreateTemp(filepath.Dir(v.Out), filepath.Base(v.Out)+".part.*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already when all went well
	err = write(f)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), v.Out)
}

// progress prints progress once in a while.
func (a *app) progress() transfer.Progress {
	var last time.Time
	return func(done string, c transfer.Counts) {
		if now := time.Now(); now.Sub(last) >= time.Second {
			last = now
			fmt.Fprintf(a.stderr, "%s %d rows: %d rooms, %d messages\n", done, c.Rows(), c.Rooms, c.Messages)
		}
	}
}

// stopped returns err, or what to say instead if it comes from a signal.
func stopped(a *app, err error) error {
	if errors.Is(a.ctx.Err(), context.Canceled) {
		return errors.New("interrupted")
	}
	return err
}
