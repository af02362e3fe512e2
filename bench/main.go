package bench

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// options are the flags of "roomtide bench".
type options struct {
	scenarios []Scenario
	addr      string // "" for a server that the bench starts
	pid       int
	database  int // process id of a database server
	floors    bool
	node      string // directory of Node packages with socket.io
	json      bool
	floor     string // run as a floor instead
	listen    string
	stay      string // be the senders that stay in a storm instead
}

// Main is the verb. args are what follows "bench" on the command line.
func Main(ctx context.Context, args []string, stdout io.Writer) error {
	o, err := parse(args, stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	case o.floor != "":
		return serveFloor(ctx, o.floor, o.listen)
	case o.stay != "":
		return stay(ctx, o.stay, os.Stdin, stdout)
	}
	var results []*Result
	anomalies := 0
	for _, s := range o.scenarios {
		for _, server := range append([]string{""}, o.rivals(s)...) {
			r, err := run(ctx, o, s, server)
			if err != nil {
				return fmt.Errorf("bench: %s: %w", s.Name, err)
			}
			anomalies += r.Anomalies.total()
			results = append(results, r)
			if err := r.print(stdout, o.json); err != nil {
				return err
			}
		}
	}
	if len(results) > 1 && !o.json {
		if err := printTable(stdout, results); err != nil {
			return err
		}
	}
	if anomalies > 0 {
		return fmt.Errorf("bench: %d anomalies", anomalies)
	}
	return nil
}

const usage = `Usage: roomtide bench [SCENARIO...] [FLAGS]

Scenarios:

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
  load      what the flags say (the default with flags)

The default without flags is rooms, fanout, idle and start. Without --addr each
scenario gets a server of its own. The flags change the scenarios they are given
with:

`

func parse(args []string, stdout io.Writer) (o options, err error) {
	var names []string
	for len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		names, args = append(names, args[0]), args[1:]
	}
	switch {
	case len(names) == 0 && len(args) > 0:
		names = []string{"load"}
	case len(names) == 0:
		names = few
	}
	s := Scenario{Name: "load", Rooms: 10, Members: 10, Senders: 10, Window: 8, Size: 120, Duration: 5 * time.Second}
	given, err := o.parseFlags(&s, args, stdout)
	if err != nil {
		return o, err
	}
	known := append(slices.Clone(scenarios), s)
	for _, name := range names {
		found := false
		for _, preset := range known {
			if preset.Name != name && (name != "all" || preset.Name == "load") {
				continue
			}
			found = true
			preset.override(&s, given)
			o.scenarios = append(o.scenarios, preset)
			if err := preset.check(); err != nil {
				return o, err
			}
		}
		if !found {
			return o, fmt.Errorf("bench: there is no scenario %q", name)
		}
	}
	return o, nil
}

// parseFlags reads what follows the scenarios, and returns which flags were given.
func (o *options) parseFlags(s *Scenario, args []string, stdout io.Writer) (given map[string]bool, err error) {
	mode := "load"
	f := flag.NewFlagSet("roomtide bench", flag.ContinueOnError)
	f.SetOutput(stdout)
	f.Usage = func() { fmt.Fprint(stdout, usage); f.PrintDefaults() }
	f.StringVar(&o.addr, "addr", "", "host:port of a running server that welcomes guests, started with --no-rate-limits")
	f.IntVar(&o.pid, "pid", 0, "process id of that server, for its CPU and memory")
	f.IntVar(&o.database, "database-pid", 0, "process id of the database server that it uses, for its CPU and that of its children")
	f.BoolVar(&o.json, "json", false, "print one JSON object for each run")
	f.BoolVar(&o.floors, "floors", false, "measure the two floors as well, which speak the native protocol")
	f.StringVar(&o.node, "node", "", "measure Socket.IO on Node as well, which is installed (npm install socket.io) in this `DIRECTORY`")
	f.StringVar(&o.floor, "serve-floor", "", "be floor A or B instead of a load (the bench starts it by itself)")
	f.StringVar(&o.listen, "listen", "", "where the floor listens")
	f.StringVar(&o.stay, "stay", "", "be the senders that stay in a storm (the bench starts them by itself)")
	f.StringVar(&mode, "mode", mode, "load or idle")
	f.StringVar(&s.Proto, "proto", "native", "native or socketio (over WebSocket)")
	f.IntVar(&s.Rooms, "rooms", s.Rooms, "rooms")
	f.IntVar(&s.Members, "members", s.Members, "members of each room, a connection each")
	f.IntVar(&s.Senders, "senders", s.Senders, "members that write; in a storm those that stay besides")
	f.IntVar(&s.Window, "window", s.Window, "closed loop: messages of a sender in flight")
	f.DurationVar(&s.Pause, "pause", 0, "closed loop: how long a sender waits before each message")
	f.Float64Var(&s.Rate, "rate", 0, "open loop: messages a second in all; latencies count from the intended time")
	f.DurationVar(&s.Duration, "duration", s.Duration, "how long; storm and slow: each of the phases before and after")
	f.DurationVar(&s.Stop, "stop", 0, "slow: how long the member does not read")
	f.IntVar(&s.Size, "size", s.Size, "bytes of text in a message")
	f.BoolVar(&s.Keys, "keys", false, "give every message an idempotency key")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	s.Idle = mode == "idle"
	switch {
	case f.NArg() > 0:
		return nil, fmt.Errorf("bench: what is %q?", f.Arg(0))
	case mode != "load" && mode != "idle":
		return nil, fmt.Errorf("bench: there is no mode %q", mode)
	}
	given = map[string]bool{"proto": true}
	f.Visit(func(f *flag.Flag) { given[f.Name] = true })
	return given, nil
}

// override takes over from flags what was given.
func (s *Scenario) override(flags *Scenario, given map[string]bool) {
	for name, take := range map[string]func(){
		"rooms":    func() { s.Rooms = flags.Rooms },
		"members":  func() { s.Members = flags.Members },
		"senders":  func() { s.Senders = flags.Senders },
		"window":   func() { s.Window = flags.Window },
		"pause":    func() { s.Pause = flags.Pause },
		"rate":     func() { s.Rate = flags.Rate },
		"duration": func() { s.Duration = flags.Duration },
		"stop":     func() { s.Stop = flags.Stop },
		"size":     func() { s.Size = flags.Size },
		"keys":     func() { s.Keys = flags.Keys },
		"mode":     func() { s.Idle = flags.Idle },
		"proto":    func() { s.Proto = flags.Proto },
	} {
		if given[name] {
			take()
		}
	}
}

// print writes the result as JSON or as text.
func (r *Result) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(r)
	}
	_, err := io.WriteString(w, r.String())
	return err
}
