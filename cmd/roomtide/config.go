package main

import (
	"fmt"

	"github.com/roomtide/roomtide/config"
)

type configVerb struct {
	Print printConfigVerb `cmd:"" help:"Print the settings in force and where each came from."`
	Check checkConfigVerb `cmd:"" help:"Tell everything that is wrong with the settings."`
	Doc   docConfigVerb   `cmd:"" help:"Print the reference of all settings, or a configuration file."`
}

// The flags are those of serve, so that a command line can be tried out.
type printConfigVerb struct {
	File          string `name:"config" placeholder:"FILE" help:"Configuration file. Default: roomtide.toml in the data dir."`
	config.Config `embed:""`
}

const allSettings = `Takes every flag of serve besides, so that a command line can be tried out: "roomtide serve --help"
lists them.`

func (*printConfigVerb) Help() string { return allSettings }

func (v *printConfigVerb) Run(a *app) error {
	cfg, err := config.Load(config.Args{File: v.File, Values: &v.Config, Given: a.given}, a.env)
	if err != nil {
		return err
	}
	return cfg.Print(a.stdout)
}

type checkConfigVerb struct {
	File          string `name:"config" placeholder:"FILE" help:"Configuration file. Default: roomtide.toml in the data dir."`
	config.Config `embed:""`
}

func (*checkConfigVerb) Help() string { return allSettings }

func (v *checkConfigVerb) Run(a *app) error {
	cfg, err := sound(config.Load(config.Args{File: v.File, Values: &v.Config, Given: a.given}, a.env))
	if err != nil {
		return err
	}
	for _, w := range cfg.Warnings() {
		fmt.Fprintln(a.stdout, "warning:", w)
	}
	_, err = fmt.Fprintln(a.stdout, "the settings are sound")
	return err
}

type docConfigVerb struct {
	TOML bool `name:"toml" help:"Print the commented configuration file that the first start writes."`
}

func (v *docConfigVerb) Run(a *app) error {
	if v.TOML {
		return config.WriteTOML(a.stdout)
	}
	return config.Doc(a.stdout)
}
