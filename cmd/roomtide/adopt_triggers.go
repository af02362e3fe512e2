package main

import (
	"fmt"

	"github.com/roomtide/roomtide/adopt"
	"github.com/roomtide/roomtide/adopt/follow"
	"github.com/roomtide/roomtide/adopt/source"
)

// adoptTriggers are for sources whose binary log cannot be read.
type adoptTriggers struct {
	Print   triggersPrint   `cmd:"" help:"Print the statements, for an administrator to run."`
	Install triggersInstall `cmd:"" help:"Make the table of changes and the triggers that fill it."`
	Remove  triggersRemove  `cmd:"" help:"Remove the triggers and the table of changes."`
}

type triggersPrint struct{ adoptFile }

func (*triggersPrint) Help() string {
	return `Each trigger writes the key of a row that was written into the table roomtide_changes, from which "roomtide adopt run
--follow triggers" takes it. The user of adopt.toml needs the rights to read and delete there. The triggers run with
the rights of the user who makes them: if that user is removed, the site cannot write any more.

Example:

    roomtide adopt triggers print | mysql shop`
}

func (v *triggersPrint) Run(a *app) error {
	return v.withSource(a, func(c follow.Config) error {
		statements, err := follow.TriggerStatements(a.ctx, c)
		if err == nil && v.JSON {
			return printJSON(a.stdout, statements)
		}
		for _, s := range statements {
			fmt.Fprintln(a.stdout, s+";")
		}
		return err
	})
}

type triggersInstall struct{ adoptFile }

func (*triggersInstall) Help() string {
	return `Waits no more than five seconds for a table that is in use, as all that write to it wait meanwhile; then it says so,
and can be called again. What is there already stays. Where the user of adopt.toml may not make triggers, let an
administrator run what "roomtide adopt triggers print" prints.`
}

func (v *triggersInstall) Run(a *app) error {
	return v.withSource(a, func(c follow.Config) error {
		err := follow.Install(a.ctx, c)
		if err == nil && !v.JSON {
			fmt.Fprintln(a.stdout, `the triggers are there; "roomtide adopt run --follow triggers" follows by them`)
		}
		return err
	})
}

type triggersRemove struct{ adoptFile }

func (v *triggersRemove) Run(a *app) error {
	return v.withSource(a, func(c follow.Config) error {
		_, err := follow.Remove(a.ctx, c)
		if err == nil && !v.JSON {
			fmt.Fprintln(a.stdout, "the triggers and the table of changes are gone")
		}
		return err
	})
}

// withSource does something with the tables of the mapping. No node is needed for that.
func (v *adoptFile) withSource(a *app, do func(follow.Config) error) error {
	m, err := v.mapping()
	if err != nil {
		return argument(err)
	}
	secret := func(name string) (string, bool) { return variable(a.env, name) }
	src, err := source.Open(a.ctx, m, source.Options{Secret: secret})
	if err != nil {
		return argument(err)
	}
	defer src.Close()
	return argument(do(adopt.Following(m, src, secret)))
}
