package bench

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Flags are the command line of "roomtide bench", in the tags of its parser. A nil
// pointer is a flag that was not given: the scenario decides.
type Flags struct {
	Scenario []string `arg:"" optional:"" words:"rooms,fanout,fanout5k,rate,idle,idle10k,storm,slow,start,all,load" help:"What to measure, see below. Default: rooms, fanout, idle and start, or load with flags that say what it is."`

	JSON  bool `name:"json" help:"Print one JSON object for each run."`
	Quiet bool `short:"q" help:"Do not say how far it is."`

	Addr   string `group:"Server" placeholder:"HOST:PORT" help:"A running server that welcomes guests, started with --no-rate-limits; or the nodes of a cluster, separated by commas. Default: a new one for each scenario."`
	PID    []int  `group:"Server" name:"pid" placeholder:"PID" help:"Process id of that server, or of each node, for its CPU and memory."`
	DBPID  []int  `group:"Server" name:"database-pid" placeholder:"PID" help:"Process ids of the database servers, and others, that it uses, for their CPU and that of their children."`
	Floors bool   `group:"Server" help:"Measure the two floors as well: servers that send and do nothing else."`
	Node   string `group:"Server" placeholder:"DIR" help:"Measure Socket.IO on Node as well, which is installed in this directory (npm install socket.io)."`

	Mode     string         `group:"Load" placeholder:"MODE" words:"load,idle" help:"load or idle: whether members write."`
	Proto    string         `group:"Load" placeholder:"PROTOCOL" words:"native,socketio" help:"native or socketio (over WebSocket)."`
	Rooms    *int           `group:"Load" placeholder:"N" help:"Rooms."`
	Members  *int           `group:"Load" placeholder:"N" help:"Members of each room, a connection each."`
	Senders  *int           `group:"Load" placeholder:"N" help:"Members that write; in a storm those that stay besides."`
	Window   *int           `group:"Load" placeholder:"N" help:"Closed loop: messages of a sender in flight."`
	Pause    *time.Duration `group:"Load" placeholder:"TIME" help:"Closed loop: how long a sender waits before each message."`
	Rate     *float64       `group:"Load" placeholder:"N" help:"Open loop: messages a second in all; latencies count from the intended time."`
	Duration *time.Duration `group:"Load" placeholder:"TIME" help:"How long; storm and slow: each of the phases before and after."`
	Rest     *time.Duration `group:"Load" placeholder:"TIME" help:"idle: how long the connections are there before it counts."`
	Stop     *time.Duration `group:"Load" placeholder:"TIME" help:"slow: how long the member does not read."`
	Size     *int           `group:"Load" placeholder:"BYTES" help:"Bytes of text in a message."`
	Keys     bool           `group:"Load" help:"Give every message an idempotency key."`
	Devices  bool           `group:"Load" help:"Register a device for every member, who is told nothing there while connected. A running server has to have --push-log."`

	// The bench starts itself with these.
	ServeFloor string `hidden:"" help:"Be floor A or B instead of a load."`
	Listen     string `hidden:"" help:"Where the floor listens."`
	Stay       string `hidden:"" help:"Be the senders that stay in a storm."`
}

// Help describes the scenarios.
func (*Flags) Help() string {
	return `Scenarios:

    rooms     200 rooms x 10 members, a sender in each, 8 messages in flight
    fanout    one room x 1000 members, one sender, 16 messages in flight
    fanout5k  one room x 5000 members, 4 senders, 64 messages in flight
    rate      one room x 1000 members, 20 messages a second
    idle      2000 connections that say nothing
    idle10k   10000 of them
    storm     10000 connections are cut at once and come back with the timing of
              the stock Socket.IO client, while 20 senders in their rooms go on
    slow      one room x 1000 members, 20 messages a second; one member does not
              read for a minute
    start     from the start of the process to the first acknowledged message
    all       all of them
    load      10 rooms x 10 members, a sender in each, 8 messages in flight, or
              what the flags say

The flags of the load change the scenarios they are given with.`
}

// Validate refuses what cannot be measured.
func (f *Flags) Validate() error {
	_, err := f.options()
	return err
}

// options reads the flags.
func (f *Flags) options() (o options, err error) {
	o = options{addr: f.Addr, pids: f.PID, databases: f.DBPID, floors: f.Floors, node: f.Node, json: f.JSON, floor: f.ServeFloor, listen: f.Listen, stay: f.Stay, devices: f.Devices}
	if f.Mode != "" && f.Mode != "load" && f.Mode != "idle" {
		return o, fmt.Errorf("there is no mode %q, only load and idle", f.Mode)
	}
	names := f.Scenario
	switch {
	case len(names) == 0 && (f.loaded() || f.Addr != ""):
		names = []string{"load"}
	case len(names) == 0:
		names = few
	}
	known := append(slices.Clone(scenarios), Scenario{Name: "load", Rooms: 10, Members: 10, Senders: 10, Window: 8, Size: 120, Duration: 5 * time.Second})
	for _, name := range names {
		found := false
		for _, s := range known {
			if s.Name != name && (name != "all" || s.Name == "load") {
				continue
			}
			found = true
			f.override(&s)
			if err := s.check(); err != nil {
				return o, err
			}
			if s.Start && f.Addr != "" {
				return o, errors.New("the scenario start needs a server of its own; leave out --addr")
			}
			o.scenarios = append(o.scenarios, s)
		}
		if !found {
			return o, fmt.Errorf("there is no scenario %q", name)
		}
	}
	return o, nil
}

// loaded reports whether a flag says what the load is.
func (f *Flags) loaded() bool {
	var plain, flagged Scenario
	f.override(&flagged)
	plain.Proto = "native"
	return flagged != plain || f.Mode != ""
}

// override takes over from the flags what was given.
func (f *Flags) override(s *Scenario) {
	s.Proto = "native"
	if f.Proto != "" {
		s.Proto = f.Proto
	}
	if f.Mode != "" {
		s.Idle = f.Mode == "idle"
	}
	if f.Keys {
		s.Keys = true
	}
	if f.Devices {
		s.Devices = true
	}
	given(&s.Rooms, f.Rooms)
	given(&s.Members, f.Members)
	given(&s.Senders, f.Senders)
	given(&s.Window, f.Window)
	given(&s.Pause, f.Pause)
	given(&s.Rate, f.Rate)
	given(&s.Duration, f.Duration)
	given(&s.Rest, f.Rest)
	given(&s.Stop, f.Stop)
	given(&s.Size, f.Size)
}

func given[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}
