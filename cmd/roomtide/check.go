package main

import (
	"fmt"
	"strings"

	"github.com/roomtide/roomtide/server"
)

type checkVerb struct{ place }

func (*checkVerb) Help() string {
	return `Verifies every database: its structure, and that the messages of each room are numbered
1, 2, 3… without a hole. Stop the node first. Exits with 1 if something is wrong.`
}

func (v *checkVerb) Run(a *app) error {
	cfg, err := v.load(a)
	if err != nil {
		return err
	}
	shards, wrong, err := server.Check(a.ctx, cfg)
	if err != nil {
		return err
	}
	for _, line := range wrong {
		fmt.Fprintln(a.stdout, line)
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%d things are wrong with the data in %s; keep a copy of it before you do anything else", len(wrong), strings.Join(shards, ", "))
	}
	_, err = fmt.Fprintf(a.stdout, "the data in %s is whole\n", strings.Join(shards, ", "))
	return err
}
