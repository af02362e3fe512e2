package main

import (
	"fmt"

	"github.com/roomtide/roomtide/server"
)

type rebuildVerb struct{ place }

func (*rebuildVerb) Help() string {
	return `Writes the users' side of every membership (which rooms a user is in) anew from the rooms.
Read marks stay. Stop the node first. It may be interrupted and run again.`
}

func (v *rebuildVerb) Run(a *app) error {
	cfg, err := v.load(a)
	if err != nil {
		return err
	}
	err = server.Rebuild(a.ctx, cfg, func(shard string, done int) {
		fmt.Fprintf(a.stderr, "%s: %d memberships\n", shard, done)
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.stdout, "done")
	return err
}
