package main

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/roomtide/roomtide/adopt"
	"github.com/roomtide/roomtide/adopt/follow"
)

// adoptVerb moves another chat in. Each verb below is a step of it.
type adoptVerb struct {
	Init     adoptInit     `cmd:"" help:"Look at the database of a chat, and write how to read it into adopt.toml."`
	Check    adoptCheck    `cmd:"" help:"Read all of a chat as adopt.toml says, and tell what will not fit."`
	Run      adoptRun      `cmd:"" help:"Copy the history, then keep the old tables and Roomtide in step, until it is stopped."`
	Status   adoptStatus   `cmd:"" help:"How far it is, and which chat is in force."`
	Compare  adoptCompare  `cmd:"" help:"Compare every row with its message. It has to find nothing twice before a switch."`
	Switch   adoptSwitch   `cmd:"" help:"Put Roomtide in force; the old tables become its mirror."`
	Back     adoptBack     `cmd:"" help:"Put the old chat in force again."`
	Triggers adoptTriggers `cmd:"" help:"Print, install or remove the triggers by which the old tables can be followed."`
	Finish   adoptFinish   `cmd:"" help:"End a move that was switched: the old tables are left alone, and what was made beside them goes."`
}

// adoptFile is the file of a move, and how its verbs answer.
type adoptFile struct {
	File string `name:"file" short:"f" default:"adopt.toml" placeholder:"FILE" help:"The mapping; what is known of the move is in a file beside it."`
	JSON bool   `name:"json" help:"Answer for programs."`
}

func (v *adoptFile) open(a *app) (*adopt.Files, error) {
	f, err := adopt.ReadFiles(a.ctx, v.File, func(name string) (string, bool) { return variable(a.env, name) })
	return f, argument(err)
}

// variable is the value of an environment variable.
func variable(env []string, name string) (string, bool) {
	for _, kv := range env {
		if k, value, _ := strings.Cut(kv, "="); k == name {
			return value, true
		}
	}
	return "", false
}

type adoptRun struct {
	adoptFile
	Follow string `name:"follow" enum:",binlog,triggers,polling" default:"" help:"How changes of the old tables are seen: binlog, triggers or polling. Default: as before, or what sees most of what the source allows."`
	Touch  string `name:"touch" placeholder:"ADDRESS" help:"Where pages of the old chat may name rows that they have just written: 127.0.0.1:8081, or unix:/run/touch.sock."`
}

func (v *adoptRun) Run(a *app) error {
	f, err := v.open(a)
	if err != nil {
		return err
	}
	defer f.Close()
	log := slog.New(slog.NewTextHandler(a.stderr, nil))
	cfg, closeAll, err := f.Open(a.ctx, follow.Kind(v.Follow), log)
	if err != nil {
		return argument(err)
	}
	defer closeAll()
	if v.Touch != "" {
		cfg.Follow.Touches = follow.NewTouches()
		touch, err := adopt.ServeTouch(v.Touch, cfg.Follow.Touches, log)
		if err != nil {
			return argument(err)
		}
		defer touch.Close()
	}
	m, err := adopt.New(*cfg)
	if err != nil {
		return err
	}
	if why := m.Beat().Readonly; why != "" {
		fmt.Fprintln(a.stderr, why)
	}
	for _, why := range adopt.OneWayMarks(f.Mapping) {
		fmt.Fprintln(a.stderr, why)
	}
	ended := make(chan struct{})
	told := make(chan struct{})
	go func() {
		defer close(told)
		v.progress(a.stdout, m, ended)
	}()
	err = m.Run(a.ctx)
	close(ended)
	<-told
	if err == adopt.ErrFinished || a.ctx.Err() != nil { //nolint:errorlint // it is never wrapped
		return nil
	}
	return err
}

// progress prints how far the move is, every two seconds while something changes.
func (v *adoptRun) progress(w io.Writer, m *adopt.Move, ended <-chan struct{}) {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	last := ""
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
		}
		b := m.Beat()
		if v.JSON {
			if printJSON(w, &b) != nil {
				return // the output is closed
			}
			continue
		}
		line := runLine(m.State().State, &b)
		if line != last {
			fmt.Fprintln(w, line)
		}
		last = line
	}
}

func runLine(state string, b *adopt.Beat) string {
	line := fmt.Sprintf("%s, %s: %d of %d rows read, %d in Roomtide", state, b.Phase, b.Read, b.Total, b.Imported)
	if b.Left() > 0 {
		return line + fmt.Sprintf(", %.0f a second, about %s left", b.Rate, b.Left())
	}
	line += fmt.Sprintf(", %d written back, lag %.1f s", b.Mirrored, b.Lag)
	if b.Marked > 0 {
		line += fmt.Sprintf(", %d read marks written back", b.Marked)
	}
	if b.Late > 0 {
		line += fmt.Sprintf(", %d came the old way behind the switch", b.Late)
	}
	if b.Trouble != "" {
		line += "; waits: " + b.Trouble
	}
	return line
}

type adoptStatus struct{ adoptFile }

