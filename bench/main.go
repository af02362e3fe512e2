package bench

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Scenario is the work of one run.
type Scenario struct {
	Name     string        `json:"name"`
	Idle     bool          `json:"idle,omitempty"`  // connections that say nothing
	Start    bool          `json:"start,omitempty"` // how long until the first message
	Rooms    int           `json:"rooms,omitempty"`
	Members  int           `json:"members,omitempty"` // of each room, a connection each
	Senders  int           `json:"senders,omitempty"` // how many of all members write
	Window   int           `json:"window,omitempty"`  // closed loop: messages of a sender that wait for their ack
	Rate     float64       `json:"rate,omitempty"`    // open loop: messages a second of all senders together
	Size     int           `json:"size,omitempty"`    // bytes of text
	Keys     bool          `json:"keys,omitempty"`    // every message has an idempotency key
	Duration time.Duration `json:"duration_ns"`
}

// The named scenarios, in the order of "all".
var scenarios = []Scenario{
	{Name: "rooms", Rooms: 200, Members: 10, Senders: 200, Window: 8, Size: 120, Duration: 8 * time.Second},
	{Name: "fanout", Rooms: 1, Members: 1000, Senders: 1, Window: 16, Size: 120, Duration: 8 * time.Second},
	{Name: "idle", Idle: true, Rooms: 200, Members: 10, Duration: 5 * time.Second},
	{Name: "start", Start: true, Duration: 2 * time.Second},
}

func (s *Scenario) check() error {
	switch {
	case s.Start:
		return nil
	case s.Rooms < 1 || s.Members < 1:
		return errors.New("bench: at least one room with one member")
	case s.Idle:
		return nil
	case s.Senders < 1 || s.Senders > s.Rooms*s.Members:
		return fmt.Errorf("bench: senders are members: 1 to %d of them", s.Rooms*s.Members)
	case s.Rate == 0 && s.Window < 1 || s.Rate < 0:
		return errors.New("bench: a window of at least 1, or a rate")
	case s.Duration <= 0:
		return errors.New("bench: the duration is not positive")
	}
	return nil
}

// options are the flags of "roomtide bench".
type options struct {
	scenarios []Scenario
	addr      string // "" for a server of our own
	pid       int
	floors    bool
	json      bool
	floor     string // run as a floor instead
	listen    string
}

// Main is the verb. args are what follows "bench" on the command line.
func Main(ctx context.Context, args []string, stdout io.Writer) error {
	o, err := parse(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if o.floor != "" {
		return serveFloor(ctx, o.floor, o.listen)
	}
	anomalies := 0
	for _, s := range o.scenarios {
		targets := []string{""}
		if o.floors && !s.Start {
			targets = append(targets, "A", "B")
		}
		for _, floor := range targets {
			r, err := run(ctx, o, s, floor)
			if err != nil {
				return fmt.Errorf("bench: %s: %w", s.Name, err)
			}
			anomalies += r.Anomalies.total()
			if err := r.print(stdout, o.json); err != nil {
				return err
			}
		}
	}
	if anomalies > 0 {
		return fmt.Errorf("bench: %d anomalies", anomalies)
	}
	return nil
}

const usage = `Usage: roomtide bench [SCENARIO] [FLAGS]

Scenarios:

  rooms    200 rooms x 10 members, a sender in each, 8 messages in flight
  fanout   one room x 1000 members, one sender, 16 messages in flight
  idle     2000 connections that say nothing
  start    from the start of the process to the first acknowledged message
  all      all of them (the default without flags)
  load     what the flags say (the default with flags)

Without --addr each scenario gets a server of its own. The flags change the
scenario they are given with:

`

func parse(args []string, stdout io.Writer) (o options, err error) {
	name := "all"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name, args = args[0], args[1:]
	} else if len(args) > 0 {
		name = "load"
	}
	s := Scenario{Name: "load", Rooms: 10, Members: 10, Senders: 10, Window: 8, Size: 120, Duration: 5 * time.Second}
	given, err := o.parseFlags(&s, args, stdout)
	if err != nil {
		return o, err
	}
	for _, preset := range append(slices.Clone(scenarios), s) {
		if preset.Name == name || name == "all" && preset.Name != "load" {
			preset.override(&s, given)
			o.scenarios = append(o.scenarios, preset)
			if err := preset.check(); err != nil {
				return o, err
			}
		}
	}
	if len(o.scenarios) == 0 {
		return o, fmt.Errorf("bench: there is no scenario %q", name)
	}
	return o, nil
}

// parseFlags reads the flags into o and s, and returns which were given.
func (o *options) parseFlags(s *Scenario, args []string, stdout io.Writer) (given map[string]bool, err error) {
	mode := "load"
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stdout)
	f.Usage = func() { fmt.Fprint(stdout, usage); f.PrintDefaults() }
	f.StringVar(&o.addr, "addr", "", "host:port of a running server that welcomes guests, started with --no-rate-limits")
	f.IntVar(&o.pid, "pid", 0, "process id of that server, for its CPU and memory")
	f.BoolVar(&o.json, "json", false, "print one JSON object for each run")
	f.BoolVar(&o.floors, "floors", false, "measure the two floors as well")
	f.StringVar(&o.floor, "serve-floor", "", "be floor A or B instead of a load (the bench starts it by itself)")
	f.StringVar(&o.listen, "listen", "", "where the floor listens")
	f.StringVar(&mode, "mode", mode, "load or idle")
	f.IntVar(&s.Rooms, "rooms", s.Rooms, "rooms")
	f.IntVar(&s.Members, "members", s.Members, "members of each room, a connection each")
	f.IntVar(&s.Senders, "senders", s.Senders, "members who write")
	f.IntVar(&s.Window, "window", s.Window, "closed loop: messages of a sender in flight")
	f.Float64Var(&s.Rate, "rate", 0, "open loop: messages a second in all; latencies count from the intended time")
	f.DurationVar(&s.Duration, "duration", s.Duration, "how long")
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
	given = map[string]bool{}
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
		"rate":     func() { s.Rate = flags.Rate },
		"duration": func() { s.Duration = flags.Duration },
		"size":     func() { s.Size = flags.Size },
		"keys":     func() { s.Keys = flags.Keys },
		"mode":     func() { s.Idle = flags.Idle },
	} {
		if given[name] {
			take()
		}
	}
}

// print tells the result as JSON or for a person.
func (r *Result) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(r)
	}
	_, err := io.WriteString(w, r.String())
	return err
}
