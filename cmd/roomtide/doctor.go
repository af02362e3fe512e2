package main

import (
	"errors"

	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/doctor"
)

type doctorVerb struct {
	File          string `name:"config" placeholder:"FILE" help:"Configuration file. Default: roomtide.toml in the data dir."`
	config.Config `embed:""`
	URL           string   `name:"url" placeholder:"URL" help:"Address under which browsers reach the node, such as https://www.example.org/chat: the way there is tried out."`
	NATSMonitor   []string `name:"nats-monitor" placeholder:"URL" help:"Where a NATS server tells of itself (its http_port), to see whether it waits for its disk. May be repeated. Default: port 8222 of each host of nats.url."`
	JSON          bool     `name:"json" help:"Print one JSON object."`
}

func (*doctorVerb) Help() string {
	return `Looks at the settings, the files with keys and who can read them, the databases, Redis, NATS and its
queue, the other nodes and their clocks, the running node, the descriptors, disk and clock of the machine, and with --url at the way from a browser to the
node. Changes nothing. Each finding is ok, warn or fail, and says what to do; exits with 1 if
something failed. Run it on the machine of the node, as its user, with the flags of serve if it
has any.

Example:

    sudo -u roomtide roomtide doctor --data-dir /var/lib/roomtide --url https://www.example.org/chat`
}

func (v *doctorVerb) Run(a *app) error {
	var found []doctor.Finding
	cfg, err := config.Load(config.Args{File: v.File, Values: &v.Config, Given: a.given}, a.env)
	var problems config.Problems
	switch {
	case errors.As(err, &problems):
		found = doctor.Unreadable(problems)
	case err != nil:
		return err
	default:
		found = doctor.Examine(a.ctx, doctor.Options{Config: cfg, Version: version(), URL: v.URL, NATSMonitor: v.NATSMonitor})
	}
	if v.JSON {
		err = doctor.PrintJSON(a.stdout, found)
	} else {
		color, columns := terminal(a.stdout, a.env)
		err = doctor.Print(a.stdout, found, color, columns)
	}
	if err == nil && doctor.Worst(found) == doctor.Fail {
		err = exitCode(exitFailed)
	}
	return err
}