func (v *adoptStatus) Run(a *app) error {
	f, err := v.open(a)
	if err != nil {
		return err
	}
	defer f.Close()
	s, err := f.Status(a.ctx)
	if err != nil {
		return err
	}
	if v.JSON {
		return printJSON(a.stdout, &s)
	}
	fmt.Fprintln(a.stdout, runLine(s.Adoption.State, &s.Beat))
	if !s.Running {
		fmt.Fprintln(a.stdout, `"roomtide adopt run" does not run`)
	}
	if s.Beat.Readonly != "" {
		fmt.Fprintln(a.stdout, s.Beat.Readonly)
	}
	fmt.Fprintf(a.stdout, "%d comparisons in a row have found nothing\n", s.Clean)
	for _, p := range s.Problems {
		fmt.Fprintf(a.stdout, "%s: %d rows, %d of them left out, such as %s\n", p.Class, p.Rows, p.Refused, p.Example)
	}
	return nil
}

type adoptCompare struct {
	adoptFile
	Repair bool `name:"repair" help:"Have the process that runs look once more at everything that differs."`
}

func (v *adoptCompare) Run(a *app) error {
	f, err := v.open(a)
	if err != nil {
		return err
	}
	defer f.Close()
	cfg, closeAll, err := f.Open(a.ctx, "", slog.New(slog.DiscardHandler))
	if err != nil {
		return argument(err)
	}
	defer closeAll()
	c, err := f.Compare(a.ctx, cfg.Source, nil)
	if err != nil {
		return err
	}
	if v.Repair {
		if err := f.Repair(a.ctx, c.Findings); err != nil {
			return err
		}
	}
	if v.JSON {
		if err := printJSON(a.stdout, c); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(a.stdout, "%d rows, %d of them left out; %d messages; %d read marks\n", c.Rows, c.Refused, c.Messages, c.Marks)
		for i := range c.Findings {
			fmt.Fprintln(a.stdout, findingLine(&c.Findings[i]))
		}
	}
	if v.Repair {
		return nil
	}
	return differences(c)
}

// differences is the error of a comparison that does not count as one that found nothing.
func differences(c *adopt.Comparison) error {
	switch n := len(c.Findings); {
	case c.More:
		return fmt.Errorf("%d differences, and more differed at once than are looked at again: with --repair those found are looked at once more; then compare again", n)
	case n > 0:
		return fmt.Errorf("%d differences; with --repair they are looked at once more", n)
	}
	return nil
}

// findingLine tells a difference: which row and message, whose, and what each side says.
func findingLine(d *adopt.Finding) string {
	var where []string
	for _, part := range []struct{ name, value string }{{"row", string(d.Key)}, {"room", d.Room}, {"user", d.User}} {
		if part.value != "" {
			where = append(where, part.name+" "+part.value)
		}
	}
	if d.Seq > 0 {
		where = append(where, fmt.Sprintf("message %d", d.Seq))
	}
	line := strings.Join(where, ", ") + ": " + d.What
	switch {
	case d.Old != "" && d.New != "":
		line += fmt.Sprintf(" (old table: %s; Roomtide: %s)", d.Old, d.New)
	case d.Old != "" || d.New != "":
		line += " (" + d.Old + d.New + ")"
	}
	return line
}

type adoptSwitch struct{ adoptFile }

func (v *adoptSwitch) Run(a *app) error {
	return v.step(a, func(f *adopt.Files) error { return f.Switch(a.ctx) })
}

type adoptBack struct{ adoptFile }

func (v *adoptBack) Run(a *app) error {
	return v.step(a, func(f *adopt.Files) error { return f.Back(a.ctx) })
}

type adoptFinish struct {
	adoptFile
	Keep bool `help:"Leave what was made in the old database where it is."`
	Yes  bool `short:"y" help:"Do not ask."`
}

func (*adoptFinish) Help() string {
	return `Removes what was made for the move: roomtide_map, roomtide_feed, roomtide_changes and the triggers in the
old database, unless --keep is given, and what Roomtide has kept for the mirror. The chat's own tables stay as they are.
There is no way back behind it.`
}

func (v *adoptFinish) Run(a *app) error {
	if !v.Keep && !v.Yes {
		if err := a.confirm("End the move for good, and remove the tables and triggers of Roomtide from the old database?"); err != nil {
			return err
		}
	}
	return v.step(a, func(f *adopt.Files) error {
		removed, err := f.Finish(a.ctx, v.Keep)
		for _, what := range removed {
			fmt.Fprintln(a.stderr, "removed from the old database: "+what)
		}
		return err
	})
}

// step goes a step, and says which chat is in force behind it.
func (v *adoptFile) step(a *app, do func(*adopt.Files) error) error {
	f, err := v.open(a)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := do(f); err != nil {
		return err
	}
	now, err := f.Node.Adoption(a.ctx)
	if err != nil {
		return err
	}
	if v.JSON {
		return printJSON(a.stdout, &now)
	}
	fmt.Fprintf(a.stdout, "%s, generation %d\n", now.State, now.Generation)
	return nil
}
