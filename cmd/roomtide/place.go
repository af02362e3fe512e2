package main

import "github.com/roomtide/roomtide/config"

// place is how the verbs beside serve find the settings of the node: they have
// no flags for the others.
type place struct {
	File    string `name:"config" placeholder:"FILE" help:"Configuration file. Default: roomtide.toml in the data dir, if it is there."`
	DataDir string `placeholder:"DIR" help:"Data dir of the node. Default: ./roomtide-data."`

	Shard   []config.Shard `sep:"none" placeholder:"DSN" help:"A database of the node, as serve has it. May be repeated."`
	Control string         `placeholder:"DSN" help:"The control database of the node, as serve has it."`
}

// load returns the settings, unchecked: what is missing to serve, such as a
// certificate, does not stop a verb that works on the data.
func (p *place) load(a *app) (*config.Config, error) {
	given := &config.Config{DataDir: p.DataDir, Shards: p.Shard, Control: p.Control}
	return config.Load(config.Args{File: p.File, Values: given, Given: a.given}, a.env)
}

// sound makes the problems of loaded settings an error.
func sound(c *config.Config, err error) (*config.Config, error) {
	if err != nil {
		return nil, err
	}
	if problems := c.Check(); len(problems) > 0 {
		return nil, problems
	}
	return c, nil
}
