package main

import "github.com/roomtide/roomtide/bench"

type benchVerb struct {
	Args []string `arg:"" optional:"" help:"Flags of the benchmark; \"roomtide bench --help\" lists them."`
}

func (v *benchVerb) Run(a *app) error { return bench.Main(a.ctx, v.Args, a.stdout) }
