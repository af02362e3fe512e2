package main

import (
	"fmt"

	"github.com/roomtide/roomtide/server"
)

type controlVerb struct {
	Move moveControlVerb `cmd:"" help:"Move it from its file to a database, as several nodes need it."`
}

type moveControlVerb struct {
	place
	To string `required:"" placeholder:"DSN" help:"The database: the name of one of the shards, or a DSN."`
}

func (*moveControlVerb) Help() string {
	return `The control database says which shard has which rooms, and has the API keys and the webhooks. A
node that began with SQLite has it in the file control.db of its data dir. Stop the node first; this takes a
second, and may be interrupted and run again. The file is kept as control.db.moved.

Examples:

    roomtide control move --to db1.example/chat --data-dir /var/lib/roomtide
    roomtide control move --to 'mysql://chat:secret@db1.example/chat_control'`
}

func (v *moveControlVerb) Run(a *app) error {
	cfg, err := v.load(a)
	if err != nil {
		return err
	}
	moved, err := server.MoveControl(a.ctx, cfg, v.To)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "the control database is in %s now; its file is kept as %s, and nothing reads it any more\n", moved.Name, moved.File)
	if moved.Shard {
		return nil
	}
	_, err = fmt.Fprintln(a.stdout, "before a node starts, its settings have to say where it is: control = \"…\", with what --to was")
	return err
}
