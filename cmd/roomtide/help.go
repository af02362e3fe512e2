package main

import (
	"slices"

	"github.com/alecthomas/kong"
)

type helpVerb struct {
	Verb []string `arg:"" optional:"" complete:"verbs" help:"The verb, such as \"key add\"."`
}

// Run prints what --help prints after the verb.
func (v *helpVerb) Run(a *app) error {
	if code := run(a, append(slices.Clone(v.Verb), "--help")); code != 0 {
		return exitCode(code)
	}
	return nil
}

// exitCode is an error that has been reported already.
type exitCode int

func (exitCode) Error() string { return "" }

// settingsVerbs take every flag of serve, which serve explains.
var settingsVerbs = []string{"config print", "config check", "doctor"}

// printHelp is kong's help without the flags that are explained elsewhere: --version
// after a verb, and the settings after a verb that only takes them.
func printHelp(options kong.HelpOptions, ctx *kong.Context) error {
	node := ctx.Selected()
	if node == nil {
		return kong.DefaultHelpPrinter(options, ctx)
	}
	hide := func(flags []*kong.Flag, but ...string) {
		for _, f := range flags {
			f.Hidden = f.Hidden || !slices.Contains(but, f.Name)
		}
	}
	hide(ctx.Model.Flags, "help")
	if slices.Contains(settingsVerbs, node.Path()) {
		hide(node.Flags, "config", "data-dir", "url", "json")
	}
	return kong.DefaultHelpPrinter(options, ctx)
}
