package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// options are what the flags ask for.
type options struct {
	scenarios []Scenario
	addr      string // "" for a server that the bench starts; several are separated by commas
	pids      processes
	databases processes // servers that it uses
	floors    bool
	node      string // directory of Node packages with socket.io
	json      bool
	devices   bool   // the server takes devices
	floor     string // run as a floor instead
	listen    string
	stay      string // be the senders that stay in a storm instead
	progress  *progress
}

// Run does what the flags ask for. Results go to stdout, and how far it is to stderr.
// The flags have been checked (Flags.Validate).
func Run(ctx context.Context, f *Flags, stdout, stderr io.Writer) error {
	o, err := f.options()
	switch {
	case err != nil:
		return err
	case o.floor != "":
		return serveFloor(ctx, o.floor, o.listen)
	case o.stay != "":
		return stay(ctx, o.stay, os.Stdin, stdout)
	}
	if !f.Quiet {
		o.progress = newProgress(stderr)
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

// print writes the result as JSON or as text.
func (r *Result) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(r)
	}
	_, err := io.WriteString(w, r.String())
	return err
}
