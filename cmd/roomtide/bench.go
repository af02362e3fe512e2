package main

import "github.com/roomtide/roomtide/bench"

type benchVerb struct{ bench.Flags }

func (v *benchVerb) Run(a *app) error { return bench.Run(a.ctx, &v.Flags, a.stdout, a.stderr) }
